//! What the log is made of, and the unit in which it is made durable.

use bytes::Bytes;

use crate::membership::Membership;
use crate::snapshot::SnapshotMeta;

/// A place in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Index, from 1.
    pub index: u64,
    /// Term of the leader that wrote the entry.
    pub term: u64,
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A payload for the state machine; empty for the entry with which a leader begins its term.
    Normal,
    /// A change of membership, encoded by this crate.
    Membership,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Index, from 1.
    pub index: u64,
    /// Term of the leader that wrote it.
    pub term: u64,
    /// What it is for.
    pub kind: EntryKind,
    /// The payload.
    pub bytes: Bytes,
}

/// What a replica must never forget besides its log (Raft, figure 2), and the commit index as a hint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HardState {
    /// Latest term seen.
    pub term: u64,
    /// Replica voted for in `term`, 0 for none.
    pub vote: u64,
    /// Commit index known when the batch was written; may lag, never leads.
    pub commit: u64,
}

/// A change of the stored snapshot record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotWrite {
    /// This replica made a snapshot of its own state; the log stays.
    Recorded(SnapshotMeta),
    /// A snapshot came from elsewhere; it replaces the whole log.
    Installed(SnapshotMeta),
}

/// Everything of one turn that must become durable together: one transaction, one fsync.
///
/// Order of effect: snapshot, entries, compaction, hard state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Always whole, so that a batch never depends on an older one.
    pub hard_state: HardState,
    /// Replace everything from the index of the first one on. Contiguous.
    pub entries: Vec<LogEntry>,
    /// The new snapshot record, if it changed.
    pub snapshot: Option<SnapshotWrite>,
    /// Entries up to and including this one may go.
    pub compacted: Option<LogPosition>,
}

/// What a store gives back when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// How often this store has been opened: makes names of requests unique over restarts.
    pub incarnation: u64,
    /// The last durable hard state.
    pub hard_state: HardState,
    /// The last durable snapshot record; index 0 when there is none.
    pub snapshot: SnapshotMeta,
    /// The entry before the first one of `entries`.
    pub compacted: LogPosition,
    /// The whole log, contiguous.
    pub entries: Vec<LogEntry>,
}

impl LogEntry {
    /// Where the entry stands.
    pub fn position(&self) -> LogPosition {
        LogPosition { index: self.index, term: self.term }
    }
}

impl Batch {
    /// The first batch of a new group: every founding replica writes the same one.
    ///
    /// It stands at index 1, so that a replica that joins later cannot be fed from index 1 without learning who the
    /// founders were.
    pub fn bootstrap(membership: Membership) -> Self {
        let snapshot = SnapshotMeta { index: 1, term: 1, membership, content: None };
        Self {
            hard_state: HardState { term: 1, vote: 0, commit: 1 },
            snapshot: Some(SnapshotWrite::Installed(snapshot)),
            ..Self::default()
        }
    }
}

impl Restored {
    /// Whether nothing was ever written: neither founded nor joined.
    pub fn is_fresh(&self) -> bool {
        self.snapshot.index == 0 && self.entries.is_empty() && self.hard_state == HardState::default()
    }

    /// The last index of the log.
    pub fn last_index(&self) -> u64 {
        self.entries.last().map_or(self.compacted.index, |entry| entry.index)
    }
}
