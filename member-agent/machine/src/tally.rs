//! What the end of a pod counts for: towards completion, the limits, the back-off, or nothing.
//!
//! Counted once, when the end becomes known, and in the same way again when the journal is replayed.

use std::collections::BTreeSet;

use muster_model::{
    AttemptOutcome, ContainerExit, FailureAction, FinishReason, PodFailure, RuleMatch, StopReason, mutant,
};

use crate::attempt::{Attempt, Ending};
use crate::clock::Clock;
use crate::pod::{EndReason, Pod, PodEnd, PodId, pod_name};

/// What the end of a pod counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    /// It lives, or its end says nothing about the job.
    Nothing,
    /// A completion.
    Succeeded,
    /// A failure that counts towards the limits.
    Failed,
}

/// What became of a pod.
enum Fate {
    Nothing,
    Succeeded,
    /// It failed; the rule that decides, if any does.
    Failed(Option<RuleMatch>),
}

impl Attempt {
    /// Counts the end of one of its pods.
    pub(crate) fn count_end(&mut self, serial: u32, seen: Clock) {
        let Some(pod) = self.pods.get(&serial) else { return };
        let (index, fate) = (pod.index, self.fate(pod));
        let tally = match fate {
            Fate::Nothing => Tally::Nothing,
            Fate::Succeeded => self.count_success(index),
            Fate::Failed(rule) => self.count_failure(serial, index, rule.as_ref(), seen),
        };
        if let Some(pod) = self.pods.get_mut(&serial) {
            pod.tally = tally;
        }
    }

    /// Pods of a gang that was told to start anew count for nothing; one that was ended from outside counts only if a rule
    /// says so.
    fn fate(&self, pod: &Pod) -> Fate {
        let Some(end) = pod.end().filter(|_| !self.is_stale(pod)) else { return Fate::Nothing };
        if pod.succeeded() {
            return Fate::Succeeded;
        }
        let disrupted = self.was_disrupted(end);
        let rule = self.desired.spec.rules.failure(&PodFailure { exits: &exits_of(end), disrupted });
        match (pod.failed(), disrupted && rule.is_some()) {
            (false, false) => Fate::Nothing,
            (true, _) | (_, true) => Fate::Failed(rule),
        }
    }

    /// What Kubernetes calls `DisruptionTarget`: ended by an eviction or a fence, or gone with its machine.
    fn was_disrupted(&self, end: &PodEnd) -> bool {
        match end.reason {
            EndReason::Lost | EndReason::Fenced => true,
            EndReason::Stopped => self.outlived_boot || self.desired.stop == Some(StopReason::Evicted),
            _ => false,
        }
    }

    fn count_success(&mut self, index: Option<u32>) -> Tally {
        if let Some(index) = index {
            self.completed.insert(index);
            self.indexes.succeed(index);
        }
        self.failures_in_row = 0;
        Tally::Succeeded
    }

    fn count_failure(
        &mut self,
        serial: u32,
        index: Option<u32>,
        rule: Option<&RuleMatch>,
        seen: Clock,
    ) -> Tally {
        self.back_off(index, seen);
        self.start_gang_anew();
        let action = rule.map_or(FailureAction::Count, |rule| rule.action);
        if let Some(rule) = rule.filter(|_| action == FailureAction::FailJob) {
            self.fail_job(serial, index, rule);
        }
        self.count_index(index, action);
        let counts = action != FailureAction::Ignore && !mutant!(failures_not_counted);
        if counts { Tally::Failed } else { Tally::Nothing }
    }

    fn back_off(&mut self, index: Option<u32>, seen: Clock) {
        self.failures_in_row += 1;
        self.last_failure = Some(seen);
        if let Some(index) = index {
            self.indexes.back_off(index, seen);
        }
    }

    fn count_index(&mut self, index: Option<u32>, action: FailureAction) {
        let (Some(index), Some(limit)) = (index, self.desired.spec.rules.backoff_limit_per_index) else {
            return;
        };
        match action {
            FailureAction::Count => self.indexes.count(index, limit),
            FailureAction::FailIndex => self.indexes.fail(index),
            FailureAction::FailJob | FailureAction::Ignore => {}
        }
    }

    fn fail_job(&mut self, serial: u32, index: Option<u32>, rule: &RuleMatch) {
        let (job, id) = (&self.desired.job, PodId { epoch: self.desired.epoch, serial });
        let pod = format!("{}/{}", job.namespace, pod_name(&job.name, self.desired.uid, id, index));
        let message = rule.message(&pod).into();
        self.job_failure.get_or_insert(FinishReason { reason: "PodFailurePolicy".into(), message });
    }

    /// A gang whose job asks for it starts anew as a whole: what its other pods do or did counts for nothing.
    fn start_gang_anew(&mut self) {
        if self.desired.spec.rules.gang_restart {
            self.generation += 1;
            self.completed.clear();
        }
    }

    /// Whether a pod belongs to a gang that has started anew since.
    pub(crate) fn is_stale(&self, pod: &Pod) -> bool {
        pod.generation < self.generation
    }

    /// Live pods that are no longer wanted, whatever their number: of an earlier generation, of an index that the job has
    /// no more.
    pub(crate) fn surplus(&self) -> BTreeSet<u32> {
        let completions = self.desired.spec.completion.completions;
        let is_beyond = |pod: &Pod| pod.index.zip(completions).is_some_and(|(index, all)| index >= all);
        let surplus = self.live_pods().filter(|pod| self.is_stale(pod) || is_beyond(pod));
        surplus.map(|pod| pod.serial).collect()
    }

    /// How it ended, now that every pod is dead: an attempt that was ended from outside may have failed the job by that.
    pub(crate) fn final_outcome(&self, ending: &Ending) -> (AttemptOutcome, Option<i32>) {
        let from_outside = match ending.outcome {
            AttemptOutcome::Fenced | AttemptOutcome::Lost => true,
            AttemptOutcome::Stopped => self.desired.stop == Some(StopReason::Evicted),
            AttemptOutcome::Succeeded | AttemptOutcome::Failed(_) => false,
        };
        match self.failed_by_pods().filter(|_| from_outside) {
            Some(why) => (AttemptOutcome::Failed(why), self.last_exit_code()),
            None => (ending.outcome.clone(), ending.exit_code),
        }
    }
}

/// The containers' exit codes; where they are not told apart the pod's. A pod that never ran has none.
fn exits_of(end: &PodEnd) -> Vec<ContainerExit> {
    let whole = end.exit_code.map(|code| ContainerExit { container: None, code });
    if end.exits.is_empty() { whole.into_iter().collect() } else { end.exits.clone() }
}
