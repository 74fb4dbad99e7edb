//! When to take a snapshot, and what follows when it is written.

use std::sync::Arc;

use super::{Driver, Effects, Event};
use crate::config::CompactionPolicy;
use crate::log_store::{LogStore, StoreError};
use crate::membership::Membership;
use crate::snapshot::{ChunkedWrite, SnapshotContent, SnapshotMeta, SnapshotStore};
use crate::state_machine::{FrozenState, StateMachine};

/// Counts what was applied since the last snapshot.
pub(super) struct Compaction {
    policy: CompactionPolicy,
    bytes: u64,
    entries: u64,
    running: bool,
}

/// Writes a frozen state out. Run it on another thread and give its result back to the driver.
pub struct SnapshotJob<S, F> {
    snapshots: Arc<S>,
    frozen: F,
    index: u64,
    term: u64,
    membership: Membership,
}

/// A snapshot job's end.
#[derive(Debug)]
pub struct SnapshotWritten {
    index: u64,
    term: u64,
    membership: Membership,
    content: Result<SnapshotContent, StoreError>,
}

impl Compaction {
    pub(super) fn new(policy: &CompactionPolicy) -> Self {
        Self { policy: policy.clone(), bytes: 0, entries: 0, running: false }
    }

    pub(super) fn applied(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes as u64;
    }

    pub(super) fn installed(&mut self) {
        (self.bytes, self.entries) = (0, 0);
    }

    fn due(&self, last_size_bytes: u64) -> bool {
        let bytes = self.policy.snapshot_after_bytes.max(last_size_bytes / 4);
        self.bytes >= bytes || self.entries >= self.policy.snapshot_after_entries
    }
}

impl<S: SnapshotStore, F: FrozenState> SnapshotJob<S, F> {
    /// The last entry in it.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Write it, durably. Takes as long as the state is large.
    pub fn run(self) -> SnapshotWritten {
        let Self { snapshots, frozen, index, term, membership } = self;
        SnapshotWritten { index, term, membership, content: write(&*snapshots, frozen) }
    }
}

fn write<S: SnapshotStore, F: FrozenState>(snapshots: &S, frozen: F) -> Result<SnapshotContent, StoreError> {
    let mut out = ChunkedWrite::new(snapshots.create()?);
    match frozen.write_to(&mut out) {
        Ok(()) => out.finish(),
        Err(error) => {
            Err(out.take_failure().unwrap_or(StoreError::io("snapshot", "serialise the state", error)))
        }
    }
}

impl<L: LogStore, M: StateMachine> Driver<L, M> {
    /// Freeze the state if it is time.
    pub(super) fn consider_snapshot(&mut self, effects: &mut Effects<L, M>) {
        let last_size = self.replica.snapshot_meta().content.map_or(0, |content| content.size_bytes);
        let due = self.compaction.due(last_size) || self.replica.wants_snapshot();
        if !due || self.compaction.running || effects.snapshot_job.is_some() {
            return;
        }
        let Some(term) = self.replica.term_at(self.applied) else { return };
        self.compaction.running = true;
        (self.compaction.bytes, self.compaction.entries) = (0, 0);
        effects.snapshot_job = Some(SnapshotJob {
            snapshots: self.snapshots.clone(),
            frozen: self.machine.freeze(),
            index: self.applied,
            term,
            membership: self.replica.membership(),
        });
    }

    /// A job ended: note its snapshot, cut the log behind it.
    pub(super) fn take_snapshot(&mut self, written: SnapshotWritten, effects: &mut Effects<L, M>) {
        self.compaction.running = false;
        let SnapshotWritten { index, term, membership, content } = written;
        match content {
            Ok(content) => {
                let meta = SnapshotMeta { index, term, membership, content: Some(content) };
                let policy = &self.compaction.policy;
                let cut = self.replica.cut_behind(index, policy.keep_entries, policy.keep_bytes);
                self.replica.snapshot_recorded(meta, cut);
                effects.events.push(Event::SnapshotRecorded { index, size_bytes: content.size_bytes });
            }
            Err(error) => effects.events.push(Event::SnapshotFailed { reason: error.to_string() }),
        }
    }

    /// Remove content that nobody needs once the present record is durable: not the present one, and not being sent.
    pub(super) fn drop_old_snapshots(&mut self, effects: &mut Effects<L, M>) {
        let present = self.replica.snapshot_meta().content;
        if self.kept == present {
            return;
        }
        self.kept = present;
        let keep: Vec<_> = present.iter().map(|content| content.hash).chain(self.transfer.in_use()).collect();
        if let Err(error) = self.snapshots.retain(&keep) {
            effects.events.push(Event::SnapshotFailed { reason: error.to_string() });
        }
    }
}
