//! The rules of `batch/v1 Job`: when an attempt is over, and how many pods it wants.
//!
//! Source: Kubernetes' documentation of Jobs (completion modes, `backoffLimit`, back-off of 10 s doubling to 6 min).

use std::collections::BTreeSet;

use muster_model::{AttemptOutcome, Completion, FinishReason};

use crate::attempt::{Attempt, Ending, Phase};
use crate::clock::Clock;
use crate::pod::{EndReason, PodStop};

/// The first delay after a failure.
const BACKOFF_FIRST_MS: u64 = 10_000;
/// The longest.
const BACKOFF_MAX_MS: u64 = 360_000;

impl Attempt {
    /// How the attempt has to end by now, if it has to.
    pub(crate) fn verdict(&self, now: Clock) -> Option<Ending> {
        debug_assert!(self.phase == Phase::Active);
        if self.first_end(EndReason::Fenced).is_some() {
            return Some(self.ending(AttemptOutcome::Fenced, None, PodStop::Fenced));
        }
        if self.is_complete() {
            return Some(self.ending(AttemptOutcome::Succeeded, Some(0), PodStop::Stopped));
        }
        if self.desired.stop.is_some() {
            let grace_ms = self.desired.grace.0;
            return Some(Ending { grace_ms, ..self.ending(AttemptOutcome::Stopped, None, PodStop::Stopped) });
        }
        if self.outlived_boot && !self.is_live() {
            return Some(self.ending(AttemptOutcome::Lost, None, PodStop::Stopped));
        }
        self.failure(now)
    }

    /// How it failed by the job's own rules, if it did.
    fn failure(&self, now: Clock) -> Option<Ending> {
        if let Some(pod) = self.first_end(EndReason::Refused) {
            let message = pod.end().map(|end| end.message.to_string()).unwrap_or_default();
            return Some(self.ending(failed("InvalidTemplate", message), None, PodStop::Stopped));
        }
        if self.active_deadline_passed(now) {
            let outcome =
                failed("DeadlineExceeded", "Job was active longer than specified deadline".to_owned());
            return Some(self.ending(outcome, None, PodStop::DeadlineExceeded));
        }
        if self.counts().failed > self.desired.spec.backoff_limit {
            let limit = self.desired.spec.backoff_limit;
            let outcome = failed(
                "BackoffLimitExceeded",
                format!("Job has reached the specified backoff limit: more than {limit} pods failed"),
            );
            return Some(self.ending(outcome, self.last_exit_code(), PodStop::Stopped));
        }
        None
    }

    fn ending(&self, outcome: AttemptOutcome, exit_code: Option<i32>, stop: PodStop) -> Ending {
        Ending { outcome, exit_code, stop, grace_ms: self.desired.spec.grace.0 }
    }

    fn active_deadline_passed(&self, now: Clock) -> bool {
        self.desired.active_deadline_left.is_some_and(|left| now.since(self.received) >= left.0)
    }

    fn last_exit_code(&self) -> Option<i32> {
        self.pods.values().rev().find(|pod| pod.failed()).and_then(|pod| pod.end()?.exit_code)
    }

    fn is_complete(&self) -> bool {
        let Completion { completions, indexed, .. } = self.desired.spec.completion;
        match completions {
            Some(needed) if indexed => self.completed.len() >= needed,
            Some(needed) => self.counts().succeeded >= needed,
            None => self.counts().succeeded > 0 && !self.is_live(),
        }
    }

    /// How many pods it wants at a time now. A work queue wants no more once one pod has completed.
    pub(crate) fn wanted_pods(&self) -> u32 {
        let Completion { parallelism, completions, .. } = self.desired.spec.completion;
        let counts = self.counts();
        match completions {
            Some(needed) => parallelism.min(needed.saturating_sub(counts.succeeded)),
            None if counts.succeeded > 0 => counts.active.min(parallelism),
            None => parallelism,
        }
    }

    /// The lowest index that is neither completed nor being worked on; `None` for jobs without indexes.
    pub(crate) fn next_index(&self) -> Option<u32> {
        let Completion { completions, indexed, .. } = self.desired.spec.completion;
        let needed = completions.filter(|_| indexed)?;
        let worked_on: BTreeSet<u32> = self.live_pods().filter_map(|pod| pod.index).collect();
        (0..needed).find(|index| !self.completed.contains(*index) && !worked_on.contains(index))
    }

    /// Whether the back-off after the last failure is over.
    pub(crate) fn backoff_over(&self, now: Clock) -> bool {
        let Some(last) = self.last_failure.filter(|_| self.failures_in_row > 0) else { return true };
        let doublings = (self.failures_in_row - 1).min(6);
        now.since(last) >= (BACKOFF_FIRST_MS << doublings).min(BACKOFF_MAX_MS)
    }
}

fn failed(reason: &str, message: String) -> AttemptOutcome {
    AttemptOutcome::Failed(FinishReason { reason: reason.into(), message: message.into() })
}
