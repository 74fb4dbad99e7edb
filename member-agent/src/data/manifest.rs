//! What a copy is: its files in order of their paths, with sizes and the SHA-256 of each chunk. The dataset's digest is the
//! SHA-256 of the manifest's text, so that one hash stands for all bytes.
//!
//! ```text
//!  muster-dataset 1
//!  file 1500000 train/shard-000
//!  9f86d08...      one line per chunk
//!  60303ae...
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use muster_member_machine::Chunk;
use muster_model::ContentDigest;

/// The first line.
const HEAD: &str = "muster-dataset 1";
/// Bytes of a chunk; the last one of a file may be shorter.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;
/// Bytes of the text of a manifest: of some 4 TiB.
pub(crate) const TEXT_MAX_BYTES: u64 = 256 << 20;

/// What a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    files: Vec<DataFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DataFile {
    /// Below the version's folder, with `/`.
    path: String,
    bytes: u64,
    hashes: Vec<[u8; 32]>,
}

/// Where a chunk lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file could not be read.
    #[error("cannot read {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in the folder cannot be part of a dataset.
    #[error("{path}: {why}")]
    Unfit {
        /// What.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The text is not a manifest.
    #[error("line {line} of the manifest: {why}")]
    Malformed {
        /// From 1.
        line: usize,
        /// Why.
        why: &'static str,
    },
}

/// The hash of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Manifest {
    /// The manifest of what lies in a folder. Reads all of it.
    ///
    /// # Errors
    /// Something cannot be read, or is neither a plain file nor a folder.
    pub fn of_folder(folder: &Path) -> Result<Manifest, ManifestError> {
        let mut files = Vec::new();
        for (path, _) in plain_files(folder)? {
            files.push(read_file(folder, path)?);
        }
        Ok(Manifest { files })
    }

    /// Its text, which the digest is of.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for file in &self.files {
            let _ = writeln!(text, "file {} {}", file.bytes, file.path);
            for hash in &file.hashes {
                for byte in hash {
                    let _ = write!(text, "{byte:02x}");
                }
                text.push('\n');
            }
        }
        text
    }

    /// The digest of the content.
    pub fn digest(&self) -> ContentDigest {
        ContentDigest(hash(self.text().as_bytes()))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads what [`Manifest::text`] wrote, or another agent. Nothing outside of a folder can be named by it.
    ///
    /// # Errors
    /// It is not a manifest.
    pub fn read(text: &str) -> Result<Manifest, ManifestError> {
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
        let malformed = |line, why| ManifestError::Malformed { line, why };
        if lines.next().is_none_or(|(_, head)| head != HEAD) {
            return Err(malformed(1, "it must be `muster-dataset 1`"));
        }
        let mut files: Vec<DataFile> = Vec::new();
        while let Some((at, line)) = lines.next() {
            let mut file = read_head(line).map_err(|why| malformed(at, why))?;
            if files.last().is_some_and(|last| last.path >= file.path) {
                return Err(malformed(at, "files must be in order of their paths, each once"));
            }
            for _ in 0..file.bytes.div_ceil(CHUNK_BYTES) {
                let (at, line) = lines.next().ok_or(malformed(at, "hashes of its chunks are missing"))?;
                file.hashes.push(read_hash(line).ok_or(malformed(at, "it must be 64 hexadecimal digits"))?);
            }
            files.push(file);
        }
        Ok(Manifest { files })
    }

    /// Its chunks in order, for the machine.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        self.places().into_iter().map(|(place, hash)| Chunk { bytes: place.bytes, hash }).collect()
    }

    /// Its chunks in order, with where they lie and what they are.
    pub(crate) fn places(&self) -> Vec<(ChunkPlace, [u8; 32])> {
        let of_file = |file: &DataFile| {
            let (path, size) = (file.path.clone(), file.bytes);
            let place = move |(at, hash): (usize, &[u8; 32])| {
                let offset = at as u64 * CHUNK_BYTES;
                let bytes = CHUNK_BYTES.min(size - offset);
                (ChunkPlace { path: path.clone(), offset, bytes }, *hash)
            };
            file.hashes.iter().enumerate().map(place).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    /// Paths and sizes of its files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|file| (file.path.as_str(), file.bytes))
    }
}

/// The plain files below a folder by their paths with `/`, in order, and what the system says of each.
pub(crate) fn plain_files(folder: &Path) -> Result<Vec<(String, fs::Metadata)>, ManifestError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ManifestError::Io { path, source }
        };
        for entry in fs::read_dir(&next).map_err(io(&next))? {
            let path = entry.map_err(io(&next))?.path();
            let meta = fs::symlink_metadata(&path).map_err(io(&path))?;
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() {
                found.push((relative(folder, &path)?, meta));
            } else {
                return Err(ManifestError::Unfit { path, why: "is neither a plain file nor a folder" });
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn relative(folder: &Path, path: &Path) -> Result<String, ManifestError> {
    let unfit = |why| ManifestError::Unfit { path: path.to_owned(), why };
    let inner = path.strip_prefix(folder).ok().and_then(Path::to_str);
    let text = inner.ok_or_else(|| unfit("its name is not UTF-8"))?;
    if is_sound(text) { Ok(text.to_owned()) } else { Err(unfit("its name has control characters")) }
}

/// Whether a path stays inside of the folder it is joined to.
fn is_sound(path: &str) -> bool {
    !path.is_empty()
        && !path.chars().any(char::is_control)
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn read_file(folder: &Path, path: String) -> Result<DataFile, ManifestError> {
    let full = folder.join(&path);
    let io = |source| ManifestError::Io { path: full.clone(), source };
    let mut file = File::open(&full).map_err(io)?;
    let (mut bytes, mut hashes) = (0, Vec::new());
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        let read = file.by_ref().take(CHUNK_BYTES).read_to_end(&mut chunk).map_err(io)? as u64;
        if read == 0 {
            return Ok(DataFile { path, bytes, hashes });
        }
        bytes += read;
        hashes.push(hash(&chunk));
    }
}

fn read_head(line: &str) -> Result<DataFile, &'static str> {
    let rest = line.strip_prefix("file ").ok_or("it must be `file SIZE PATH`")?;
    let (bytes, path) = rest.split_once(' ').ok_or("it must be `file SIZE PATH`")?;
    let bytes = bytes.parse().map_err(|_| "its size must be a number")?;
    if !is_sound(path) {
        return Err("its path must stay inside of the folder");
    }
    Ok(DataFile { path: path.to_owned(), bytes, hashes: Vec::new() })
}

fn read_hash(line: &str) -> Option<[u8; 32]> {
    format!("sha256:{line}").parse::<ContentDigest>().ok().map(|digest| digest.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/long"), vec![7; CHUNK_BYTES as usize + 5]).unwrap();
        fs::write(dir.path().join("a"), "short").unwrap();
        fs::write(dir.path().join("empty"), "").unwrap();
        dir
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_names_every_byte() {
        let dir = folder();
        let manifest = Manifest::of_folder(dir.path()).unwrap();
        assert_eq!(Manifest::read(&manifest.text()).unwrap(), manifest);
        assert_eq!(manifest.bytes(), CHUNK_BYTES + 10);
        let places: Vec<_> =
            manifest.places().into_iter().map(|(p, _)| (p.path, p.offset, p.bytes)).collect();
        let long = |offset, bytes| ("b/long".to_owned(), offset, bytes);
        assert_eq!(places, [("a".to_owned(), 0, 5), long(0, CHUNK_BYTES), long(CHUNK_BYTES, 5)]);
    }

    #[test]
    fn one_changed_bit_or_name_is_another_digest() {
        let dir = folder();
        let first = Manifest::of_folder(dir.path()).unwrap().digest();
        fs::write(dir.path().join("a"), "shoru").unwrap();
        let bit = Manifest::of_folder(dir.path()).unwrap().digest();
        fs::write(dir.path().join("a"), "short").unwrap();
        assert_eq!(Manifest::of_folder(dir.path()).unwrap().digest(), first);
        fs::rename(dir.path().join("empty"), dir.path().join("void")).unwrap();
        let name = Manifest::of_folder(dir.path()).unwrap().digest();
        assert!(first != bit && first != name && bit != name);
    }

    #[test]
    fn nothing_outside_of_the_folder_can_be_named() {
        let hex = "00".repeat(32);
        for path in ["../x", "/etc/passwd", "a/../../b", "", "a\u{7}b"] {
            let text = format!("{HEAD}\nfile 1 {path}\n{hex}\n");
            assert!(Manifest::read(&text).is_err(), "{path:?}");
        }
        for text in ["", "muster-dataset 2\n", "muster-dataset 1\nfile 1 a\n", "muster-dataset 1\nfile x a\n"]
        {
            assert!(Manifest::read(text).is_err(), "{text:?}");
        }
        let twice = format!("{HEAD}\nfile 1 a\n{hex}\nfile 1 a\n{hex}\n");
        assert!(Manifest::read(&twice).is_err());
    }

    #[test]
    fn a_link_is_no_part_of_a_dataset() {
        let dir = folder();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        let refused = Manifest::of_folder(dir.path()).unwrap_err().to_string();
        assert!(refused.ends_with("out: is neither a plain file nor a folder"), "{refused}");
    }
}
