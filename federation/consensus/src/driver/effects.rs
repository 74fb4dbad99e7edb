//! What goes into a turn of the driver and what comes out.

use bytes::Bytes;

use super::compaction::{SnapshotJob, SnapshotWritten};
use crate::ids::{ReplicaId, Token};
use crate::log_store::{LogStore, StoreError};
use crate::membership::{Membership, MembershipChange};
use crate::replica::{Outbound, PeerError, ReadOutcome, Refusal, ReplicaError, Role, Settled};
use crate::state_machine::{MachineError, StateMachine};

/// What a driver is told.
#[derive(Debug)]
pub enum Input {
    /// One tick of the clock passed.
    Tick,
    /// A peer sent this. `from` is who the connection is, not who the message says.
    Peer {
        /// Who.
        from: ReplicaId,
        /// What.
        bytes: Bytes,
    },
    /// Append an entry.
    Propose {
        /// Names the answer.
        token: Token,
        /// The payload, not empty.
        bytes: Bytes,
    },
    /// Tell when the state may be read.
    Read {
        /// Names the answer.
        token: Token,
    },
    /// Change the group by one step.
    ChangeMembership {
        /// Names the answer.
        token: Token,
        /// The step.
        change: MembershipChange,
    },
    /// Hand leadership over, to the voter that is furthest if none is named. Nothing happens unless this one leads.
    TransferLeadership {
        /// To whom.
        to: Option<ReplicaId>,
    },
    /// Keep this replica from leading, or let it again.
    HoldBack {
        /// Whether it is kept from leading.
        held: bool,
    },
    /// A snapshot job ended.
    SnapshotWritten(SnapshotWritten),
}

/// Where messages go. Called during a turn, in order: the leader's appends before its own fsync, promises after.
pub trait Outbox {
    /// Take a message; may drop it. Must not block.
    fn send(&mut self, message: Outbound);
}

impl Outbox for Vec<Outbound> {
    fn send(&mut self, message: Outbound) {
        self.push(message);
    }
}

/// What a turn brought about, besides messages.
pub struct Effects<L: LogStore, M: StateMachine> {
    /// Ends of requests, each exactly once.
    pub answers: Vec<Answer<M::Answer>>,
    /// What happened, for logs, metrics and checks.
    pub events: Vec<Event>,
    /// A snapshot to write on another thread; its end goes back as [`Input::SnapshotWritten`].
    pub snapshot_job: Option<SnapshotJob<L::Snapshots, M::Frozen>>,
}

/// The end of a request.
#[derive(Debug)]
pub enum Answer<A> {
    /// Of a proposal.
    Proposal {
        /// Which.
        token: Token,
        /// How.
        outcome: Outcome<A>,
    },
    /// Of a change of membership.
    Membership {
        /// Which.
        token: Token,
        /// How.
        outcome: Outcome<Membership>,
    },
    /// Of a read.
    Read {
        /// Which.
        token: Token,
        /// How.
        outcome: ReadOutcome,
    },
}

/// How a proposal ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<A> {
    /// Durable on a quorum and applied here.
    Committed {
        /// Where in the log.
        index: u64,
        /// What the state machine said.
        answer: A,
    },
    /// Not done, and never will be.
    Refused(Refusal),
    /// Another entry took its place: not done, and never will be.
    Superseded,
    /// It may or may not be done. Read before trying again.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Role, term or leader changed.
    PositionChanged {
        /// The role now.
        role: Role,
        /// The term now.
        term: u64,
        /// The leader now known.
        leader: Option<ReplicaId>,
    },
    /// The group changed.
    MembershipChanged {
        /// By which entry.
        index: u64,
        /// To this.
        membership: Membership,
    },
    /// A snapshot of this replica is durable.
    SnapshotRecorded {
        /// Its last entry.
        index: u64,
        /// Its size.
        size_bytes: u64,
    },
    /// A snapshot could not be written; it is tried again later.
    SnapshotFailed {
        /// Why.
        reason: String,
    },
    /// A snapshot of another replica replaced the state.
    SnapshotInstalled {
        /// Its last entry.
        index: u64,
    },
    /// A message from a peer was refused.
    PeerRefused {
        /// Whose.
        from: ReplicaId,
        /// Why.
        error: PeerError,
    },
}

/// Why a driver stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The log store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Raft refused what was stored.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The state machine does not understand an entry.
    #[error("entry {index} cannot be applied; start a version that knows it")]
    Apply {
        /// Which.
        index: u64,
        /// Its reason.
        #[source]
        source: MachineError,
    },
    /// The state machine cannot read a snapshot whose content is sound.
    #[error("the snapshot at index {index} cannot be read; start a version that knows it")]
    Restore {
        /// Which.
        index: u64,
        /// Its reason.
        #[source]
        source: MachineError,
    },
    /// An earlier turn failed, or `stop` was called.
    #[error("this replica has stopped; restart it")]
    Stopped,
}

impl<L: LogStore, M: StateMachine> Default for Effects<L, M> {
    fn default() -> Self {
        Self { answers: Vec::new(), events: Vec::new(), snapshot_job: None }
    }
}

impl<A> From<Settled> for Outcome<A> {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Refused(refusal) => Self::Refused(refusal),
            Settled::Superseded => Self::Superseded,
            Settled::Unknown => Self::Unknown,
        }
    }
}
