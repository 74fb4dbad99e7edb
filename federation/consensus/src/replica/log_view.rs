//! The log as the raft library sees it: in memory, bounded by compaction, a copy of what is or becomes durable.
//!
//! Reads never touch a disk, so a step never blocks and cannot fail on storage.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, StorageError};

use super::convert;
use crate::entry::{LogEntry, LogPosition, Restored};
use crate::ids::ReplicaId;
use crate::snapshot::SnapshotMeta;

pub(crate) struct LogView {
    initial: RaftState,
    compacted: LogPosition,
    entries: VecDeque<Entry>,
    snapshot: SnapshotMeta,
    /// Raft asked for a snapshot that is not there yet.
    snapshot_wanted: Cell<bool>,
}

impl LogView {
    pub(crate) fn new(restored: &Restored) -> Self {
        let initial = RaftState::new(
            convert::hard_state(restored.hard_state),
            convert::conf_state(&restored.snapshot.membership),
        );
        Self {
            initial,
            compacted: restored.compacted,
            entries: restored.entries.iter().map(convert::raft_entry).collect(),
            snapshot: restored.snapshot.clone(),
            snapshot_wanted: Cell::new(false),
        }
    }

    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        while self.entries.back().is_some_and(|entry| entry.index >= first.index) {
            self.entries.pop_back();
        }
        self.entries.extend(entries.iter().cloned());
    }

    /// A snapshot from elsewhere replaces the log.
    pub(crate) fn install(&mut self, meta: SnapshotMeta) {
        self.entries.clear();
        self.compacted = LogPosition { index: meta.index, term: meta.term };
        self.snapshot = meta;
    }

    /// A snapshot of this replica's own state.
    pub(crate) fn record(&mut self, meta: SnapshotMeta) {
        self.snapshot = meta;
        self.snapshot_wanted.set(false);
    }

    /// Drop entries up to `index`; returns where the log begins now.
    pub(crate) fn compact(&mut self, index: u64) -> LogPosition {
        while let Some(entry) = self.entries.front().filter(|entry| entry.index <= index) {
            self.compacted = LogPosition { index: entry.index, term: entry.term };
            self.entries.pop_front();
        }
        self.compacted
    }

    pub(crate) fn snapshot_meta(&self) -> &SnapshotMeta {
        &self.snapshot
    }

    pub(crate) fn snapshot_wanted(&self) -> bool {
        self.snapshot_wanted.get()
    }

    pub(crate) fn compacted(&self) -> LogPosition {
        self.compacted
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = LogEntry> + '_ {
        self.entries.iter().map(convert::log_entry)
    }

    /// Payload bytes of the entries after `index`, from the end, until `stop` says so; the index where it did.
    pub(crate) fn walk_back(&self, from: u64, mut stop: impl FnMut(&Entry) -> bool) -> u64 {
        let kept = self.entries.iter().rev().skip_while(|entry| entry.index > from);
        let mut index = from;
        for entry in kept {
            if stop(entry) {
                break;
            }
            index = entry.index - 1;
        }
        index
    }

    fn last(&self) -> u64 {
        self.compacted.index + self.entries.len() as u64
    }

    fn offset(&self, index: u64) -> usize {
        usize::try_from(index - self.compacted.index - 1).expect("the log fits into memory")
    }
}

impl raft::Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.compacted.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let (low, high) = (self.offset(low), self.offset(high));
        let budget = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0;
        let fitting = self.entries.range(low..high).take_while(|entry| {
            let first = size == 0;
            size += entry.data.len() as u64 + 32;
            first || size <= budget
        });
        Ok(fitting.cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.compacted.index {
            return Ok(self.compacted.term);
        }
        if index < self.compacted.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get(self.offset(index));
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.compacted.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// A replica ignores a snapshot from before it was in the group: a newcomer needs a newer one.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let knows_receiver = ReplicaId::new(to).is_some_and(|to| self.snapshot.membership.contains(to));
        let usable = self.snapshot.content.is_some()
            && knows_receiver
            && self.snapshot.index >= request_index
            && self.snapshot.index >= self.compacted.index;
        if !usable {
            self.snapshot_wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(convert::raft_snapshot(&self.snapshot))
    }
}
