//! What a replica wants done, and how requests end.

use bytes::Bytes;

use crate::entry::Batch;
use crate::ids::{ReplicaId, Token};
use crate::membership::Membership;
use crate::snapshot::SnapshotMeta;

/// One round of work. The order of the fields is the order of doing.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Send at once.
    pub messages: Vec<Outbound>,
    /// Make durable, then call [`crate::Replica::persisted`].
    pub persist: Option<Batch>,
    /// Send only after that.
    pub after_persist: Vec<Outbound>,
    /// Replace the state by this snapshot, whose content is in the store.
    pub install: Option<SnapshotMeta>,
    /// Apply, in order.
    pub committed: Vec<Committed>,
    /// Requests that ended without an answer of the state machine.
    pub settled: Vec<(Token, Settled)>,
    /// Reads whose index is applied once `committed` is.
    pub reads: Vec<(Token, ReadOutcome)>,
}

/// A message for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// To whom.
    pub to: ReplicaId,
    /// What, for [`crate::Input::Peer`] over there.
    pub bytes: Bytes,
}

/// A committed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// What it holds.
    pub payload: Payload,
    /// The request it came from, if that was made here.
    pub token: Option<Token>,
}

/// What a committed entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The first entry of a leader's term.
    Empty,
    /// For the state machine.
    Bytes(Bytes),
    /// The group from here on.
    Membership(Membership),
}

/// The end of a proposal or change that was not committed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Not done, and never will be.
    Refused(Refusal),
    /// Another entry was committed in its place: not done, and never will be.
    Superseded,
    /// It may or may not be done: leadership was lost and the outcome was not seen here.
    Unknown,
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Ask the leader.
    #[error("this replica is not the leader; ask {}", .leader.map_or("again when there is one".to_owned(), |id| format!("replica {id}")))]
    NotLeader {
        /// Who it is, if known.
        leader: Option<ReplicaId>,
    },
    /// Leadership is being handed over.
    #[error("leadership is being handed over to replica {to}; ask it in a moment")]
    HandingOver {
        /// To whom.
        to: ReplicaId,
    },
    /// Too much is in flight.
    #[error("too many proposals are in flight; try again in a moment")]
    Busy,
    /// The payload is empty.
    #[error("the proposal is empty")]
    Empty,
    /// The payload is too large.
    #[error("the proposal has {bytes} bytes, at most {max} are taken; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Another change of membership is under way.
    #[error("another change of membership is under way; try again when it is applied")]
    ChangeInProgress,
    /// The change makes no sense for the group as it is.
    #[error("{0}")]
    ImpossibleChange(&'static str),
    /// The learner lags too much to vote.
    #[error("replica {replica} lags {entries} entries behind; wait until it has caught up")]
    NotCaughtUp {
        /// Who.
        replica: ReplicaId,
        /// How much.
        entries: u64,
    },
}

/// How a read ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The state is at least as new as when the read arrived. Read it now.
    Ready {
        /// The commit index of that moment; the state has reached it.
        index: u64,
    },
    /// No leader was confirmed in time.
    TimedOut,
}

/// A leader offers a snapshot. Fetch its content, then call [`crate::Replica::snapshot_arrived`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// Who has it.
    pub from: ReplicaId,
    /// Its record.
    pub meta: SnapshotMeta,
}

/// What a replica is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Leads.
    Leader,
    /// Follows and votes.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote, or is not in the group.
    Learner,
}

/// Where a replica stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub id: ReplicaId,
    /// What it is.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<ReplicaId>,
    /// The commit index it knows.
    pub committed: u64,
    /// The last entry it applied.
    pub applied: u64,
    /// The end of its log.
    pub last_index: u64,
    /// The last entry in its snapshot.
    pub snapshot_index: u64,
    /// The group as of `applied`.
    pub membership: Membership,
    /// Proposals and changes in flight.
    pub in_flight: usize,
}
