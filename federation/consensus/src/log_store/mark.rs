//! The commit mark: a tiny file beside the log that holds the number of the last batch whose fsync succeeded.
//!
//! After a crash the last batch of a log may not check out. The log cannot know whether it was torn (never acknowledged) or
//! damaged later (acknowledged, and lost). The mark can: it is written after the fsync, so a log older than the mark has
//! lost something.
//! It costs one small write and no fsync; if power is lost it may lag, never lead.
//!
//! ```text
//! offset 0    slot for even numbers: magic (8) | sequence (8) | crc32c (4)
//! offset 512  slot for odd numbers
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;

const MAGIC: &[u8; 8] = b"mstrmrk1";
const SLOT: u64 = 512;
const LENGTH: usize = 20;

/// The open mark of a log.
#[derive(Debug)]
pub(crate) struct CommitMark {
    file: File,
    path: PathBuf,
}

impl CommitMark {
    /// Make the mark of a new log, at 0, durable.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = open.map_err(|e| StoreError::io(path.display(), "create", e))?;
        let mark = Self { file, path: path.to_owned() };
        mark.write(0)?;
        mark.file.sync_all().map_err(|e| StoreError::io(path.display(), "fsync", e))?;
        Ok(mark)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = OpenOptions::new().read(true).write(true).open(path);
        let file = open.map_err(|e| StoreError::io(path.display(), "open", e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Keep other processes out of the folder, until this one ends or lets go.
    pub(crate) fn lock(&self) -> Result<(), StoreError> {
        match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { file: self.path.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(StoreError::io(self.path.display(), "lock", source)),
        }
    }

    /// Number of the last batch known to be durable.
    pub(crate) fn read(&self) -> Result<u64, StoreError> {
        let slots = [self.read_slot(0), self.read_slot(SLOT)];
        let newest = slots.into_iter().flatten().max();
        newest.ok_or_else(|| {
            StoreError::corrupt(self.path.display(), "offset 0", "no slot has a valid checksum")
        })
    }

    /// Note that a batch is durable.
    pub(crate) fn write(&self, sequence: u64) -> Result<(), StoreError> {
        let slot = encode(sequence);
        let offset = (sequence % 2) * SLOT;
        self.file.write_all_at(&slot, offset).map_err(|e| StoreError::io(self.path.display(), "write", e))
    }

    fn read_slot(&self, offset: u64) -> Option<u64> {
        let mut slot = [0; LENGTH];
        self.file.read_exact_at(&mut slot, offset).ok()?;
        let sequence = u64::from_le_bytes(slot[8..16].try_into().ok()?);
        (slot == encode(sequence)).then_some(sequence)
    }
}

fn encode(sequence: u64) -> [u8; LENGTH] {
    let mut slot = [0; LENGTH];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..16].copy_from_slice(&sequence.to_le_bytes());
    let crc = crc32c::crc32c(&slot[..16]);
    slot[16..].copy_from_slice(&crc.to_le_bytes());
    slot
}
