//! How a sealed document looks in the log: the fragment `"sealed":{"key":ID,"bytes":BASE64}` as its body, and nothing else.
//!
//! What is sealed is both fragments of the document, and with them kind, namespace, name, uid and key: an envelope that was
//! moved to another object does not open.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use muster_model::{Document, Key, Uid};
use serde::{Deserialize, Serialize};

use super::keyring::KeyId;

/// A sealed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The key it was sealed with.
    pub key: KeyId,
    /// Nonce, ciphertext and tag, in base64.
    bytes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sealed: Envelope,
}

impl Envelope {
    /// An envelope around sealed bytes.
    pub fn new(key: KeyId, bytes: &[u8]) -> Envelope {
        Envelope { key, bytes: STANDARD.encode(bytes) }
    }

    /// The sealed bytes; `None` if they are not base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.bytes).ok()
    }

    /// As a document.
    pub fn document(&self) -> Document {
        let body = format!("\"sealed\":{{\"key\":\"{}\",\"bytes\":\"{}\"}}", self.key, self.bytes);
        Document { metadata: "".into(), body: body.into() }
    }

    /// The envelope in a document; `None` if it is none.
    pub fn of(document: &Document) -> Option<Envelope> {
        let body: Body = serde_json::from_str(&format!("{{{}}}", document.body)).ok()?;
        Some(body.sealed)
    }
}

/// What an envelope is bound to.
pub fn context(key: &Key, uid: Uid, with: KeyId) -> Vec<u8> {
    format!("muster.sealed.v1\n{}\n{}\n{}\n{uid}\n{with}", key.kind, key.namespace, key.name).into_bytes()
}

/// What sealed bytes are bound to that lie beside the document of an object.
pub fn bytes_context(key: &Key, with: KeyId) -> Vec<u8> {
    format!("muster.sealed-bytes.v1\n{}\n{}\n{}\n{with}", key.kind, key.namespace, key.name).into_bytes()
}

/// Both fragments as bytes.
pub fn plain(document: &Document) -> Vec<u8> {
    let length = u64::try_from(document.metadata.len()).expect("a length fits");
    [&length.to_be_bytes(), document.metadata.as_bytes(), document.body.as_bytes()].concat()
}

/// The fragments that [`plain`] made bytes of; `None` if they are none.
pub fn document(plain: &[u8]) -> Option<Document> {
    let (length, rest) = plain.split_first_chunk::<8>()?;
    let (metadata, body) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some(Document { metadata: text(metadata)?.into(), body: text(body)?.into() })
}
