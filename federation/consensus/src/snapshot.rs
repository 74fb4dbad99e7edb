//! Snapshots: their record in the log store, and the store of their content.
//!
//! ```text
//! state machine --freeze--> SnapshotJob (another thread) --chunks--> SnapshotWriter --finish--> content by hash
//! peer -------------------- chunk by chunk, resumable -------------> SnapshotWriter --finish--> content by hash
//! ```
//!
//! Content is named by its SHA-256, so what came over the network or lay on a disk is checked as a whole before it
//! is used. The record (`SnapshotMeta`) is written to the log store only after the content is durable.

mod files;
mod memory;

use std::fmt;
use std::io::{self, Read, Write};

use aws_lc_rs::digest;
use bytes::Bytes;

pub(crate) use files::sync_folder;
pub use files::{FileWriter, SnapshotFiles};
pub use memory::{MemorySnapshots, MemoryWriter};

use crate::log_store::StoreError;
use crate::membership::Membership;

/// The largest part in which a snapshot is read, sent and written.
pub const CHUNK_BYTES: usize = 1 << 20;

/// SHA-256 of a snapshot's content: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// A snapshot's content: name and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotContent {
    /// Its name.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// The record of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry in it; 0 for "no snapshot".
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Who was in the group at that entry.
    pub membership: Membership,
    /// `None` for the state a machine starts with: a group's first record.
    pub content: Option<SnapshotContent>,
}

/// Where content lies. Shared by the driver and the thread that writes a snapshot.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Writes one piece of content.
    type Writer: SnapshotWriter;

    /// Begin content whose hash is not known yet.
    ///
    /// # Errors
    /// The disk refused.
    fn create(&self) -> Result<Self::Writer, StoreError>;

    /// Begin or resume content that a peer announced.
    ///
    /// # Errors
    /// The disk refused.
    fn stage(&self, hash: &ContentHash) -> Result<Self::Writer, StoreError>;

    /// At most [`CHUNK_BYTES`] from `offset`; empty at the end, `None` if the content is not here.
    ///
    /// # Errors
    /// The disk refused.
    fn read_chunk(&self, hash: &ContentHash, offset: u64) -> Result<Option<Bytes>, StoreError>;

    /// Where content is or would be, for error messages.
    fn locate(&self, hash: &ContentHash) -> String;

    /// Forget all finished content but this.
    ///
    /// # Errors
    /// The disk refused.
    fn retain(&self, keep: &[ContentHash]) -> Result<(), StoreError>;
}

/// Content being written.
pub trait SnapshotWriter: Send {
    /// How many bytes are there already.
    fn written_bytes(&self) -> u64;

    /// Add a part.
    ///
    /// # Errors
    /// The disk refused.
    fn append(&mut self, chunk: &[u8]) -> Result<(), StoreError>;

    /// Make the content durable under its hash. When a hash was announced and does not match, everything written is
    /// discarded.
    ///
    /// # Errors
    /// The disk refused, or the content is not what was announced.
    fn finish(self) -> Result<SnapshotContent, StoreError>;
}

/// Reads content from begin to end and checks the hash at the end.
pub(crate) struct SnapshotReader<'a, S> {
    store: &'a S,
    content: SnapshotContent,
    digest: digest::Context,
    chunk: Bytes,
    offset: u64,
}

/// Cuts what a state machine writes into chunks.
pub(crate) struct ChunkedWrite<W> {
    writer: W,
    buffer: Vec<u8>,
    /// Kept whole, since `io::Error` would hide which file failed.
    failure: Option<StoreError>,
}

impl<'a, S: SnapshotStore> SnapshotReader<'a, S> {
    pub(crate) fn new(store: &'a S, content: SnapshotContent) -> Self {
        Self { store, content, digest: digest::Context::new(&digest::SHA256), chunk: Bytes::new(), offset: 0 }
    }

    /// Read everything and compare the hash.
    pub(crate) fn verify(mut self) -> Result<(), StoreError> {
        let hash = self.content.hash;
        let file = self.store.locate(&hash);
        match io::copy(&mut self, &mut io::sink()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::corrupt(file, "the whole file", "it is missing"));
            }
            Err(source) => return Err(StoreError::io(file, "read the snapshot", source)),
        }
        let found = ContentHash::of(self.digest);
        if found != hash || self.offset != self.content.size_bytes {
            let reason = format!("its {} bytes have the hash {found}", self.offset);
            return Err(StoreError::corrupt(file, "the whole file", reason));
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let chunk = self.store.read_chunk(&self.content.hash, self.offset).map_err(io::Error::other)?;
        let chunk =
            chunk.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the snapshot file is missing"))?;
        self.digest.update(&chunk);
        self.offset += chunk.len() as u64;
        self.chunk = chunk;
        Ok(())
    }
}

impl<S: SnapshotStore> Read for SnapshotReader<'_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.fill()?;
        }
        let part = self.chunk.split_to(out.len().min(self.chunk.len()));
        out[..part.len()].copy_from_slice(&part);
        Ok(part.len())
    }
}

impl<W: SnapshotWriter> ChunkedWrite<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, buffer: Vec::new(), failure: None }
    }

    /// The store's own error, if `write` failed because of it.
    pub(crate) fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    pub(crate) fn finish(mut self) -> Result<SnapshotContent, StoreError> {
        self.writer.append(&self.buffer)?;
        self.writer.finish()
    }
}

impl<W: SnapshotWriter> Write for ChunkedWrite<W> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let part = &part[..part.len().min(CHUNK_BYTES - self.buffer.len())];
        self.buffer.extend_from_slice(part);
        if self.buffer.len() == CHUNK_BYTES {
            let appended = self.writer.append(&self.buffer);
            self.buffer.clear();
            if let Err(error) = appended {
                self.failure = Some(error);
                return Err(io::Error::other("the snapshot store refused the chunk"));
            }
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ContentHash {
    pub(crate) fn of(digest: digest::Context) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.finish().as_ref());
        Self(hash)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
