//! Seals documents and opens objects with the keys of this replica.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use muster_core::State;
use muster_model::{Document, Key, Kind, Object, Uid, kinds};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::envelope::{self, Envelope};
use super::key_file::{self, KeyFileError};
use super::keyring::{KeyId, Keyring};

/// Kinds whose documents are sealed.
pub fn is_sealed(kind: &Kind) -> bool {
    [kinds::SECRET, kinds::AUTHORITY].contains(&kind.as_str())
}

/// Why a document could not be sealed or opened. It names the object and the key, and nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// This replica does not have the key.
    #[error(
        "{what} needs the sealing key {id}, which is not in {}: add its line to the file, from another replica or from where \
         you keep it; it is read within a second",
        .file.display()
    )]
    UnknownKey {
        /// The object.
        what: Key,
        /// The key.
        id: KeyId,
        /// Where it should be.
        file: PathBuf,
    },
    /// What is stored is not what was sealed for this object.
    #[error(
        "{what} cannot be opened: what is stored was not sealed for it with the key {id}, or was damaged"
    )]
    Damaged {
        /// The object.
        what: Key,
        /// The key that it names.
        id: KeyId,
    },
    /// What is stored is not sealed.
    #[error("{what} is not sealed, as it has to be")]
    NotSealed {
        /// The object.
        what: Key,
    },
}

/// The keys of this replica. Clones share them.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    file: PathBuf,
    keyring: ArcSwap<Keyring>,
    read_as_of: Mutex<Option<SystemTime>>,
}

/// Which key was chosen: the document of `sealing.muster.sh/current`.
#[derive(Serialize, Deserialize)]
struct Chosen {
    current: KeyId,
}

impl Vault {
    /// A vault with the keys of a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(file: &Path) -> Result<Vault, KeyFileError> {
        let keyring = key_file::read(file)?;
        let inner = Inner {
            file: file.to_owned(),
            keyring: ArcSwap::from_pointee(keyring),
            read_as_of: Mutex::new(changed(file)),
        };
        Ok(Vault { inner: Arc::new(inner) })
    }

    /// Reads the file again if it was changed. One that is wrong changes nothing, and is told of once.
    pub fn follow_file(&self) {
        let changed = changed(&self.inner.file);
        if std::mem::replace(&mut *self.inner.read_as_of.lock(), changed) == changed {
            return;
        }
        match key_file::read(&self.inner.file) {
            Ok(keyring) => {
                tracing::info!(keys = ?keyring, "secrets key file read again");
                self.inner.keyring.store(Arc::new(keyring));
            }
            Err(error) => {
                tracing::error!(%error, "secrets key file not read again; the keys stay as they were")
            }
        }
    }

    /// The ids of the keys, in the file's order.
    pub fn ids(&self) -> Vec<KeyId> {
        self.inner.keyring.load().ids().collect()
    }

    /// The key that seals: the one that the hub chose, else the first of the file.
    pub fn current(&self, state: &State) -> KeyId {
        chosen(state).unwrap_or_else(|| self.first())
    }

    /// The first key of the file.
    pub fn first(&self) -> KeyId {
        self.inner.keyring.load().ids().next().expect("a key file holds a key")
    }

    /// Seals the document of an object with this key.
    ///
    /// # Errors
    /// Without the key.
    pub fn seal(&self, with: KeyId, key: &Key, uid: Uid, document: &Document) -> Result<Document, SealError> {
        let context = envelope::context(key, uid, with);
        let sealed = self.inner.keyring.load().seal(with, &context, envelope::plain(document));
        let sealed = sealed.ok_or_else(|| self.unknown(key, with))?;
        Ok(Envelope::new(with, &sealed).document())
    }

    /// An object of a sealed kind with its document opened; one of another kind as it is.
    ///
    /// # Errors
    /// Without the key, or if what is stored was not sealed for this object.
    pub fn open_object(&self, object: &Arc<Object>) -> Result<Arc<Object>, SealError> {
        if !is_sealed(&object.key.kind) {
            return Ok(Arc::clone(object));
        }
        let document = self.open_document(&object.key, object.meta.uid, &object.document)?;
        Ok(Arc::new(Object { document, ..Object::clone(object) }))
    }

    /// Opens the document of an object.
    ///
    /// # Errors
    /// As [`Vault::open_object`].
    pub fn open_document(&self, key: &Key, uid: Uid, sealed: &Document) -> Result<Document, SealError> {
        let envelope = Envelope::of(sealed).ok_or_else(|| SealError::NotSealed { what: key.clone() })?;
        let damaged = || SealError::Damaged { what: key.clone(), id: envelope.key };
        let context = envelope::context(key, uid, envelope.key);
        let bytes = envelope.bytes().ok_or_else(damaged)?;
        let opened = self.inner.keyring.load().open(envelope.key, &context, &bytes);
        let plain = opened.ok_or_else(|| self.unknown(key, envelope.key))?.ok_or_else(damaged)?;
        envelope::document(&plain).ok_or_else(damaged)
    }

    /// Seals what belongs to an object and is no document of its own; the object need not be there yet.
    ///
    /// # Errors
    /// Without the key.
    pub fn seal_bytes(&self, with: KeyId, key: &Key, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let context = envelope::bytes_context(key, with);
        let sealed = self.inner.keyring.load().seal(with, &context, bytes.to_vec());
        sealed.ok_or_else(|| self.unknown(key, with))
    }

    /// Opens what [`Vault::seal_bytes`] made.
    ///
    /// # Errors
    /// Without the key, or if it was not sealed for this object.
    pub fn open_bytes(&self, with: KeyId, key: &Key, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let opened = self.inner.keyring.load().open(with, &envelope::bytes_context(key, with), sealed);
        let opened = opened.ok_or_else(|| self.unknown(key, with))?;
        opened.ok_or_else(|| SealError::Damaged { what: key.clone(), id: with })
    }

    fn unknown(&self, what: &Key, id: KeyId) -> SealError {
        SealError::UnknownKey { what: what.clone(), id, file: self.inner.file.clone() }
    }
}

/// The key that a stored object is sealed with; `None` for one that is not.
pub(super) fn sealed_with(object: &Object) -> Option<KeyId> {
    Envelope::of(&object.document).map(|envelope| envelope.key)
}

/// The object that says which key was chosen.
pub(super) fn chosen_key() -> Key {
    Key::new(kinds::SEALING, "", "current")
}

/// The key that the hub chose, if it did.
pub(super) fn chosen(state: &State) -> Option<KeyId> {
    let object = state.get(&chosen_key())?;
    let chosen: Chosen = serde_json::from_str(&format!("{{{}}}", object.document.body)).ok()?;
    Some(chosen.current)
}

/// The document that chooses a key.
pub(super) fn choice(id: KeyId) -> Document {
    Document { metadata: "".into(), body: format!("\"current\":\"{id}\"").into() }
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::key_file::add_key;
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        add_key(&path).unwrap();
        let vault = Vault::open(&path).unwrap();
        (folder, vault)
    }

    #[test]
    fn a_document_opens_only_where_it_was_sealed_for() {
        let (_folder, vault) = vault();
        let (key, uid) = (Key::new(kinds::SECRET, "a", "b"), Uid(7));
        let document = Document::new("\"labels\":{\"x\":\"b\"}", "\"data\":{\"k\":\"hunter2\"}", "b", "u");
        let sealed = vault.seal(vault.first(), &key, uid, &document).unwrap();
        assert!(!format!("{sealed:?}").contains("hunter2"));
        assert_eq!(vault.open_document(&key, uid, &sealed), Ok(document.clone()));
        for (key, uid) in [
            (Key::new(kinds::SECRET, "a", "c"), uid),
            (Key::new(kinds::SECRET, "c", "b"), uid),
            (Key::new(kinds::AUTHORITY, "a", "b"), uid),
            (key.clone(), Uid(8)),
        ] {
            assert!(matches!(vault.open_document(&key, uid, &sealed), Err(SealError::Damaged { .. })));
        }
        assert!(matches!(vault.open_document(&key, uid, &document), Err(SealError::NotSealed { .. })));
    }

    #[test]
    fn bytes_open_only_for_the_object_they_were_sealed_for() {
        let (_folder, vault) = vault();
        let (key, with) = (Key::new(kinds::TERRAFORM_STATE, "", "spot-01"), vault.first());
        let sealed = vault.seal_bytes(with, &key, b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(vault.open_bytes(with, &key, &sealed).as_deref(), Ok(&b"hunter2"[..]));
        let other = Key::new(kinds::TERRAFORM_STATE, "", "spot-02");
        assert!(matches!(vault.open_bytes(with, &other, &sealed), Err(SealError::Damaged { .. })));
        let document = vault.seal(with, &key, Uid(7), &Document::default()).unwrap();
        let moved = Envelope::of(&document).unwrap().bytes().unwrap();
        assert!(matches!(vault.open_bytes(with, &key, &moved), Err(SealError::Damaged { .. })));
    }

    #[test]
    fn a_missing_key_is_named_and_comes_back_with_the_file() {
        let (folder, vault) = vault();
        let (_other_folder, other) = self::vault();
        let (key, uid) = (Key::new(kinds::SECRET, "a", "b"), Uid(7));
        let sealed = other.seal(other.first(), &key, uid, &Document::default()).unwrap();
        let refused = vault.open_document(&key, uid, &sealed).unwrap_err().to_string();
        assert!(refused.contains(&other.first().to_string()) && refused.contains("secrets/a/b"), "{refused}");
        let path = folder.path().join("k");
        let first = vault.first();
        let lines =
            [&path, &_other_folder.path().join("k")].map(|path| std::fs::read_to_string(path).unwrap());
        key_file::write_private(&path, lines.concat().as_bytes()).unwrap();
        vault.follow_file();
        assert_eq!(vault.first(), first);
        assert_eq!(vault.open_document(&key, uid, &sealed), Ok(Document::default()));
        key_file::write_private(&path, b"hunter2").unwrap();
        vault.follow_file();
        assert_eq!(vault.ids().len(), 2, "a wrong file changes nothing");
    }
}
