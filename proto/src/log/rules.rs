//! The rules of a job and its failures by index. The agent stream carries them in the same form.

use muster_model::{
    ConditionPattern, ExitCodes, FailureAction, FailurePattern, FailureRule, IndexFailures, JobRules,
    SuccessRule,
};

use super::FieldError;
use super::durable::{Durable, value};
use super::pb::{self, failure_rule};

durable_enums! {
    FailureAction { Count, FailIndex, FailJob, Ignore }
}

durable_structs! {
    ExitCodes => ExitCodes { container: container, negated: negated, values: values }
    ConditionPattern => ConditionPattern { kind: kind, status: status }
    SuccessRule => SuccessRule { indexes: indexes, count: count }
}

impl Durable for FailureRule {
    type Form = pb::FailureRule;

    fn form(&self) -> pb::FailureRule {
        let pattern = match &self.pattern {
            FailurePattern::ExitCodes(codes) => failure_rule::Pattern::ExitCodes(codes.form()),
            FailurePattern::PodConditions(patterns) => {
                failure_rule::Pattern::PodConditions(failure_rule::PodConditions {
                    patterns: patterns.form(),
                })
            }
        };
        pb::FailureRule { action: self.action.form(), pattern: Some(pattern) }
    }

    fn read(form: pb::FailureRule) -> Result<FailureRule, FieldError> {
        let pattern = match form.pattern.ok_or_else(|| FieldError::missing("pattern"))? {
            failure_rule::Pattern::ExitCodes(codes) => FailurePattern::ExitCodes(value("exit_codes", codes)?),
            failure_rule::Pattern::PodConditions(conditions) => {
                FailurePattern::PodConditions(value("pod_conditions.patterns", conditions.patterns)?)
            }
        };
        Ok(FailureRule { action: value("action", form.action)?, pattern })
    }
}

/// A job without rules has none in its form: its bytes are those of the time before there were rules.
impl Durable for JobRules {
    type Form = Option<pb::JobRules>;

    fn form(&self) -> Option<pb::JobRules> {
        (*self != JobRules::default()).then(|| pb::JobRules {
            backoff_limit_per_index: self.backoff_limit_per_index,
            max_failed_indexes: self.max_failed_indexes,
            on_failure: self.on_failure.form(),
            on_success: self.on_success.form(),
            gang_restart: self.gang_restart,
            containers: self.containers.form(),
        })
    }

    fn read(form: Option<pb::JobRules>) -> Result<JobRules, FieldError> {
        let Some(form) = form else { return Ok(JobRules::default()) };
        Ok(JobRules {
            backoff_limit_per_index: form.backoff_limit_per_index,
            max_failed_indexes: form.max_failed_indexes,
            on_failure: value("on_failure", form.on_failure)?,
            on_success: value("on_success", form.on_success)?,
            gang_restart: form.gang_restart,
            containers: value("containers", form.containers)?,
        })
    }
}

/// The same: no failures, no bytes.
impl Durable for IndexFailures {
    type Form = Option<pb::IndexFailures>;

    fn form(&self) -> Option<pb::IndexFailures> {
        (*self != IndexFailures::default())
            .then(|| pb::IndexFailures { failed: self.failed.form(), counts: self.counts.form() })
    }

    fn read(form: Option<pb::IndexFailures>) -> Result<IndexFailures, FieldError> {
        let form = form.unwrap_or_default();
        Ok(IndexFailures { failed: form.failed.into(), counts: form.counts.into() })
    }
}

/// The form of a job's rules.
pub(crate) fn rules_form(rules: &JobRules) -> Option<pb::JobRules> {
    rules.form()
}

/// The rules of a form that may come from another version.
pub(crate) fn read_rules(form: Option<pb::JobRules>) -> Result<JobRules, FieldError> {
    JobRules::read(form)
}

/// The form of failures by index.
pub(crate) fn index_failures_form(failures: &IndexFailures) -> Option<pb::IndexFailures> {
    failures.form()
}

/// The failures of a form.
pub(crate) fn read_index_failures(form: Option<pb::IndexFailures>) -> IndexFailures {
    form.map(|form| IndexFailures { failed: form.failed.into(), counts: form.counts.into() })
        .unwrap_or_default()
}
