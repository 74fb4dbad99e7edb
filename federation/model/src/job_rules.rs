//! What the end of a single pod decides about its job: `podFailurePolicy`, `successPolicy`, limits per index.
//!
//! Source: the Kubernetes API of `batch/v1 Job` (KEP-3329 pod failure policy, KEP-3850 backoff limit per index, KEP-3998
//! success policy). Rules are looked at in order, and the first that matches decides.

use std::sync::Arc;

use crate::IndexSet;

/// The condition of a pod that was ended from outside: evicted, fenced, or lost with its machine.
pub const DISRUPTION: &str = "DisruptionTarget";

/// The rules of a job. By default none: each failure counts towards the backoff limit, and all completions are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JobRules {
    /// Failures after which an index is failed; the job goes on with the others.
    pub backoff_limit_per_index: Option<u32>,
    /// Failed indexes after which the job fails at once.
    pub max_failed_indexes: Option<u32>,
    /// What a failed pod comes to.
    pub on_failure: Vec<FailureRule>,
    /// When some completions are enough.
    pub on_success: Vec<SuccessRule>,
    /// Whether all pods start anew when one fails.
    pub gang_restart: bool,
    /// Names of the template's containers, init containers included; empty without `on_failure`.
    pub containers: Vec<Arc<str>>,
}

/// One rule for failed pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FailureRule {
    /// What follows.
    pub action: FailureAction,
    /// From what.
    pub pattern: FailurePattern,
}

/// What follows from a failed pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureAction {
    /// It counts towards the backoff limit, as without rules.
    Count,
    /// Its index is failed, whatever is left of its backoff limit.
    FailIndex,
    /// The job fails.
    FailJob,
    /// It counts for nothing and is replaced.
    Ignore,
}

/// Which failed pods a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FailurePattern {
    /// Those with a container that exited with such a code.
    ExitCodes(ExitCodes),
    /// Those with one of these conditions.
    PodConditions(Vec<ConditionPattern>),
}

/// Exit codes of a container. Exit code 0 is never meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExitCodes {
    /// Only of this container.
    pub container: Option<Arc<str>>,
    /// Whether the codes listed are those not meant.
    pub negated: bool,
    /// The codes.
    pub values: Vec<i32>,
}

/// A condition of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConditionPattern {
    /// Its type.
    pub kind: Arc<str>,
    /// `True`, `False` or `Unknown`.
    pub status: Arc<str>,
}

/// When some completions are enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SuccessRule {
    /// Indexes that count, as `0-3,7`; absent: all.
    pub indexes: Option<Arc<str>>,
    /// How many of them; absent: all of them.
    pub count: Option<u32>,
}

/// A failed pod as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct PodFailure<'a> {
    /// Its containers that exited, as far as that is known, in the order of the template.
    pub exits: &'a [ContainerExit],
    /// Whether it was ended from outside.
    pub disrupted: bool,
}

/// A container that exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerExit {
    /// Its name; absent where the member does not tell containers apart.
    pub container: Option<Arc<str>>,
    /// The code.
    pub code: i32,
}

/// The rule that decides on a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// What follows.
    pub action: FailureAction,
    /// Position of the rule.
    pub rule: usize,
    /// What matched, for people: a container with its exit code, or a condition.
    pub matched: Matched,
}

/// What a rule matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// A container's exit code.
    Exit {
        /// The container.
        container: Arc<str>,
        /// The code.
        code: i32,
    },
    /// A condition.
    Condition(Arc<str>),
}

impl JobRules {
    /// The rule that decides on a failed pod, if any does.
    pub fn failure(&self, failure: &PodFailure<'_>) -> Option<RuleMatch> {
        self.on_failure.iter().enumerate().find_map(|(rule, candidate)| {
            let matched = match &candidate.pattern {
                FailurePattern::ExitCodes(codes) => {
                    failure.exits.iter().find_map(|exit| self.exit(codes, exit))?
                }
                FailurePattern::PodConditions(patterns) => condition(patterns, failure)?,
            };
            Some(RuleMatch { action: candidate.action, rule, matched })
        })
    }

    /// What an attempt that was ended from outside, and of whose pods nothing else is known, comes to.
    pub fn disruption(&self) -> Option<RuleMatch> {
        self.failure(&PodFailure { exits: &[], disrupted: true })
    }

    /// The position of the first rule that is met by these completed indexes. `completions` is how many indexes there are.
    pub fn success(&self, completed: &IndexSet, completions: u32) -> Option<usize> {
        let met = |rule: &SuccessRule| match (&rule.indexes, rule.count) {
            (Some(indexes), count) => {
                let asked = IndexSet::parse(indexes, completions);
                let there = asked.common(completed);
                !asked.is_empty() && there >= count.unwrap_or(asked.len()).min(asked.len())
            }
            (None, Some(count)) => completed.len() >= count,
            (None, None) => false,
        };
        if completed.is_empty() {
            return None;
        }
        self.on_success.iter().position(met)
    }

    fn exit(&self, codes: &ExitCodes, exit: &ContainerExit) -> Option<Matched> {
        let only = || match self.containers.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let name = exit.container.as_ref().or_else(only);
        let is_meant = codes.container.as_ref().is_none_or(|wanted| name == Some(wanted));
        (exit.code != 0 && is_meant && codes.values.contains(&exit.code) != codes.negated).then(|| {
            let container = name.cloned().unwrap_or_else(|| "unknown".into());
            Matched::Exit { container, code: exit.code }
        })
    }
}

fn condition(patterns: &[ConditionPattern], failure: &PodFailure<'_>) -> Option<Matched> {
    let holds = |pattern: &&ConditionPattern| {
        failure.disrupted && &*pattern.kind == DISRUPTION && &*pattern.status == "True"
    };
    patterns.iter().find(holds).map(|pattern| Matched::Condition(Arc::clone(&pattern.kind)))
}

impl RuleMatch {
    /// The sentence that the real job controller writes for a job that a rule failed.
    pub fn message(&self, pod: &str) -> String {
        let (action, rule) = (self.action.name(), self.rule);
        match &self.matched {
            Matched::Exit { container, code } => format!(
                "Container {container} for pod {pod} failed with exit code {code} matching {action} rule at index {rule}"
            ),
            Matched::Condition(kind) => {
                format!("Pod {pod} has condition {kind} matching {action} rule at index {rule}")
            }
        }
    }
}

impl FailureAction {
    /// The word of the API.
    pub fn name(self) -> &'static str {
        match self {
            FailureAction::Count => "Count",
            FailureAction::FailIndex => "FailIndex",
            FailureAction::FailJob => "FailJob",
            FailureAction::Ignore => "Ignore",
        }
    }
}

#[cfg(test)]
#[path = "job_rules_tests.rs"]
mod tests;
