//! An attempt: one run of a job on one member, under one epoch. `Run` in the API.

use std::sync::Arc;

use crate::{Assignment, Epoch, FinishReason, Incarnation, Key, TimeMs, Uid};

/// An attempt that may be alive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Its fencing number.
    pub epoch: Epoch,
    /// Where, which Nodes, at what price, under what policy.
    pub assignment: Assignment,
    /// When it was granted.
    pub granted_at: TimeMs,
    /// The agent's incarnation that it was granted to: only that one may run it and report on it. `None` only if the
    /// member had none, then it is the first that reports.
    pub incarnation: Option<Incarnation>,
    /// How far it is.
    pub state: AttemptState,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptState {
    /// Granted; the member has not reported it.
    Granted,
    /// The member runs it since then.
    Running {
        /// When its first pod started.
        since: TimeMs,
    },
    /// The hub asked the member to end it.
    Stopping {
        /// Why.
        reason: StopReason,
        /// When it was asked for.
        since: TimeMs,
        /// Whether it had been reported as running.
        started: Option<TimeMs>,
    },
}

/// Why the hub ends an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopReason {
    /// The job is being deleted.
    Deleted,
    /// The job was suspended.
    Suspended,
    /// The planner moves or preempts it.
    Evicted,
}

/// Pods of a job by state, as `JobStatus` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodCounts {
    /// Not finished.
    pub active: u32,
    /// Started and ready.
    pub ready: u32,
    /// Completed.
    pub succeeded: u32,
    /// Failed; stopped ones and those that a rule of the job passes over do not count.
    pub failed: u32,
    /// Being stopped, and not yet known dead.
    pub terminating: u32,
}

/// Failures of an Indexed job with a backoff limit per index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexFailures {
    /// Indexes that failed for good, as `0-3,7`.
    pub failed: Arc<str>,
    /// Of the others, those with failures that count, by how many: `1:0-3,7;2:5`.
    pub counts: Arc<str>,
}

impl Default for IndexFailures {
    fn default() -> IndexFailures {
        IndexFailures { failed: "".into(), counts: "".into() }
    }
}

/// What a member says of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttemptReport {
    /// The job.
    pub job: Key,
    /// The job's uid: a job of the same name may have been made anew.
    pub uid: Uid,
    /// The epoch it runs under.
    pub epoch: Epoch,
    /// What it says.
    pub state: ReportedState,
    /// Pods of the attempt and those that earlier attempts left behind.
    pub pods: PodCounts,
    /// Of an Indexed job: completed indexes.
    pub completed_indexes: Arc<str>,
    /// Of an Indexed job with a backoff limit per index: failures.
    pub index_failures: IndexFailures,
}

/// What a member says of an attempt's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReportedState {
    /// Its pods run.
    Running {
        /// When the first started.
        since: TimeMs,
    },
    /// No process of it is alive, and none will be.
    Ended {
        /// How it ended.
        outcome: AttemptOutcome,
        /// The exit code of the pod that decided it.
        exit_code: Option<i32>,
        /// When, by the member's clock.
        at: TimeMs,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptOutcome {
    /// All completions are there.
    Succeeded,
    /// It failed by the job's own rules; the job fails.
    Failed(FinishReason),
    /// It was stopped: by the hub, or because the member went down in good order. The job runs again.
    Stopped,
    /// Its fence deadline passed on the member. The job runs again.
    Fenced,
    /// The member never had it or lost it without knowing how it ended, and knows that nothing of it is alive.
    Lost,
}
