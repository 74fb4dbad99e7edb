//! What apply says back: an answer to whoever proposed, and events to everyone.

use std::sync::Arc;

use crate::{Key, Object, Principal, Rejection, Revision, TimeMs, Uid};

/// What apply answers to the proposer of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done; nothing to show.
    Done,
    /// The object as it is now.
    Stored(Arc<Object>),
    /// The object was removed at once; as it last was.
    Removed(Arc<Object>),
    /// The object is there until what holds it lets go.
    Deleting(Arc<Object>),
    /// What became of a plan.
    Planned(PlanAnswer),
    /// No.
    Rejected(Rejection),
}

/// What became of a plan: assignments that did not fit any more, with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanAnswer {
    /// Granted or reserved.
    pub placed: u32,
    /// No longer possible.
    pub rejected: Vec<(Key, &'static str)>,
}

/// What happened. Watches, the placement view, the leader and the history are fed from these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An object came, changed or went.
    Changed {
        /// Its name.
        key: Key,
        /// As it was; `None` if it is new.
        old: Option<Arc<Object>>,
        /// As it is; `None` if it is gone.
        new: Option<Arc<Object>>,
        /// The revision of the change.
        revision: Revision,
    },
    /// A state-changing request was carried out or refused by apply.
    Audited(AuditRecord),
}

/// One link of the audit chain: one per state-changing request of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Without gaps.
    pub sequence: u64,
    /// When.
    pub time: TimeMs,
    /// Who.
    pub principal: Principal,
    /// What.
    pub verb: AuditVerb,
    /// On what.
    pub key: Key,
    /// Which one, if it is there.
    pub uid: Option<Uid>,
    /// The revision after it.
    pub revision: Revision,
    /// Why not, if it was refused.
    pub refused: Option<Rejection>,
    /// Hash over the previous link's hash and this record.
    pub chain: [u8; 32],
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditVerb {
    /// Create.
    Create,
    /// Replace.
    Update,
    /// Delete.
    Delete,
    /// Revoke a member.
    Revoke,
    /// Declare a member lost.
    DeclareLost,
    /// Join.
    Join,
}
