//! Snapshot content as files: one file per content, named by its hash.
//!
//! ```text
//! snapshots/HASH.snap        finished, durable
//! snapshots/HASH.partial     announced by a peer, resumable
//! snapshots/new-N.partial    being written here
//! ```
//!
//! Files instead of the log's database, so that writing a large snapshot never stalls the loop and its space comes
//! back at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use bytes::Bytes;

use super::{CHUNK_BYTES, ContentHash, SnapshotContent, SnapshotStore, SnapshotWriter};
use crate::log_store::StoreError;

/// Content in a folder.
#[derive(Debug)]
pub struct SnapshotFiles {
    folder: PathBuf,
    created: AtomicU64,
}

/// One file being written.
#[derive(Debug)]
pub struct FileWriter {
    file: File,
    path: PathBuf,
    announced: Option<ContentHash>,
    digest: DebugDigest,
    written_bytes: u64,
}

/// The running hash; the library's type has no `Debug`.
struct DebugDigest(digest::Context);

impl std::fmt::Debug for DebugDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256")
    }
}

impl SnapshotFiles {
    /// Content in `folder`, which is made if it is missing. Half-written content of an earlier process is removed,
    /// announced content is kept for resuming.
    ///
    /// # Errors
    /// The disk refused.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|e| StoreError::io(folder.display(), "create the folder", e))?;
        let files = Self::existing(folder);
        for path in files.list()? {
            if name_of(&path).starts_with("new-") {
                remove(&path)?;
            }
        }
        Ok(files)
    }

    /// Content in a folder of which nothing is changed.
    pub(crate) fn existing(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), created: AtomicU64::new(0) }
    }

    fn list(&self) -> Result<Vec<PathBuf>, StoreError> {
        let failed = |e| StoreError::io(self.folder.display(), "list the folder", e);
        let entries = fs::read_dir(&self.folder).map_err(failed)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed)?;
        paths.sort();
        Ok(paths)
    }

    fn finished(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(format!("{hash}.snap"))
    }
}

impl SnapshotStore for SnapshotFiles {
    type Writer = FileWriter;

    fn create(&self) -> Result<FileWriter, StoreError> {
        let number = self.created.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("new-{number}.partial"));
        let file = File::create(&path).map_err(|e| StoreError::io(path.display(), "create", e))?;
        Ok(FileWriter::new(file, path, None))
    }

    fn stage(&self, hash: &ContentHash) -> Result<FileWriter, StoreError> {
        let path = self.folder.join(format!("{hash}.partial"));
        // Only one transfer runs at a time: what an earlier one left of other content is never resumed.
        for other in self.list()?.iter().filter(|other| **other != path && is_staged(other)) {
            remove(other)?;
        }
        let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = open.map_err(|e| StoreError::io(path.display(), "open", e))?;
        let mut writer = FileWriter::new(file, path, Some(*hash));
        writer.resume()?;
        Ok(writer)
    }

    fn read_chunk(&self, hash: &ContentHash, offset: u64) -> Result<Option<Bytes>, StoreError> {
        let path = self.finished(hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io(path.display(), "open", e)),
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        let length =
            read_up_to(&file, &mut chunk, offset).map_err(|e| StoreError::io(path.display(), "read", e))?;
        chunk.truncate(length);
        Ok(Some(Bytes::from(chunk)))
    }

    fn locate(&self, hash: &ContentHash) -> String {
        self.finished(hash).display().to_string()
    }

    fn retain(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        let keep: Vec<String> = keep.iter().map(|hash| format!("{hash}.snap")).collect();
        for path in self.list()? {
            let name = name_of(&path);
            if name.ends_with(".snap") && !keep.contains(&name) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

impl FileWriter {
    fn new(file: File, path: PathBuf, announced: Option<ContentHash>) -> Self {
        let digest = DebugDigest(digest::Context::new(&digest::SHA256));
        Self { file, path, announced, digest, written_bytes: 0 }
    }

    /// Hash what an earlier transfer left.
    fn resume(&mut self) -> Result<(), StoreError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read =
                self.file.read(&mut chunk).map_err(|e| StoreError::io(self.path.display(), "read", e))?;
            if read == 0 {
                return Ok(());
            }
            self.digest.0.update(&chunk[..read]);
            self.written_bytes += read as u64;
        }
    }
}

impl SnapshotWriter for FileWriter {
    fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(chunk).map_err(|e| StoreError::io(self.path.display(), "write", e))?;
        self.digest.0.update(chunk);
        self.written_bytes += chunk.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<SnapshotContent, StoreError> {
        let hash = ContentHash::of(self.digest.0);
        if self.announced.is_some_and(|announced| announced != hash) {
            remove(&self.path)?;
            let reason = format!("the content that arrived has the hash {hash}; it was discarded");
            return Err(StoreError::corrupt(self.path.display(), "the whole file", reason));
        }
        self.file.sync_all().map_err(|e| StoreError::io(self.path.display(), "fsync", e))?;
        let finished = self.path.with_file_name(format!("{hash}.snap"));
        fs::rename(&self.path, &finished).map_err(|e| StoreError::io(finished.display(), "rename", e))?;
        sync_folder(&finished)?;
        Ok(SnapshotContent { hash, size_bytes: self.written_bytes })
    }
}

/// Make a rename in a file's folder durable.
pub(crate) fn sync_folder(file: &Path) -> Result<(), StoreError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| StoreError::io(folder.display(), "fsync the folder", e))
}

fn read_up_to(file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < out.len() {
        match file.read_at(&mut out[length..], offset + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(|e| StoreError::io(path.display(), "remove", e))
}

fn is_staged(path: &Path) -> bool {
    let name = name_of(path);
    name.ends_with(".partial") && !name.starts_with("new-")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
