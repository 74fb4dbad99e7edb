//! The rules of `batch/v1 Job`: when an attempt is over, and how many pods it wants.
//!
//! Source: Kubernetes' documentation of Jobs (completion modes, `backoffLimit`, `backoffLimitPerIndex`, success policy,
//! back-off of 10 s doubling to 6 min).

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
            let why = FinishReason { reason: "InvalidTemplate".into(), message: message.into() };
            return Some(self.ending(AttemptOutcome::Failed(why), None, PodStop::Stopped));
        }
        if let Some(why) = self.failed_by_pods() {
            return Some(self.ending(AttemptOutcome::Failed(why), self.last_exit_code(), PodStop::Stopped));
        }
        if self.active_deadline_passed(now) {
            let why = failed("DeadlineExceeded", "Job was active longer than specified deadline");
            return Some(self.ending(AttemptOutcome::Failed(why), None, PodStop::DeadlineExceeded));
        }
        None
    }

    /// Why the ends of its pods fail the job, if they do. The order is that of the real job controller.
    pub(crate) fn failed_by_pods(&self) -> Option<FinishReason> {
        if let Some(why) = &self.job_failure {
            return Some(why.clone());
        }
        let spec = &self.desired.spec;
        let restarts = self.restarts();
        if self.counts().failed > spec.backoff_limit || (restarts > 0 && restarts >= spec.backoff_limit) {
            return Some(failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        let (all, failed_indexes) = (spec.completion.completions?, self.failed_indexes());
        if spec.rules.max_failed_indexes.is_some_and(|limit| failed_indexes > limit) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return Some(failed("MaxFailedIndexesExceeded", message));
        }
        let over = failed_indexes.saturating_add(self.completed_indexes().len());
        (failed_indexes > 0 && over >= all).then(|| failed("FailedIndexes", "Job has failed indexes"))
    }

    /// Indexes that failed for good.
    fn failed_indexes(&self) -> u32 {
        self.indexes.failed(self.desired.spec.completion.completions.unwrap_or(0)).len()
    }

    fn ending(&self, outcome: AttemptOutcome, exit_code: Option<i32>, stop: PodStop) -> Ending {
        Ending { outcome, exit_code, stop, grace_ms: self.desired.spec.grace.0 }
    }

    fn active_deadline_passed(&self, now: Clock) -> bool {
        self.desired.active_deadline_left.is_some_and(|left| now.since(self.received) >= left.0)
    }

    /// How often containers of pods that are not over were started again in place: under `restartPolicy: OnFailure` that is
    /// what a failure is. Kubernetes sums it, and fails the job when it reaches the limit.
    fn restarts(&self) -> u32 {
        self.live_pods().map(|pod| pod.restarts).fold(0, u32::saturating_add)
    }

    pub(crate) fn last_exit_code(&self) -> Option<i32> {
        self.pods.values().rev().find(|pod| pod.failed()).and_then(|pod| pod.end()?.exit_code)
    }

    fn is_complete(&self) -> bool {
        let Completion { completions, indexed, .. } = self.desired.spec.completion;
        match completions {
            Some(needed) if indexed => {
                let completed = self.completed_indexes();
                completed.len() >= needed || self.desired.spec.rules.success(&completed, needed).is_some()
            }
            Some(needed) => self.counts().succeeded >= needed,
            None => self.counts().succeeded > 0 && !self.is_live(),
        }
    }

    /// How many pods it wants at a time now. A work queue wants no more once one pod has completed.
    pub(crate) fn wanted_pods(&self) -> u32 {
        let Completion { parallelism, completions, .. } = self.desired.spec.completion;
        let over = self.counts().succeeded.saturating_add(self.failed_indexes());
        match completions {
            Some(needed) => parallelism.min(needed.saturating_sub(over)),
            None if over > 0 => u32::try_from(self.live_pods().count()).unwrap_or(u32::MAX).min(parallelism),
            None => parallelism,
        }
    }

    /// The lowest index that is neither over nor being worked on nor backing off; `None` for jobs without indexes.
    pub(crate) fn next_index(&self, now: Clock) -> Option<u32> {
        let Completion { completions, indexed, .. } = self.desired.spec.completion;
        let needed = completions.filter(|_| indexed)?;
        let worked_on: BTreeSet<u32> = self.live_pods().filter_map(|pod| pod.index).collect();
        (0..needed).find(|index| {
            !self.completed.contains(*index)
                && !self.indexes.is_failed(*index)
                && !worked_on.contains(index)
                && self.index_backoff_over(*index, now)
        })
    }

    /// Whether the back-off after the last failure is over. With limits per index each index has a back-off of its own.
    pub(crate) fn backoff_over(&self, now: Clock) -> bool {
        let job_wide = self.desired.spec.rules.backoff_limit_per_index.is_none();
        let last = self.last_failure.filter(|_| job_wide && self.failures_in_row > 0);
        last.is_none_or(|last| now.since(last) >= backoff_ms(self.failures_in_row))
    }

    fn index_backoff_over(&self, index: u32, now: Clock) -> bool {
        let own = self.desired.spec.rules.backoff_limit_per_index.and_then(|_| self.indexes.retry(index));
        own.is_none_or(|retry| now.since(retry.last) >= backoff_ms(retry.failures))
    }
}

/// The delay after so many failures in a row.
fn backoff_ms(failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1).min(6);
    (BACKOFF_FIRST_MS << doublings).min(BACKOFF_MAX_MS)
}

fn failed(reason: &str, message: &str) -> FinishReason {
    FinishReason { reason: reason.into(), message: message.into() }
}
