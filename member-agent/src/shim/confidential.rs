//! What the shim needs and no disk may hold: it comes over the launcher's standard input, and stays in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::ShimError;

/// The most that a pod's confidential part may be, encoded.
pub const MAX_BYTES: u64 = 48 << 20;

/// What comes from ConfigMaps and Secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confidential {
    /// Of containers, by name.
    pub containers: BTreeMap<String, ConfidentialContainer>,
    /// Files of volumes, by the volume's name.
    pub files: BTreeMap<String, Vec<ProjectedFile>>,
}

/// What a container's spec leaves out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfidentialContainer {
    /// Variables that hold something of a Secret.
    pub env: BTreeMap<String, String>,
    /// Program and arguments, if they do.
    pub argv: Option<Vec<String>>,
}

/// A file of a volume.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectedFile {
    /// Inside the volume; relative, without `..`.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// What it holds.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub content: Vec<u8>,
}

impl Confidential {
    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.files.is_empty()
    }

    /// Reads it to the end of `input`.
    pub(crate) fn read(input: impl Read) -> Result<Confidential, ShimError> {
        let mut text = Vec::new();
        let read = input.take(MAX_BYTES + 1).read_to_end(&mut text);
        read.map_err(ShimError::system("read the confidential part"))?;
        // The reason names positions only, never what is there.
        serde_json::from_slice(&text).map_err(|error| ShimError::Malformed {
            path: PathBuf::from("standard input"),
            reason: format!("line {}, column {}", error.line(), error.column()),
        })
    }
}

/// Names only: what it holds is nobody's business.
impl fmt::Debug for Confidential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (containers, files) = (self.containers.keys(), self.files.keys());
        formatter.debug_set().entries(containers).entries(files).finish()
    }
}

fn to_base64<S: Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(content))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(|_| serde::de::Error::custom("not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_shows_nothing() {
        let file = ProjectedFile { path: PathBuf::from("a/b"), mode: 0o400, content: b"hush\0\xff".to_vec() };
        let mut whole = Confidential::default();
        whole.files.insert("keys".to_owned(), vec![file]);
        let container = ConfidentialContainer {
            env: BTreeMap::from([("TOKEN".to_owned(), "hush".to_owned())]),
            argv: Some(vec!["run".to_owned(), "hush".to_owned()]),
        };
        whole.containers.insert("main".to_owned(), container);
        let text = serde_json::to_vec(&whole).unwrap();
        assert_eq!(Confidential::read(text.as_slice()).unwrap(), whole);
        assert_eq!(format!("{whole:?}"), r#"{"main", "keys"}"#);
        let torn = Confidential::read(&text[..text.len() - 3]).unwrap_err();
        assert!(!torn.to_string().contains("hush"), "{torn}");
    }
}
