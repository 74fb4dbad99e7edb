//! Why a message from a peer was refused. None of these stops a replica; each is counted.

use crate::ids::ReplicaId;

/// Why a message from a peer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// Larger than a message may be.
    #[error("the message has {bytes} bytes, at most {max} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not a message.
    #[error("{0}")]
    Undecodable(&'static str),
    /// A kind that this version does not know.
    #[error("message kind {0} is unknown")]
    UnknownKind(u8),
    /// The connection is another replica's.
    #[error("the message says it is from {claimed}, the connection is replica {from}'s")]
    WrongSender {
        /// In the message.
        claimed: u64,
        /// By the connection.
        from: ReplicaId,
    },
    /// Meant for another replica.
    #[error("the message is for {0}")]
    WrongRecipient(u64),
    /// Not in the group.
    #[error("the sender is not in the group")]
    UnknownSender,
    /// A kind of message that never crosses the network.
    #[error("a message of this type does not come from a peer")]
    LocalType,
    /// A term that cannot be.
    #[error("term {0} makes no sense")]
    BadTerm(u64),
    /// An index that cannot be.
    #[error("index {index} is outside of the log, which ends at {last}")]
    BeyondLog {
        /// In the message.
        index: u64,
        /// Ours.
        last: u64,
    },
    /// Two leaders in one term.
    #[error("replica {claimed} acts as leader of term {term}, which is replica {known}'s")]
    TwoLeaders {
        /// Who sent it.
        claimed: ReplicaId,
        /// Who leads.
        known: u64,
        /// When.
        term: u64,
    },
    /// Entries that do not fit.
    #[error("{0}")]
    BadEntries(&'static str),
    /// A snapshot that makes no sense.
    #[error("{0}")]
    BadSnapshot(&'static str),
    /// A read request or answer that makes no sense.
    #[error("{0}")]
    BadRead(&'static str),
    /// The raft library refused.
    #[error("refused by raft: {0}")]
    Refused(String),
}
