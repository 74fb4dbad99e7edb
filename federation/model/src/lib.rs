//! The language of the federation: what every other crate says and hears.
//!
//! ```text
//!  ids time money resources locality          words
//!  key meta document spec status object       what is stored
//!  command -> (core) -> answer + event        what is asked, and what became of it
//! ```
//!
//! Pure values: no clock, no I/O, no randomness, no hash maps, no floats. Nothing here is serialised; the wire and the
//! durable format live in `muster-proto` and convert at the edge, so that a word can change without changing the log.
#![deny(clippy::float_arithmetic)]

mod attempt;
mod burst;
mod cluster;
mod command;
mod data;
mod document;
mod event;
mod fault;
mod game_day;
mod ids;
mod index_set;
mod job;
mod job_rules;
mod key;
mod locality;
mod meta;
mod money;
mod mutant;
#[cfg(mutants)]
pub mod mutants;
mod nodes;
mod object;
mod placement_spec;
mod rejection;
mod resources;
mod selector;
mod session;
mod time;
mod transfer;

pub use attempt::{
    Attempt, AttemptOutcome, AttemptReport, AttemptState, IndexFailures, PodCounts, ReportedState, StopReason,
};
pub use burst::{
    BurstCommand, BurstPool, BurstPoolSpec, BurstPoolStatus, Intent, IntentId, IntentPhase, IntentStep,
    PoolCondition, PoolConditionKind,
};
pub use cluster::{
    Backend, Cluster, ClusterSpec, ClusterStatus, GpuSource, Incarnation, PriceClass, Readiness, Taint,
    TaintEffect, Toleration,
};
pub use command::{
    Assignment, CapacityChange, Command, Connect, CostKind, CostLine, Delete, Entry, Eviction, FenceReason,
    Join, Plan, Precondition, Propagation, Put, PutMode,
};
pub use data::{DatasetSpec, EgressPrice, GpuPrice, HeldPrice, PartialReplica, PriceBookSpec};
pub use document::{Document, NAME_MARK, UID_MARK};
pub use event::{Answer, AuditRecord, AuditVerb, Booking, Denial, Event, PlanAnswer};
pub use fault::{
    AbortFaults, Drain, Fault, FaultEnd, FaultEndCause, FaultKind, FaultNews, FaultOrder, FaultOwner,
    FaultPhase, FaultSpec, FaultTarget, ReportFault, ResumeChaos, StartFault,
};
pub use game_day::{
    Approval, ApproveGameDay, FaultPlan, FaultStep, GameDay, GameDayFault, GameDayLimits, GameDayPhase,
    GameDayRun, GameDaySchedule, GameDaySpec, GameDayStatus, ProbeGameDay, ProbeKind, ProbeSample,
    ProbeState, Ruling, SkipGameDay, SkippedRun, StartGameDay, StepState, StopGameDay, TargetChoice,
    TimelineEntry, Verdict,
};
pub use ids::{DocumentHash, Epoch, MemberName, Principal, Revision, Uid};
pub use index_set::IndexSet;
pub use job::{Completion, Finish, FinishReason, GrantPolicy, Job, JobPhase, JobSpec, PodSet, Reservation};
pub use job_rules::{
    ConditionPattern, ContainerExit, DISRUPTION, ExitCodes, FailureAction, FailurePattern, FailureRule,
    JobRules, Matched, PodFailure, RuleMatch, SuccessRule,
};
pub use key::{Key, Kind, kinds};
pub use locality::Location;
pub use meta::{Deletion, Meta, Owner};
pub use money::{MicroUsd, ParseMoneyError};
pub use nodes::{NodeFree, NodeShape, Nodes, PodClaim};
pub use object::{
    ChaosStop, CredentialSpec, EventSeverity, EventSpec, JoinTokenSpec, NamespaceSpec, Object, Run, RunPhase,
    Spec, Status,
};
pub use placement_spec::{
    Checkpoint, GpuChoice, GpuChoices, PartitionPolicy, PlacementChoice, PlacementSpec, SpotUse,
};
pub use rejection::Rejection;
pub use resources::{GpuModel, Resources};
pub use selector::{Requirement, Selector};
pub use session::{DesiredAttempt, Hello, ToHub, ToMember};
pub use time::{DurationMs, TimeMs};
pub use transfer::{
    ContentDigest, DataCopy, DataFetch, DataNeed, DataReport, DataUse, Dataset, HeldCopy, ParseDigestError,
    ReportData, Transfer, TransferNews, TransferOrder, TransferPhase, TransferProgress,
};
