//! What the log holds: decisions and transitions, each applied the same way on every replica.

use std::sync::Arc;

use crate::job::GrantPolicy;
use crate::{
    AbortFaults, ApproveGameDay, AttemptReport, BurstCommand, DataNeed, Document, DocumentHash, Drain,
    DurationMs, Epoch, EventSeverity, GpuModel, GpuSource, Incarnation, Key, MemberName, MicroUsd, NodeShape,
    Owner, PodClaim, Principal, ProbeGameDay, ReportData, ReportFault, Resources, ResumeChaos, Revision,
    SkipGameDay, Spec, StartFault, StartGameDay, StopGameDay, TimeMs, Uid,
};

/// One log entry: a command and the time the leader stamped on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leader's clock. Apply never lets time go backwards.
    pub time: TimeMs,
    /// What to do.
    pub command: Command,
}

/// What to do. Imperative; what became of it are events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing but the time. Proposed by a new leader.
    Tick,
    /// Create or replace an object.
    Put(Box<Put>),
    /// Delete an object.
    Delete(Delete),
    /// Place jobs and evict attempts.
    CommitPlan(Plan),
    /// A member told how attempts stand.
    ReportAttempts {
        /// The member.
        member: MemberName,
        /// Its incarnation.
        incarnation: Incarnation,
        /// What it said.
        reports: Vec<AttemptReport>,
    },
    /// These attempts of a member are over for the hub: their deadline passed, or someone declared it.
    FenceAttempts {
        /// The member.
        member: MemberName,
        /// Job and epoch.
        attempts: Vec<(Key, Epoch)>,
        /// By what right.
        reason: FenceReason,
    },
    /// A member consumed a join token.
    Join(Join),
    /// A member's agent reported its capacity, or a change of it.
    ChangeCapacity(CapacityChange),
    /// A member's lease lapsed, or contact is back.
    SetReady {
        /// The member.
        member: MemberName,
        /// Whether it holds its lease.
        ready: bool,
    },
    /// Refuse all certificates of a member issued before now.
    Revoke {
        /// The member.
        member: MemberName,
        /// Who asked.
        principal: Principal,
    },
    /// An operator declares a member's attempts dead.
    DeclareLost {
        /// The member.
        member: MemberName,
        /// Who asked.
        principal: Principal,
    },
    /// Remove what expired by now, at most `limit` objects.
    Expire {
        /// At most so many.
        limit: u32,
    },
    /// Remove what hangs on deleted owners and namespaces, at most `limit` objects.
    Collect {
        /// At most so many.
        limit: u32,
    },
    /// Tell people something about an object.
    Note {
        /// About what.
        involved: Key,
        /// One word.
        reason: Arc<str>,
        /// One sentence.
        message: Arc<str>,
        /// How grave.
        severity: EventSeverity,
        /// Who says so.
        source: Arc<str>,
    },
    /// Record requests that authorization denied, aggregated.
    Deny {
        /// Each gets one record.
        denials: Vec<crate::Denial>,
    },
    /// Something is done to a burst pool.
    Burst(Box<BurstCommand>),
    /// Record that somebody connects to a pod.
    Connect(Connect),
    /// Admit a fault.
    StartFault(Box<StartFault>),
    /// The host of a fault says how far it is.
    ReportFault(ReportFault),
    /// End faults before their time.
    AbortFaults(AbortFaults),
    /// Take faults again after a stop.
    ResumeChaos(ResumeChaos),
    /// Keep new jobs from a member and move what runs there, or let go of it.
    Drain(Drain),
    /// Begin a run of a game day.
    StartGameDay(Box<StartGameDay>),
    /// What the probes of a run see.
    ProbeGameDay(ProbeGameDay),
    /// Begin no more steps, take back what is open, and close the run.
    StopGameDay(StopGameDay),
    /// Agree that a plan of a game day may run by schedule.
    ApproveGameDay(ApproveGameDay),
    /// A time of the schedule at which nothing was run.
    SkipGameDay(SkipGameDay),
    /// A member told what it holds of datasets, and how transfers to it are.
    ReportData(Box<ReportData>),
}

/// Somebody connects to a pod: recorded before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Who asked.
    pub principal: Principal,
    /// How: [`AuditVerb::Exec`](crate::AuditVerb::Exec) or [`AuditVerb::Attach`](crate::AuditVerb::Attach).
    pub verb: crate::AuditVerb,
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The pod.
    pub pod: Arc<str>,
    /// The container and the command, without what looks like values of secrets.
    pub detail: Arc<str>,
}

/// Create or replace an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its name.
    pub key: Key,
    /// Create, or replace what.
    pub mode: PutMode,
    /// What the edge read from the document.
    pub spec: Spec,
    /// The version of the reading.
    pub typed_version: u16,
    /// The document.
    pub document: Document,
    /// Who holds it.
    pub finalizers: Vec<Arc<str>>,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// Who asked.
    pub principal: Principal,
    /// Hash of the client's idempotency key, if it gave one.
    pub idempotency: Option<DocumentHash>,
}

/// Whether an object is made or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutMode {
    /// It must not be there.
    Create {
        /// The uid it gets, made by the proposing replica.
        uid: Uid,
    },
    /// It must be there.
    Replace(Precondition),
}

/// What must hold of an object before it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Precondition {
    /// Its revision.
    pub revision: Option<Revision>,
    /// Its uid.
    pub uid: Option<Uid>,
}

/// Delete an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Its name.
    pub key: Key,
    /// What must hold.
    pub precondition: Precondition,
    /// What becomes of its dependents.
    pub propagation: Propagation,
    /// Grace for its pods, in seconds; absent: as its template says.
    pub grace_s: Option<u64>,
    /// Who asked.
    pub principal: Principal,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// They are deleted after it.
    #[default]
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// What the leader's planner decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The revision it was computed at.
    pub based_on: Revision,
    /// Jobs and their places.
    pub assignments: Vec<(Key, Uid, Assignment)>,
    /// Attempts to end.
    pub evictions: Vec<Eviction>,
}

/// End an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// The job.
    pub job: Key,
    /// The attempt; if the job has another one by now, nothing happens.
    pub epoch: Epoch,
    /// Why, for people.
    pub message: Arc<str>,
}

/// A place for a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The member.
    pub member: MemberName,
    /// Which Nodes, for which pods.
    pub claims: Vec<PodClaim>,
    /// The GPU model there, if GPUs were asked for.
    pub gpu_model: Option<GpuModel>,
    /// What one pod of each pod set takes there, in the order of the job's pod sets: the pod set's request, with the GPUs
    /// that the choice of the model asks for. What was granted is given back, whatever the job's spec says by then.
    pub requests: Vec<Resources>,
    /// What is counted per hour, for all pods together.
    pub hourly: MicroUsd,
    /// What is counted once, such as egress.
    pub one_off: Vec<CostLine>,
    /// What happens out of contact.
    pub policy: GrantPolicy,
    /// Attempts that must have ended before it may be granted.
    pub after: Vec<(Key, Epoch)>,
    /// Why here, in one sentence, for people.
    pub because: Arc<str>,
    /// Datasets whose files must lie at the member before a pod starts.
    pub data: Vec<DataNeed>,
}

/// One line of a cost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CostLine {
    /// What is paid.
    pub kind: CostKind,
    /// How much.
    pub amount: MicroUsd,
}

/// What is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostKind {
    /// GPU-hours at the place's price.
    Compute,
    /// Work expected to be lost to interruptions.
    Waste,
    /// Bytes that must be moved.
    Egress,
    /// Waiting for those bytes.
    TransferWait,
    /// Waiting in the queue.
    QueueWait,
}

/// By what right an attempt counts as over without its member's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FenceReason {
    /// Its fence deadline plus the drift bound plus the margin passed without renewal.
    DeadlinePassed,
    /// The job allows two.
    DuplicateOk,
}

/// A member consumed a join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Hash of the token's secret.
    pub token: DocumentHash,
    /// The name the agent asked for.
    pub member: MemberName,
    /// Time of issue of the certificate it gets.
    pub certificate_from: TimeMs,
    /// The uid of the `Cluster` object if it has to be made.
    pub uid: Uid,
    /// The member as the agent describes itself; a `Cluster` object that is there goes before it.
    pub spec: crate::ClusterSpec,
    /// The document of the object if it has to be made.
    pub document: Document,
}

/// A member's agent reported its capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityChange {
    /// The member.
    pub member: MemberName,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// All Nodes by shape.
    pub shapes: Vec<NodeShape>,
    /// Version of the agent.
    pub agent_version: Arc<str>,
    /// Where GPUs were seen.
    pub gpu_source: GpuSource,
    /// Whether its backend can fence.
    pub can_fence: bool,
}

impl Plan {
    /// How long a reservation holds before the planner may give the place to another job.
    pub const RESERVATION_TTL: DurationMs = DurationMs(600_000);
}
