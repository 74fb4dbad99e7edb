//! Lists: the envelope around items that are rendered already, and `continue` tokens.

use std::hash::Hasher;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use siphasher::sip::SipHasher24;

use crate::resource::Resource;
use crate::status::Status;

const TAG_BYTES: usize = 8;
const REVISION_BYTES: usize = 8;

/// `metadata` of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListMeta {
    /// Revision the list shows; a watch goes on from here.
    pub revision: u64,
    /// Token of the next page.
    pub continue_token: Option<String>,
    /// How many items follow, when that is known.
    pub remaining: Option<u64>,
}

impl ListMeta {
    /// A complete list at this revision.
    pub fn at(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut out = json!({"resourceVersion": self.revision.to_string()});
        if let Some(token) = &self.continue_token {
            out["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            out["remainingItemCount"] = json!(remaining);
        }
        out
    }
}

/// What stands before the first item of a list of this kind.
pub fn head(resource: &Resource, meta: &ListMeta) -> Vec<u8> {
    head_of(&resource.list_kind(), &resource.api_version(), meta)
}

/// What stands before the first item of any list, such as a `PartialObjectMetadataList`.
pub fn head_of(kind: &str, api_version: &str, meta: &ListMeta) -> Vec<u8> {
    format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{},\"items\":[",
        json!(kind),
        json!(api_version),
        meta.to_value()
    )
    .into_bytes()
}

/// What stands between items.
pub const SEPARATOR: &[u8] = b",";
/// What stands behind the last item.
pub const TAIL: &[u8] = b"]}";

/// A whole list in one buffer. Items are copied as they are; none is parsed.
pub fn render<'a>(
    resource: &Resource,
    meta: &ListMeta,
    items: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut out = head(resource, meta);
    let mut first = true;
    for item in items {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(SEPARATOR);
        }
        out.extend_from_slice(item);
    }
    out.extend_from_slice(TAIL);
    out
}

/// Where the next page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinueToken {
    /// Revision of the first page, and so of all.
    pub revision: u64,
    /// Key of the last item that was sent.
    pub last_key: Vec<u8>,
}

/// Key that seals tokens. All replicas need the same one, since any replica answers any page.
#[derive(Clone, Copy)]
pub struct TokenKey(pub [u8; 16]);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

impl ContinueToken {
    /// The text for `metadata.continue`. `scope` is what the list is of (path and selectors): the token opens no other.
    pub fn seal(&self, key: &TokenKey, scope: &str) -> String {
        let mut bytes = self.revision.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.last_key);
        let tag = tag(key, scope, &bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens the text of a `continue` parameter.
    ///
    /// # Errors
    /// 400 when it was not sealed by this hub for this list.
    pub fn open(text: &str, key: &TokenKey, scope: &str) -> Result<Self, Status> {
        let refuse = || {
            Status::bad_request(
                "invalid continue token: it is not one of this list; start the list again without continue",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
        let body = bytes
            .len()
            .checked_sub(TAG_BYTES)
            .filter(|length| *length >= REVISION_BYTES)
            .ok_or_else(refuse)?;
        let (body, given) = bytes.split_at(body);
        if tag(key, scope, body) != given {
            return Err(refuse());
        }
        let (revision, last_key) = body.split_at(REVISION_BYTES);
        let revision = u64::from_be_bytes(revision.try_into().map_err(|_| refuse())?);
        Ok(Self { revision, last_key: last_key.to_vec() })
    }
}

/// 410 for a token whose revision is no longer kept.
pub fn expired_token() -> Status {
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter.",
    )
}

fn tag(key: &TokenKey, scope: &str, body: &[u8]) -> [u8; TAG_BYTES] {
    let mut hasher = SipHasher24::new_with_key(&key.0);
    hasher.write(&(scope.len() as u64).to_be_bytes());
    hasher.write(scope.as_bytes());
    hasher.write(body);
    hasher.finish().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::JOB;

    #[test]
    fn items_are_joined_as_they_are() {
        let meta = ListMeta { revision: 9, continue_token: Some("t".to_owned()), remaining: Some(2) };
        let bytes = render(&JOB, &meta, [b"{\"a\":1}".as_slice(), b"{\"b\":2}"]);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            r#"{"kind":"JobList","apiVersion":"batch/v1","metadata":{"continue":"t","remainingItemCount":2,"resourceVersion":"9"},"items":[{"a":1},{"b":2}]}"#
        );
        assert!(render(&JOB, &ListMeta::at(1), []).ends_with(b"\"items\":[]}"));
    }

    #[test]
    fn a_token_opens_only_its_own_list_and_only_unchanged() {
        let key = TokenKey([7; 16]);
        let token = ContinueToken { revision: 42, last_key: b"ns/job".to_vec() };
        let text = token.seal(&key, "jobs");
        assert_eq!(ContinueToken::open(&text, &key, "jobs"), Ok(token));
        assert!(ContinueToken::open(&text, &key, "pods").is_err());
        assert!(ContinueToken::open(&text, &TokenKey([8; 16]), "jobs").is_err());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(ContinueToken::open(&changed, &key, "jobs").is_err(), "{changed}");
        }
        for text in ["", "abc", "!!"] {
            assert!(ContinueToken::open(text, &key, "jobs").is_err(), "{text}");
        }
    }
}
