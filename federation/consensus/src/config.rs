//! Settings: how often, how large, how long. Times are in ticks, since only the runtime has a clock.

use std::ops::Range;

use crate::membership::Membership;

/// Settings of a [`crate::Driver`].
#[derive(Debug, Clone, Default)]
pub struct DriverConfig {
    /// Of the replica inside.
    pub replica: ReplicaConfig,
    /// When to take a snapshot and what to keep of the log.
    pub compaction: CompactionPolicy,
    /// The founding voters, used only by a fresh store. `None` on a fresh store: wait to be added to a group.
    pub bootstrap: Option<Membership>,
}

/// Settings of a [`crate::Replica`].
#[derive(Debug, Clone, Default)]
pub struct ReplicaConfig {
    /// Source of election timeouts. The same seed and the same inputs give the same outputs.
    pub seed: u64,
    /// Durations.
    pub timing: Timing,
    /// Sizes.
    pub limits: Limits,
}

/// Durations, in ticks. Defaults are meant for a tick of 50 ms.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat_ticks: usize,
    /// A follower campaigns after more than this and less than twice this without a leader; at least 3.
    pub election_ticks: usize,
    /// The same right after a start, when no leader has been heard yet: restarting a whole group is quick.
    pub startup_election_ticks: Range<usize>,
    /// How long after a start `startup_election_ticks` holds.
    pub startup_ticks: u64,
    /// After how long an unanswered ReadIndex round is asked again.
    pub read_retry_ticks: u64,
    /// After how long a read gives up.
    pub read_timeout_ticks: u64,
    /// How long after losing leadership an undecided proposal is watched before it is reported as unknown.
    pub unknown_after_ticks: u64,
    /// After how long without a request from its receiver a snapshot is offered again.
    pub snapshot_timeout_ticks: u64,
    /// After how long an unanswered request for a chunk is repeated.
    pub chunk_retry_ticks: u64,
}

/// Sizes, in bytes unless said otherwise. Nothing is unlimited.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of one proposal.
    pub max_entry_bytes: usize,
    /// Of the entries of one append message (one entry may exceed it).
    pub max_append_bytes: u64,
    /// Append messages in flight to one follower.
    pub max_inflight_messages: usize,
    /// Of the leader's entries that are not yet committed; more is refused as busy.
    pub max_uncommitted_bytes: usize,
    /// Of the entries applied in one step.
    pub max_apply_bytes: u64,
    /// Of one message from a peer.
    pub max_message_bytes: usize,
    /// How many entries a learner may lag and still be promoted.
    pub max_promotion_lag: u64,
}

/// When to take a snapshot and what to keep of the log.
///
/// The log is held in memory, too, so these bounds are also bounds on memory.
#[derive(Debug, Clone)]
pub struct CompactionPolicy {
    /// Take one after this many bytes of entries, or a quarter of the last snapshot's size if that is more.
    pub snapshot_after_bytes: u64,
    /// Take one after this many entries.
    pub snapshot_after_entries: u64,
    /// Entries kept behind a snapshot, so that a follower that blinked needs no snapshot.
    pub keep_entries: u64,
    /// Bytes kept behind a snapshot, at most.
    pub keep_bytes: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ticks: 2,
            election_ticks: 6,
            startup_election_ticks: 2..5,
            startup_ticks: 20,
            read_retry_ticks: 4,
            read_timeout_ticks: 60,
            unknown_after_ticks: 40,
            snapshot_timeout_ticks: 20,
            chunk_retry_ticks: 6,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entry_bytes: 4 << 20,
            max_append_bytes: 1 << 20,
            max_inflight_messages: 256,
            max_uncommitted_bytes: 32 << 20,
            max_apply_bytes: 4 << 20,
            max_message_bytes: 16 << 20,
            max_promotion_lag: 1_000,
        }
    }
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            snapshot_after_bytes: 32 << 20,
            snapshot_after_entries: 50_000,
            keep_entries: 2_000,
            keep_bytes: 4 << 20,
        }
    }
}
