//! A simulated disk: what was not synced is lost in a crash, and it can be told to fail, or to rot.
//!
//! ```text
//! persist(batch) --> unsynced --sync--> durable <--flip_log(), flip_snapshot(): a bit that nobody wrote
//!                        |                 ^
//!                      crash() drops it    open() starts from here, load() checks each entry
//! ```

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{LogStore, StoreError};
use crate::entry::{Batch, HardState, LogEntry, LogPosition, Restored, SnapshotWrite};
use crate::ids::Identity;
use crate::snapshot::{MemorySnapshots, SnapshotMeta};

/// A simulated disk of one replica. Clones are the same disk; it outlives the stores opened on it.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    identity: Identity,
    state: Arc<Mutex<DiskState>>,
    snapshots: Arc<MemorySnapshots>,
}

/// What the next `persist` does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// No space: nothing is written.
    Full,
    /// Written, but the fsync fails: the batch is unsynced, and may or may not survive.
    FailedSync,
    /// The fsync says yes and does nothing: the batch is lost in a crash. Breaks raft's assumption; for checking
    /// that the checkers notice.
    LyingSync,
}

/// The log store of one process life on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryLogStore {
    disk: MemoryDisk,
    stopped: bool,
}

#[derive(Debug, Default)]
struct DiskState {
    durable: Image,
    unsynced: Vec<Batch>,
    fault: Option<DiskFault>,
    syncs: u64,
}

/// The content of a log, as batches make it.
#[derive(Debug, Clone, Default)]
struct Image {
    incarnation: u64,
    hard_state: HardState,
    snapshot: SnapshotMeta,
    compacted: LogPosition,
    entries: VecDeque<Stored>,
}

/// An entry as it lies on the disk.
#[derive(Debug, Clone)]
struct Stored {
    entry: LogEntry,
    /// What it had when it was written.
    checksum: u32,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new(identity: Identity) -> Self {
        Self { identity, state: Arc::default(), snapshots: Arc::default() }
    }

    /// Open the store, as a starting process does. Only what is durable is there; what is not is lost for good.
    pub fn open(&self) -> MemoryLogStore {
        self.lock().unsynced.clear();
        MemoryLogStore { disk: self.clone(), stopped: false }
    }

    /// Lose power: what is not synced is gone. Drop the old store and open a new one.
    pub fn crash(&self) {
        self.lock().unsynced.clear();
        self.snapshots.crash();
    }

    /// Kill the process only: the kernel still writes what was handed to it.
    pub fn settle(&self) {
        self.lock().sync();
    }

    /// Let the next `persist` fail.
    pub fn inject(&self, fault: DiskFault) {
        self.lock().fault = Some(fault);
    }

    /// Take an injected fault back.
    pub fn repair(&self) {
        self.lock().fault = None;
    }

    /// Flip a bit of a durable entry, chosen by `pick`: as old disks do, unnoticed until somebody reads it. False if there
    /// is nothing to flip.
    pub fn flip_log(&self, pick: u64) -> bool {
        let mut state = self.lock();
        let with_content = state.durable.entries.iter_mut().filter(|stored| !stored.entry.bytes.is_empty());
        let mut with_content: Vec<_> = with_content.collect();
        let Some(chosen) = (pick as usize).checked_rem(with_content.len()) else { return false };
        let entry = &mut with_content[chosen].entry;
        entry.bytes = flipped(&entry.bytes, pick / 8);
        true
    }

    /// Flip a bit of the content of the snapshot that the log begins with. False if there is none.
    pub fn flip_snapshot(&self, pick: u64) -> bool {
        let content = self.lock().durable.snapshot.content;
        content.is_some_and(|content| self.snapshots.change(&content.hash, |bytes| flipped(bytes, pick)))
    }

    /// An empty disk in its place, as an operator who moved the folder away leaves it.
    pub fn wipe(&self) {
        *self.lock() = DiskState::default();
        self.snapshots.replace_by(&MemorySnapshots::default());
    }

    /// What is durable now, on a disk of its own: a copy of the folder.
    pub fn copy(&self) -> MemoryDisk {
        let durable = self.lock().durable.clone();
        let snapshots = MemorySnapshots::default();
        snapshots.replace_by(&self.snapshots);
        let state = DiskState { durable, ..DiskState::default() };
        MemoryDisk {
            identity: self.identity,
            state: Arc::new(Mutex::new(state)),
            snapshots: Arc::new(snapshots),
        }
    }

    /// A copy made before takes the place of what is there.
    pub fn restore(&self, copy: &MemoryDisk) {
        let durable = copy.lock().durable.clone();
        *self.lock() = DiskState { durable, ..DiskState::default() };
        self.snapshots.replace_by(&copy.snapshots);
    }

    /// How many batches are written but not durable.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// How many fsyncs were done.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> String {
        format!("simulated disk of replica {}", self.identity.replica)
    }
}

impl LogStore for MemoryLogStore {
    type Snapshots = MemorySnapshots;

    fn identity(&self) -> Identity {
        self.disk.identity
    }

    fn load(&mut self) -> Result<Restored, StoreError> {
        let file = self.disk.name();
        let mut state = self.disk.lock();
        if let Some(stored) =
            state.durable.entries.iter().find(|stored| checksum(&stored.entry) != stored.checksum)
        {
            let place = format!("log index {}", stored.entry.index);
            return Err(StoreError::corrupt(file, place, "its checksum does not fit"));
        }
        state.durable.incarnation += 1;
        let image = &state.durable;
        Ok(Restored {
            incarnation: image.incarnation,
            hard_state: image.hard_state,
            snapshot: image.snapshot.clone(),
            compacted: image.compacted,
            entries: image.entries.iter().map(|stored| stored.entry.clone()).collect(),
        })
    }

    fn persist(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let file = self.disk.name();
        if self.stopped {
            return Err(StoreError::Stopped { file });
        }
        let mut state = self.disk.lock();
        let fault = state.fault.take();
        if fault == Some(DiskFault::Full) {
            self.stopped = true;
            return Err(StoreError::Full { file });
        }
        state.unsynced.push(batch.clone());
        match fault {
            Some(DiskFault::FailedSync) => {
                self.stopped = true;
                Err(StoreError::io(file, "fsync", std::io::Error::other("injected fault")))
            }
            Some(DiskFault::LyingSync) => Ok(()),
            _ => {
                state.sync();
                Ok(())
            }
        }
    }

    fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        let state = self.disk.lock();
        let entries = state.durable.entries.iter().map(|stored| &stored.entry);
        Ok(entries.filter(|entry| range.contains(&entry.index)).cloned().collect())
    }

    fn snapshots(&self) -> Arc<MemorySnapshots> {
        self.disk.snapshots.clone()
    }
}

impl DiskState {
    fn sync(&mut self) {
        self.syncs += 1;
        for batch in self.unsynced.drain(..) {
            self.durable.write(&batch);
        }
    }
}

impl Image {
    fn write(&mut self, batch: &Batch) {
        match &batch.snapshot {
            Some(SnapshotWrite::Recorded(meta)) => self.snapshot = meta.clone(),
            Some(SnapshotWrite::Installed(meta)) => {
                self.entries.clear();
                self.compacted = LogPosition { index: meta.index, term: meta.term };
                self.snapshot = meta.clone();
            }
            None => {}
        }
        if let Some(first) = batch.entries.first() {
            while self.entries.back().is_some_and(|stored| stored.entry.index >= first.index) {
                self.entries.pop_back();
            }
            let stored = |entry: &LogEntry| Stored { checksum: checksum(entry), entry: entry.clone() };
            self.entries.extend(batch.entries.iter().map(stored));
        }
        if let Some(to) = batch.compacted {
            while self.entries.front().is_some_and(|stored| stored.entry.index <= to.index) {
                self.entries.pop_front();
            }
            self.compacted = to;
        }
        self.hard_state = batch.hard_state;
    }
}

fn checksum(entry: &LogEntry) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&entry.term.to_le_bytes()), &entry.bytes)
}

fn flipped(bytes: &[u8], pick: u64) -> Bytes {
    let mut changed = bytes.to_vec();
    if let Some(at) = (pick as usize).checked_rem(changed.len()) {
        changed[at] ^= 1 << (pick % 8);
    }
    changed.into()
}
