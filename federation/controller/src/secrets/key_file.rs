//! The file that keys come from. Text, for people to distribute:
//!
//! ```text
//! # any comment
//! 0123456789abcdef q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//! ```
//!
//! One key per line: its id, and 32 bytes in base64. The first one seals until `muster secrets rotate` chooses another; all
//! of them open.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::keyring::{KEY_BYTES, KeyId, Keyring};

/// More keys than anyone rotates through.
const KEYS_MAX: usize = 64;
/// The longest file that is read.
const FILE_MAX_BYTES: u64 = 64 << 10;

/// Why a key file is not usable.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error(
        "secrets key file {}: {source}; without its keys nothing that is sealed can be read: bring the file back from where \
         you keep it",
        .path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("secrets key file {}: others may read it (mode {mode:o}); chmod 600 it", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line is no key.
    #[error("secrets key file {}, line {line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no key in it, or there are too many.
    #[error("secrets key file {}: holds {keys} keys; 1 to {KEYS_MAX} are possible", .path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many there are.
        keys: usize,
    },
    /// It cannot be written.
    #[error("secrets key file {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads a key file.
///
/// # Errors
/// What is wrong with it; never what is in it.
pub(super) fn read(path: &Path) -> Result<Keyring, KeyFileError> {
    Ok(Keyring::new(&keys(path, &text(path)?)?))
}

fn text(path: &Path) -> Result<String, KeyFileError> {
    let unread = |source| KeyFileError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unread)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(KeyFileError::Mode { path: path.to_owned(), mode });
    }
    if metadata.len() > FILE_MAX_BYTES {
        return Err(unread(io::Error::new(io::ErrorKind::InvalidData, "too long for a file of keys")));
    }
    fs::read_to_string(path).map_err(unread)
}

fn keys(path: &Path, text: &str) -> Result<Vec<[u8; KEY_BYTES]>, KeyFileError> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason| KeyFileError::Line { path: path.to_owned(), line: index + 1, reason };
        let key = key(line).map_err(wrong)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(KeyFileError::Count { path: path.to_owned(), keys: keys.len() });
    }
    Ok(keys)
}

fn key(line: &str) -> Result<[u8; KEY_BYTES], &'static str> {
    let (id, text) = line.split_once(char::is_whitespace).ok_or("must be a key's id and its base64")?;
    let bytes = STANDARD.decode(text.trim()).map_err(|_| "the key is not base64")?;
    let key: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| "a key has 32 bytes")?;
    if KeyId::try_from(id.to_owned())? != KeyId::of(&key) {
        return Err("the id is not this key's: one of the two was changed or mixed up");
    }
    Ok(key)
}

/// Adds a new random key at the end of a key file, which is made if it is not there; nobody else may read it. The file is
/// replaced by rename: the old keys are in it whatever happens.
///
/// # Errors
/// What is wrong with the file that is there, or keeps it from being written.
pub fn add_key(path: &Path) -> Result<KeyId, KeyFileError> {
    let mut content = match path.try_exists() {
        Ok(false) => "# Keys that this hub seals Secrets and its certificate authority with. Keep a copy in a safe place:\n\
                      # without it they cannot be read, by nobody. One line per key, id and base64.\n"
            .to_owned(),
        _ => {
            let text = text(path)?;
            let keys = keys(path, &text)?;
            if keys.len() >= KEYS_MAX {
                return Err(KeyFileError::Count { path: path.to_owned(), keys: keys.len() + 1 });
            }
            text
        }
    };
    let mut key = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).expect("the system gives random numbers");
    let id = KeyId::of(&key);
    if !content.ends_with('\n') {
        content.push('\n');
    }
    content.push_str(&format!("{id} {}\n", STANDARD.encode(key)));
    write_private(path, content.as_bytes())
        .map_err(|source| KeyFileError::Write { path: path.to_owned(), source })?;
    Ok(id)
}

/// Writes a file that only its owner may read, by rename, synced: the old one or the new one is there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_added_and_the_first_stays_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/secrets.key");
        let first = add_key(&path).unwrap();
        let second = add_key(&path).unwrap();
        assert_eq!(read(&path).unwrap().ids().collect::<Vec<_>>(), [first, second]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_key_file_is_refused_by_line_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let good = format!("{} {}", KeyId::of(&[1; 32]), STANDARD.encode([1; 32]));
        let swapped = format!("{} {}", KeyId::of(&[1; 32]), STANDARD.encode([2; 32]));
        for (text, want) in [
            ("", "holds 0 keys"),
            ("# only a comment\n", "holds 0 keys"),
            ("hunter2", "line 1: must be a key's id and its base64"),
            (&format!("{good}\n0 hunter2 !"), "line 2: the key is not base64"),
            (&format!("{good}\n\n1 AAAA"), "line 3: a key has 32 bytes"),
            (&swapped, "line 1: the id is not this key's"),
        ] {
            write_private(&path, text.as_bytes()).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(want) && !error.contains("hunter2"), "{text:?}: {error}");
        }
        write_private(&path, good.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
