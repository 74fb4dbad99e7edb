//! The document that the user gave, as text, less what the hub decides.
//!
//! ```text
//! {"apiVersion":..,"kind":..,"metadata":{ <from Meta> , <metadata> }, <body> , "status": <rendered> }
//! ```
//!
//! Both fragments are the *inside* of a JSON object. The object's own name and uid are replaced by control bytes that
//! cannot occur in JSON text, so that a million jobs of one template share one body (and a kubectl-applied one its
//! last-applied annotation too), and come back byte for byte.

use std::sync::Arc;

/// Stands for the object's uid.
pub const UID_MARK: char = '\u{1}';
/// Stands for the object's name.
pub const NAME_MARK: char = '\u{2}';

/// Two fragments of JSON text with marks in them. Compared and hashed by text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document {
    /// The inside of `metadata` without what [`crate::Meta`] and [`crate::Key`] hold: `"labels":{...},"annotations":{...}`.
    pub metadata: Arc<str>,
    /// The inside of the object without `apiVersion`, `kind`, `metadata` and `status`: `"spec":{...}`.
    pub body: Arc<str>,
}

impl Document {
    /// A document of an object of this name and uid. `metadata` and `body` are fragments of compact JSON.
    pub fn new(metadata: &str, body: &str, name: &str, uid: &str) -> Document {
        Document { metadata: mark(metadata, name, uid).into(), body: mark(body, name, uid).into() }
    }

    /// The metadata fragment with name and uid put back.
    pub fn metadata_text(&self, name: &str, uid: &str) -> String {
        unmark(&self.metadata, name, uid)
    }

    /// The body fragment with name and uid put back.
    pub fn body_text(&self, name: &str, uid: &str) -> String {
        unmark(&self.body, name, uid)
    }
}

/// The uid goes first: a name may occur in a uid, not the other way round.
fn mark(text: &str, name: &str, uid: &str) -> String {
    let marked = text.replace(uid, UID_MARK.encode_utf8(&mut [0; 4]));
    if name.is_empty() { marked } else { marked.replace(name, NAME_MARK.encode_utf8(&mut [0; 4])) }
}

fn unmark(text: &str, name: &str, uid: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(at) = rest.find([UID_MARK, NAME_MARK]) {
        out.push_str(&rest[..at]);
        out.push_str(if rest[at..].starts_with(UID_MARK) { uid } else { name });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_uid_come_back_byte_for_byte() {
        let uid = "0a1b2c3d-0000-4000-8000-0000000000ff";
        for name in ["train", "a", "0", "labels", "e", "4000"] {
            let metadata = format!(r#""labels":{{"job-name":"{name}","uid":"{uid}"}}"#);
            let body = format!(r#""spec":{{"a":"{name}{uid}{name}","é":"aa"}}"#);
            let document = Document::new(&metadata, &body, name, uid);
            assert_eq!(document.metadata_text(name, uid), metadata);
            assert_eq!(document.body_text(name, uid), body);
        }
    }

    #[test]
    fn alike_templates_share_their_text() {
        let one = Document::new("", r#""spec":{"label":"job-1"}"#, "job-1", "u-1");
        let two = Document::new("", r#""spec":{"label":"job-2"}"#, "job-2", "u-2");
        assert_eq!(one, two);
    }
}
