//! An attempt as the member knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    AttemptOutcome, AttemptReport, DesiredAttempt, FinishReason, IndexSet, PartitionPolicy, PodCounts,
    ReportedState, TimeMs, mutant,
};

use crate::KILL_BUDGET_MS;
use crate::clock::Clock;
use crate::index_tally::IndexTally;
use crate::pod::{EndReason, Pod, PodState, PodStop};
use crate::tally::Tally;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// What the hub asked for last.
    pub(crate) desired: Arc<DesiredAttempt>,
    /// When it came first.
    pub(crate) received: Clock,
    /// Its fence deadline.
    pub(crate) fence: Fence,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Its pods by serial, dead ones included.
    pub(crate) pods: BTreeMap<u32, Pod>,
    /// What the hub thinks of it.
    pub(crate) standing: Standing,
    /// Of an Indexed job: completed indexes, those of earlier attempts included.
    pub(crate) completed: IndexSet,
    /// Of a job with a backoff limit per index: failures by index, those of earlier attempts included.
    pub(crate) indexes: IndexTally,
    /// Why the job fails by a rule about one of its pods.
    pub(crate) job_failure: Option<FinishReason>,
    /// Of a gang: how often it started anew. Pods of earlier generations are stopped and count for nothing.
    pub(crate) generation: u32,
    /// Failures since the last success, and when the last one was seen: the base of the back-off.
    pub(crate) failures_in_row: u32,
    /// When the last failure was seen.
    pub(crate) last_failure: Option<Clock>,
    /// The report that the hub took last.
    pub(crate) taken: Option<AttemptReport>,
    /// The report as it stands; none before the first pod.
    pub(crate) report: Option<AttemptReport>,
    /// Whether it was running when the machine went down; whatever ran is dead.
    pub(crate) outlived_boot: bool,
    /// Whether the job is gone, so that the pods may go once they are dead.
    pub(crate) forget: bool,
}

/// What the deadline of an attempt counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// The attempt has none.
    Never,
    /// Only the shims of its running pods know: they were renewed by an earlier life. Nothing of it is started until the
    /// hub renewed it.
    Held,
    /// The sending of an acknowledged heartbeat.
    From(Clock),
}

/// What the hub thinks of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is in the desired set under which pods are started now.
    Wanted,
    /// Not heard of since the lease passed or the agent started: goes on, starts nothing.
    Unconfirmed,
    /// Over for the hub.
    Gone,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Runs by the job's rules.
    Active,
    /// How it ends is decided; pods are being stopped.
    Ending(Ending),
    /// Every pod is dead.
    Ended(Ended),
}

/// A decided end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: AttemptOutcome,
    /// The exit code of the pod that decided it.
    pub exit_code: Option<i32>,
    /// What its pods are told.
    pub stop: PodStop,
    /// Grace for them.
    pub grace_ms: u64,
}

/// An end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: AttemptOutcome,
    /// The exit code of the pod that decided it.
    pub exit_code: Option<i32>,
    /// When the last pod was known dead.
    pub at: TimeMs,
}

impl Attempt {
    pub(crate) fn new(desired: Arc<DesiredAttempt>, received: Clock, fence_base: Option<Clock>) -> Attempt {
        let limit = desired.spec.completion.completions.unwrap_or(0);
        let fence = match (desired.policy.partition, fence_base) {
            (PartitionPolicy::Fence, Some(base)) => Fence::From(base),
            (PartitionPolicy::Fence, None) => Fence::Held,
            (PartitionPolicy::Keep | PartitionPolicy::DuplicateOk, _) => Fence::Never,
        };
        Attempt {
            completed: IndexSet::parse(&desired.completed_indexes, limit),
            indexes: match mutant!(failures_forgotten_by_a_move) {
                true => IndexTally::default(),
                false => IndexTally::parse(&desired.index_failures, limit),
            },
            job_failure: None,
            generation: 0,
            desired,
            received,
            fence,
            phase: Phase::Active,
            pods: BTreeMap::new(),
            standing: Standing::Unconfirmed,
            failures_in_row: 0,
            last_failure: None,
            taken: None,
            report: None,
            outlived_boot: false,
            forget: false,
        }
    }

    pub(crate) fn live_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(|pod| pod.is_live())
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live_pods().next().is_some()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            Phase::Active | Phase::Ending(_) => None,
        }
    }

    /// Whether the hub committed its end.
    pub(crate) fn end_taken(&self) -> bool {
        self.ended().is_some() && self.report.is_some() && self.report == self.taken
    }

    /// Milliseconds after the base at which SIGTERM is due, so that grace and kill fit before the deadline.
    pub(crate) fn terminate_after_ms(&self) -> u64 {
        self.kill_after_ms().saturating_sub(self.desired.spec.grace.0)
    }

    /// Milliseconds after the base at which SIGKILL is due.
    pub(crate) fn kill_after_ms(&self) -> u64 {
        self.desired.policy.fence_after.0.saturating_sub(KILL_BUDGET_MS)
    }

    /// Whether its fence deadline demands its end at `now`.
    pub(crate) fn fence_due(&self, now: Clock) -> bool {
        match self.fence {
            Fence::Never | Fence::Held => false,
            Fence::From(base) => now.since(base) >= self.terminate_after_ms(),
        }
    }

    /// Pods of the attempt by state, those that earlier attempts finished included.
    pub(crate) fn counts(&self) -> PodCounts {
        let count = |pick: fn(&Pod) -> bool| self.pods.values().filter(|pod| pick(pod)).count() as u32;
        let before = self.desired.before;
        let succeeded = match self.desired.spec.completion.indexed {
            true => self.completed_indexes().len(),
            false => before.succeeded.saturating_add(count(|pod| pod.tally == Tally::Succeeded)),
        };
        PodCounts {
            active: count(|pod| pod.is_live() && pod.stop.is_none()),
            ready: count(|pod| matches!(pod.state, PodState::Running { .. }) && pod.stop.is_none()),
            succeeded,
            failed: before.failed.saturating_add(count(|pod| pod.tally == Tally::Failed)),
            terminating: count(|pod| pod.is_live() && pod.stop.is_some()),
        }
    }

    /// Completed indexes that the job still has.
    pub(crate) fn completed_indexes(&self) -> IndexSet {
        self.completed.below(self.desired.spec.completion.completions.unwrap_or(0))
    }

    /// Whether the backend told of one of its pods, or it has ended.
    pub(crate) fn is_known_to_run(&self) -> bool {
        self.ended().is_some() || self.pods.values().any(|pod| pod.state != PodState::Starting)
    }

    /// When its first pod started; the decision to start it stands in until the backend tells.
    fn since(&self) -> Option<TimeMs> {
        let started = |pod: &Pod| match &pod.state {
            PodState::Running { since } => Some(*since),
            PodState::Ended(end) => end.started,
            PodState::Starting | PodState::Unknown { .. } => Some(pod.created.time()),
        };
        self.pods.values().find_map(started)
    }

    /// What is to be said of it. Nothing while no pod was started and it has not ended.
    pub(crate) fn make_report(&self) -> Option<AttemptReport> {
        let state = match &self.phase {
            Phase::Ended(ended) => ReportedState::Ended {
                outcome: ended.outcome.clone(),
                exit_code: ended.exit_code,
                at: ended.at,
            },
            Phase::Active | Phase::Ending(_) => ReportedState::Running { since: self.since()? },
        };
        Some(AttemptReport {
            job: self.desired.job.clone(),
            uid: self.desired.uid,
            epoch: self.desired.epoch,
            state,
            pods: self.counts(),
            completed_indexes: self.completed_indexes().to_string().into(),
            index_failures: self.indexes.report(),
        })
    }

    /// The message and reason of a pod that ended so, if one did.
    pub(crate) fn first_end(&self, reason: EndReason) -> Option<&Pod> {
        self.pods.values().find(|pod| pod.end().is_some_and(|end| end.reason == reason))
    }
}
