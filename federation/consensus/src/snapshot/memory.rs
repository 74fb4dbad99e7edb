//! Snapshot content in memory, for the simulator: finished content survives a crash, the rest does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use bytes::Bytes;

use super::{CHUNK_BYTES, ContentHash, SnapshotContent, SnapshotStore, SnapshotWriter};
use crate::log_store::StoreError;

/// Content of one simulated disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshots {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    finished: BTreeMap<ContentHash, Bytes>,
    staged: BTreeMap<ContentHash, Vec<u8>>,
}

/// Content being written.
#[derive(Debug)]
pub struct MemoryWriter {
    store: MemorySnapshots,
    announced: Option<ContentHash>,
    written: Vec<u8>,
}

impl MemorySnapshots {
    /// Drop what was not finished, as a crash may.
    pub fn crash(&self) {
        self.lock().staged.clear();
    }

    /// The names of all finished content.
    pub fn finished(&self) -> Vec<ContentHash> {
        self.lock().finished.keys().copied().collect()
    }

    /// Changes finished content behind its name. False if it is not there.
    pub(crate) fn change(&self, hash: &ContentHash, change: impl FnOnce(&[u8]) -> Bytes) -> bool {
        let mut content = self.lock();
        let Some(bytes) = content.finished.get_mut(hash) else { return false };
        *bytes = change(bytes);
        true
    }

    /// Takes over what another one has, and forgets what was here.
    pub(crate) fn replace_by(&self, other: &MemorySnapshots) {
        let finished = other.lock().finished.clone();
        *self.lock() = Content { finished, staged: BTreeMap::new() };
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotStore for MemorySnapshots {
    type Writer = MemoryWriter;

    fn create(&self) -> Result<MemoryWriter, StoreError> {
        Ok(MemoryWriter { store: self.clone(), announced: None, written: Vec::new() })
    }

    fn stage(&self, hash: &ContentHash) -> Result<MemoryWriter, StoreError> {
        let written = self.lock().staged.get(hash).cloned().unwrap_or_default();
        Ok(MemoryWriter { store: self.clone(), announced: Some(*hash), written })
    }

    fn read_chunk(&self, hash: &ContentHash, offset: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lock().finished.get(hash).map(|content| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            content.slice(from..content.len().min(from + CHUNK_BYTES))
        }))
    }

    fn locate(&self, hash: &ContentHash) -> String {
        format!("snapshot {hash}")
    }

    fn retain(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        self.lock().finished.retain(|hash, _| keep.contains(hash));
        Ok(())
    }
}

impl SnapshotWriter for MemoryWriter {
    fn written_bytes(&self) -> u64 {
        self.written.len() as u64
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        self.written.extend_from_slice(chunk);
        if let Some(hash) = self.announced {
            self.store.lock().staged.insert(hash, self.written.clone());
        }
        Ok(())
    }

    fn finish(self) -> Result<SnapshotContent, StoreError> {
        let mut digest = digest::Context::new(&digest::SHA256);
        digest.update(&self.written);
        let hash = ContentHash::of(digest);
        let mut content = self.store.lock();
        if let Some(announced) = self.announced {
            content.staged.remove(&announced);
            if announced != hash {
                let reason = format!("the content that arrived has the hash {hash}; it was discarded");
                return Err(StoreError::corrupt(format!("snapshot {announced}"), "the whole file", reason));
            }
        }
        let size_bytes = self.written.len() as u64;
        content.finished.insert(hash, Bytes::from(self.written));
        Ok(SnapshotContent { hash, size_bytes })
    }
}
