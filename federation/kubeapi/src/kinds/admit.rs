//! From a decoded object to what a `Put` carries: defaults, rules, the typed part, and the document less what the hub owns.

use std::sync::Arc;

use muster_model::{Document, DocumentHash, Key, Owner, Principal, Put, PutMode, Spec};
use serde_json::{Map, Value};

use super::at::At;
use super::kind::{Reading, StoredKind};
use crate::field::FieldError;
use crate::validate;

/// The version of how documents are read; it rises when the same document would be read differently.
pub const TYPED_VERSION: u16 = 1;

/// Fields of `metadata` that the hub sets. What a client sends in them is not kept.
const SERVER_OWNED: [&str; 12] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "finalizers",
    "ownerReferences",
];

/// An object that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What the hub decides on.
    pub spec: Spec,
    /// What the user gave, and defaults.
    pub document: Document,
    /// Who holds it.
    pub finalizers: Vec<Arc<str>>,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// One text per `Warning` header.
    pub warnings: Vec<String>,
}

/// Completes and checks an object, and splits it. `object` has the right types (see [`crate::validate::decode`]) and
/// `metadata.name`, `namespace` and `uid` set by the caller; `old` is the stored object as it is shown, on update.
///
/// # Errors
/// Everything that is wrong with it, for a 422.
pub fn admit(kind: &StoredKind, mut object: Value, old: Option<&Value>) -> Result<Admitted, Vec<FieldError>> {
    let resource = &kind.resource;
    (resource.default)(&mut object);
    let mut errors = validate::metadata(resource, &object);
    if let Some(old) = old {
        errors.extend(validate::metadata_update(old, &object));
    }
    errors.extend((resource.validate)(&object, old));
    let owners = owners(&object, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let Reading { spec, warnings } = (kind.read)(&object)?;
    let finalizers = finalizers(&object);
    Ok(Admitted { spec, document: split(object), finalizers, owners, warnings })
}

impl Admitted {
    /// The command that stores it.
    pub fn put(self, key: Key, mode: PutMode, by: Principal, idempotency: Option<DocumentHash>) -> Put {
        Put {
            key,
            mode,
            spec: self.spec,
            typed_version: TYPED_VERSION,
            document: self.document,
            finalizers: self.finalizers,
            owners: self.owners,
            principal: by,
            idempotency,
        }
    }
}

fn finalizers(object: &Value) -> Vec<Arc<str>> {
    let metadata = At::root(object, "").field("metadata");
    metadata.field("finalizers").items().map(|item| item.text().into()).collect()
}

fn owners(object: &Value, errors: &mut Vec<FieldError>) -> Vec<Owner> {
    let metadata = At::root(object, "").field("metadata");
    metadata.field("ownerReferences").items().filter_map(|item| owner(&item, errors)).collect()
}

fn owner(item: &At<'_>, errors: &mut Vec<FieldError>) -> Option<Owner> {
    let uid = item.field("uid");
    let parsed = uid.text().parse();
    if parsed.is_err() && !uid.text().is_empty() {
        errors.push(uid.invalid("must be a UUID"));
    }
    Some(Owner {
        api_version: item.field("apiVersion").text().into(),
        kind: item.field("kind").text().into(),
        name: item.field("name").text().into(),
        uid: parsed.ok()?,
        controller: item.field("controller").is_true(),
        block_deletion: item.field("blockOwnerDeletion").is_true(),
    })
}

/// The document: everything but identity, what the hub owns, and `status`, which is shown from typed state.
fn split(mut object: Value) -> Document {
    let mut empty = Map::new();
    let top = object.as_object_mut().unwrap_or(&mut empty);
    let mut metadata = match top.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, uid) = (text("name"), text("uid"));
    for key in ["apiVersion", "kind", "status"] {
        top.remove(key);
    }
    metadata.retain(|key, value| !SERVER_OWNED.contains(&key.as_str()) && !value.is_null());
    document(&metadata, top, (&name, &uid))
}

/// A document of these fields for an object of this name and uid.
pub(super) fn document(
    metadata: &Map<String, Value>,
    body: &Map<String, Value>,
    (name, uid): (&str, &str),
) -> Document {
    let (metadata, body) = (inside(metadata), inside(body));
    if uid.is_empty() {
        // Nothing can stand for an empty text.
        return Document { metadata: metadata.into(), body: body.into() };
    }
    Document::new(&metadata, &body, name, uid)
}

/// The text of an object without its braces.
fn inside(map: &Map<String, Value>) -> String {
    let text = serde_json::to_string(map).expect("a JSON value is written to memory");
    text[1..text.len() - 1].to_owned()
}
