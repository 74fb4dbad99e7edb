//! What a member and the hub say to each other over the member's one stream.
//!
//! ```text
//!  member                                       hub (leader)
//!    Hello(seq 0, incarnation, capacity, all attempts) ->
//!                  <- Ack(seq 0)      only after a ReadIndex round that began after the hello arrived
//!                  <- Full(desired)   then Delta(desired), level-triggered
//!    Heartbeat(seq) ->          <- Ack(seq, epochs)
//!    Reports(seq)   ->          <- ReportsTaken(seq)   once committed
//! ```

use std::sync::Arc;

use crate::job::GrantPolicy;
use crate::{
    AttemptReport, CapacityChange, DataReport, DataUse, DurationMs, Epoch, GpuModel, Incarnation,
    IndexFailures, JobSpec, Key, PodClaim, PodCounts, Resources, Revision, StopReason, TransferOrder, Uid,
};

/// Member to hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHub {
    /// Opens a session. Counts as heartbeat 0.
    Hello(Hello),
    /// Alive. Sequence numbers grow by one within a session.
    Heartbeat {
        /// Its number; answered by [`ToMember::Ack`].
        seq: u64,
    },
    /// Transitions of attempts. Sent again, with the same content or newer, until taken.
    Reports {
        /// Its number; answered by [`ToMember::ReportsTaken`].
        seq: u64,
        /// One for each attempt that changed.
        reports: Vec<AttemptReport>,
    },
    /// The capacity changed.
    Capacity(CapacityChange),
    /// What it holds of datasets, and how transfers to it are: all of it, whenever it changed.
    Data(DataReport),
}

/// The opening of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who this agent is; a second one of the same member is refused while the first has the lease.
    pub incarnation: Incarnation,
    /// What it has.
    pub capacity: CapacityChange,
    /// All attempts it knows of, ended ones that were not yet taken included. An attempt that is missing here was never
    /// started by this incarnation, or its end was taken.
    pub attempts: Vec<AttemptReport>,
}

/// Hub to member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMember {
    /// Heartbeat `seq` was received by a hub that was leader after it arrived. Renews these grants, and no other.
    Ack {
        /// The heartbeat.
        seq: u64,
        /// The epochs renewed.
        epochs: Vec<Epoch>,
    },
    /// Everything that the member shall run.
    Full {
        /// The revision it is of.
        revision: Revision,
        /// All attempts.
        attempts: Vec<Arc<DesiredAttempt>>,
    },
    /// A change of it.
    Delta {
        /// The revision it is of.
        revision: Revision,
        /// New or changed attempts.
        changed: Vec<Arc<DesiredAttempt>>,
        /// Attempts that are over for the hub: forget them, and end whatever is still alive of them.
        gone: Vec<Epoch>,
    },
    /// The reports of this number are committed.
    ReportsTaken {
        /// The number.
        seq: u64,
    },
    /// The hub closes the session.
    Close {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// All transfers to the member that are open. Others are over.
    Transfers {
        /// What to fetch.
        orders: Vec<TransferOrder>,
    },
}

/// An attempt that a member shall run, or end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredAttempt {
    /// The job.
    pub job: Key,
    /// Its uid.
    pub uid: Uid,
    /// The epoch.
    pub epoch: Epoch,
    /// What the hub read from the job.
    pub spec: Arc<JobSpec>,
    /// The inside of the job's document (`"spec":{...}`), name and uid put back.
    pub body: Arc<str>,
    /// Which Nodes, for which pods.
    pub claims: Vec<PodClaim>,
    /// GPU model, if GPUs were asked for.
    pub gpu_model: Option<GpuModel>,
    /// What one pod of each pod set takes, in the order of the job's pod sets.
    pub requests: Vec<Resources>,
    /// What happens out of contact.
    pub policy: GrantPolicy,
    /// Set when the attempt shall end.
    pub stop: Option<StopReason>,
    /// Grace for its pods when they are stopped.
    pub grace: DurationMs,
    /// Pods that earlier attempts finished: successes count, failures count against the backoff limit.
    pub before: PodCounts,
    /// Of an Indexed job: indexes completed by earlier attempts.
    pub completed_indexes: Arc<str>,
    /// Failures by index that earlier attempts left.
    pub index_failures: IndexFailures,
    /// What is left of the active deadline; absent: no deadline. Counted by the member from when it received it.
    pub active_deadline_left: Option<DurationMs>,
    /// Datasets whose files its pods read: none starts before they are here, whole.
    pub data: Vec<DataUse>,
}
