//! What apply says back: an answer to whoever proposed, and events to everyone.

use std::sync::Arc;

use crate::{Key, Object, Principal, Rejection, Revision, Run, TimeMs, Uid};

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
    /// An attempt is over and its cost is in the books.
    Booked(Box<Booking>),
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
    pub refused: Option<Arc<str>>,
    /// Of requests that authorization denied: how many alike this record stands for. 0 for all others.
    pub denied: u32,
    /// More on what was asked for, in one line; of most requests there is nothing to say.
    pub detail: Arc<str>,
    /// Hash over the previous link's hash and this record.
    pub chain: [u8; 32],
}

/// One line of the ledger: an attempt that is over, with all that it cost. Each attempt is booked once, at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Without gaps.
    pub sequence: u64,
    /// When it was booked.
    pub time: TimeMs,
    /// The revision after it.
    pub revision: Revision,
    /// The attempt.
    pub run: Run,
    /// GPU-milliseconds that its compute line pays for.
    pub gpu_ms: u64,
    /// Hash over the previous booking's hash and this one.
    pub chain: [u8; 32],
}

/// Requests alike that authorization denied within a second at one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Who asked.
    pub principal: Principal,
    /// For what.
    pub verb: AuditVerb,
    /// On which resource, as `jobs.batch`, or on which path.
    pub resource: crate::Kind,
    /// How many.
    pub count: u32,
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
    /// Change a part. Only of denied requests: a patch that is carried out is an update.
    Patch,
    /// Delete a collection. Only of denied requests: else each deletion has its record.
    DeleteCollection,
    /// Read. Only of denied requests.
    Get,
    /// Read a collection. Only of denied requests.
    List,
    /// Follow a collection. Only of denied requests.
    Watch,
    /// Use a path that is no resource. Only of denied requests.
    Use,
    /// Run a command in a pod.
    Exec,
    /// Connect to what a pod runs.
    Attach,
}

impl AuditVerb {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditVerb::Create => "create",
            AuditVerb::Update => "update",
            AuditVerb::Delete => "delete",
            AuditVerb::Revoke => "revoke",
            AuditVerb::DeclareLost => "declare-lost",
            AuditVerb::Join => "join",
            AuditVerb::Patch => "patch",
            AuditVerb::DeleteCollection => "deletecollection",
            AuditVerb::Get => "get",
            AuditVerb::List => "list",
            AuditVerb::Watch => "watch",
            AuditVerb::Use => "use",
            AuditVerb::Exec => "exec",
            AuditVerb::Attach => "attach",
        }
    }
}
