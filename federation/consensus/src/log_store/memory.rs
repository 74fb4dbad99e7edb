//! A simulated disk: what was not synced is lost in a crash, and it can be told to fail.
//!
//! ```text
//! persist(batch) --> unsynced --sync--> durable
//!                        |                 ^
//!                      crash() drops it    open() starts from here
//! ```

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    entries: VecDeque<LogEntry>,
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
        let mut state = self.disk.lock();
        state.durable.incarnation += 1;
        let image = &state.durable;
        Ok(Restored {
            incarnation: image.incarnation,
            hard_state: image.hard_state,
            snapshot: image.snapshot.clone(),
            compacted: image.compacted,
            entries: image.entries.iter().cloned().collect(),
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
        Ok(state.durable.entries.iter().filter(|entry| range.contains(&entry.index)).cloned().collect())
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
            while self.entries.back().is_some_and(|entry| entry.index >= first.index) {
                self.entries.pop_back();
            }
            self.entries.extend(batch.entries.iter().cloned());
        }
        if let Some(to) = batch.compacted {
            while self.entries.front().is_some_and(|entry| entry.index <= to.index) {
                self.entries.pop_front();
            }
            self.compacted = to;
        }
        self.hard_state = batch.hard_state;
    }
}
