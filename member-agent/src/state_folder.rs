//! The agent's state folder: lock, folder id, identity.
//!
//! ```text
//!  DIR/lock           held as long as an agent lives
//!  DIR/folder-id      made once: half of the incarnation
//!  DIR/key.pem        0600, made here, never leaves
//!  DIR/identity.json  certificate chain, hub CAs, hub addresses; replaced by rename
//!  DIR/journal        what the machine remembers
//!  DIR/pods/          the backend's
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use muster_proto::federation::Identity;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::shim::durable::{self, Durability};
use crate::shim::error::ShimError;

const IDENTITY_FILE: &str = "identity.json";

/// Why a state folder is not usable.
#[derive(Debug, thiserror::Error)]
pub enum StateFolderError {
    /// Another agent runs on it.
    #[error(
        "{0} is in use by another agent: stop that one first, or give this one a folder of its own with --state"
    )]
    InUse(PathBuf),
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file is not what the agent wrote.
    #[error("{path} is damaged: {reason}. Restore it, or join again with an empty folder")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// An open state folder.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
    id: u128,
}

/// Keeps other agents out as long as it lives: held by the agent itself, not by what it started.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

/// The identity as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredIdentity {
    certificate_chain: Vec<String>,
    hub_cas: Vec<String>,
    hub_addresses: Vec<String>,
}

impl StateFolder {
    /// Opens the folder, and makes what is not there.
    pub fn open(path: &Path) -> Result<(StateFolder, FolderLock), StateFolderError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("make", path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(file("open", &lock_path))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| StateFolderError::InUse(path.to_owned()))?;
        Ok((StateFolder { path: path.to_owned(), id: folder_id(path)? }, FolderLock(lock)))
    }

    /// The folder of an agent that may be running: to read its identity only.
    pub fn read_only(path: &Path) -> Result<StateFolder, StateFolderError> {
        Ok(StateFolder { path: path.to_owned(), id: folder_id(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id that was made with it.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// The member's key in PEM; made at the first call.
    pub fn key_pem(&self) -> Result<String, StateFolderError> {
        let path = self.path.join("key.pem");
        match fs::read_to_string(&path) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = rcgen::KeyPair::generate()
                    .map_err(|error| file("make", &path)(io::Error::other(error)))?;
                let pem = key.serialize_pem();
                write_secret(&self.path, "key.pem", pem.as_bytes())?;
                Ok(pem)
            }
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    /// The identity, if the member has joined.
    pub fn identity(&self) -> Result<Option<Identity>, StateFolderError> {
        let path = self.path.join(IDENTITY_FILE);
        let damaged = |reason: String| StateFolderError::Damaged { path: path.clone(), reason };
        let stored: Option<StoredIdentity> = durable::read_json(&self.path, IDENTITY_FILE)
            .map_err(|error: ShimError| damaged(error.to_string()))?;
        let Some(stored) = stored else { return Ok(None) };
        let decode = |texts: Vec<String>| -> Result<Vec<Bytes>, StateFolderError> {
            let one =
                |text: String| STANDARD.decode(text).map(Bytes::from).map_err(|e| damaged(e.to_string()));
            texts.into_iter().map(one).collect()
        };
        let certificate_chain = decode(stored.certificate_chain)?;
        let hub_cas = decode(stored.hub_cas)?;
        if certificate_chain.is_empty() || hub_cas.is_empty() {
            return Err(damaged("it holds no certificate".to_owned()));
        }
        Ok(Some(Identity { certificate_chain, hub_cas, hub_addresses: stored.hub_addresses }))
    }

    /// Stores an identity: the old one or the new one is there, whatever happens.
    pub fn store_identity(&self, identity: &Identity) -> Result<(), StateFolderError> {
        let encode = |all: &[Bytes]| all.iter().map(|der| STANDARD.encode(der)).collect();
        let stored = StoredIdentity {
            certificate_chain: encode(&identity.certificate_chain),
            hub_cas: encode(&identity.hub_cas),
            hub_addresses: identity.hub_addresses.clone(),
        };
        durable::write_json(&self.path, IDENTITY_FILE, &stored, Durability::Synced)
            .map_err(file("write", &self.path.join(IDENTITY_FILE)))
    }
}

fn folder_id(folder: &Path) -> Result<u128, StateFolderError> {
    let path = folder.join("folder-id");
    match fs::read_to_string(&path) {
        Ok(text) => u128::from_str_radix(text.trim(), 16).map_err(|_| StateFolderError::Damaged {
            path,
            reason: "it is not a number of 32 hexadecimal digits".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 16];
            aws_lc_rs::rand::fill(&mut bytes)
                .map_err(|error| file("make", &path)(io::Error::other(error)))?;
            let id = u128::from_be_bytes(bytes);
            write_secret(folder, "folder-id", format!("{id:032x}\n").as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(file("read", &path)(error)),
    }
}

/// Writes a file that only its owner may read: complete or absent.
fn write_secret(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StateFolderError> {
    let path = folder.join(name);
    let temporary = folder.join(format!("{name}.tmp"));
    let write = || -> io::Result<()> {
        let mut out =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(file("write", &path))
}

/// For `map_err`.
pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateFolderError {
    let path = path.to_owned();
    move |source| StateFolderError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_agent_on_the_same_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (first, lock) = StateFolder::open(dir.path()).unwrap();
        let refused = StateFolder::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StateFolderError::InUse(_)), "{refused}");
        drop(lock);
        assert_eq!(StateFolder::open(dir.path()).unwrap().0.id(), first.id());
    }

    #[test]
    fn the_key_is_made_once_and_nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, _lock) = StateFolder::open(dir.path()).unwrap();
        let key = folder.key_pem().unwrap();
        assert_eq!(folder.key_pem().unwrap(), key);
        let mode = fs::metadata(dir.path().join("key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_identity_comes_back_and_a_damaged_one_is_refused_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, _lock) = StateFolder::open(dir.path()).unwrap();
        assert_eq!(folder.identity().unwrap(), None);
        let identity = Identity {
            certificate_chain: vec![Bytes::from_static(b"leaf")],
            hub_cas: vec![Bytes::from_static(b"ca")],
            hub_addresses: vec!["127.0.0.1:1".to_owned()],
        };
        folder.store_identity(&identity).unwrap();
        assert_eq!(folder.identity().unwrap(), Some(identity));
        fs::write(dir.path().join(IDENTITY_FILE), "{").unwrap();
        assert!(folder.identity().unwrap_err().to_string().contains("identity.json is damaged"));
    }
}
