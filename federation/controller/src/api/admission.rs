//! Between a body and what is proposed: what only the hub says is taken away, and the kind's own admission is asked.

use aws_lc_rs::digest;
use muster_kubeapi::kinds::{self, Admitted, StoredKind};
use muster_kubeapi::status::Status;
use muster_model::{DocumentHash, Principal, Uid};
use serde_json::{Map, Value, json};

use crate::agents::random_uid;

/// What only the hub says of an object.
const SYSTEM_FIELDS: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "selfLink",
    "resourceVersion",
];

/// Of these, and of the rest of `metadata`, what a change takes over from the stored object.
const KEPT: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName"];

/// What a client said in fields that only the hub sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

/// Takes away what only the hub says: `status`, and parts of `metadata`.
pub fn take_system_fields(object: &mut Value) -> Given {
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    let Some(meta) = meta_of(object) else { return Given::default() };
    let text =
        |meta: &Map<String, Value>, key| meta.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let given = Given { uid: text(meta, "uid"), resource_version: text(meta, "resourceVersion") };
    meta.remove("uid");
    for field in SYSTEM_FIELDS {
        meta.remove(field);
    }
    given
}

/// Completes and checks a new object. Gives the uid it will have.
///
/// # Errors
/// 422 with every field that is wrong.
pub fn admit_new(kind: &StoredKind, mut object: Value) -> Result<(Uid, Admitted), Status> {
    let uid = random_uid();
    if let Some(meta) = meta_of(&mut object) {
        meta.insert("uid".to_owned(), json!(uid.to_string()));
    }
    Ok((uid, admitted(kind, object, None)?))
}

/// Completes a changed object and checks it against the stored one.
///
/// # Errors
/// 422 with every field that is wrong.
pub fn admit_changed(kind: &StoredKind, mut object: Value, old: &Value) -> Result<Admitted, Status> {
    if let Some(meta) = meta_of(&mut object) {
        for field in KEPT {
            if let Some(value) = old["metadata"].get(field) {
                meta.insert(field.to_owned(), value.clone());
            }
        }
    }
    admitted(kind, object, Some(old))
}

fn admitted(kind: &StoredKind, object: Value, old: Option<&Value>) -> Result<Admitted, Status> {
    // Taken before, since admission consumes the object.
    let name = name_of(&object).to_owned();
    kinds::admit(kind, object, old).map_err(|errors| Status::invalid(&kind.resource, &name, &errors))
}

/// Refuses a document that is too large to be stored.
///
/// # Errors
/// 413 with its size.
pub fn check_size(admitted: &Admitted, max_bytes: usize) -> Result<(), Status> {
    let bytes = admitted.document.metadata.len() + admitted.document.body.len();
    if bytes <= max_bytes {
        return Ok(());
    }
    Err(Status::too_large(&format!("the object takes {bytes} bytes, at most {max_bytes} are stored")))
}

/// What a retry is recognised by: nobody else's key of the same text.
pub fn idempotency(principal: &Principal, key: &str) -> DocumentHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(principal.as_str().len() as u64).to_be_bytes());
    context.update(principal.as_str().as_bytes());
    context.update(key.as_bytes());
    let digest = context.finish();
    let first: [u8; 16] = digest.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
    DocumentHash(u128::from_be_bytes(first))
}

/// `metadata`, made if it is missing.
pub fn meta_of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let meta = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if meta.is_null() {
        *meta = Value::Object(Map::new());
    }
    meta.as_object_mut()
}

/// `metadata.name`.
pub fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_hub_says_is_taken_away() {
        let mut object = json!({"status": {"active": 1}, "metadata": {"name": "a", "uid": "u", "resourceVersion": "7",
            "generation": 3, "managedFields": [], "labels": {"a": "b"}}});
        let given = take_system_fields(&mut object);
        assert_eq!(given, Given { uid: "u".to_owned(), resource_version: "7".to_owned() });
        assert_eq!(object, json!({"metadata": {"name": "a", "labels": {"a": "b"}}}));
        let mut object = json!({"metadata": null});
        assert_eq!(take_system_fields(&mut object), Given::default());
    }

    #[test]
    fn a_key_is_its_principals_own() {
        let hash = |who: &str, key: &str| idempotency(&Principal::new(who), key);
        assert_eq!(hash("a", "k"), hash("a", "k"));
        assert_ne!(hash("a", "bk"), hash("ab", "k"));
        assert_ne!(hash("a", "k"), hash("b", "k"));
    }
}
