//! `podFailurePolicy`, `successPolicy` and the limits per index, read into the rules that members go by.

use std::sync::Arc;

use muster_model::{
    Completion, ConditionPattern, ExitCodes, FailureAction, FailurePattern, FailureRule, JobRules,
    SuccessRule,
};

use crate::field::FieldError;
use crate::kinds::at::{At, Path};

/// `true`: when a pod of a gang fails, all of its pods start anew.
const GANG_RESTART: &str = "muster.sh/gang-restart";

/// The rules of a job that follows those of the API.
pub(super) fn read(root: &At<'_>, completion: &Completion, errors: &mut Vec<FieldError>) -> JobRules {
    let spec = root.field("spec");
    let on_failure: Vec<FailureRule> =
        spec.down(&["podFailurePolicy", "rules"]).items().filter_map(|rule| failure_rule(&rule)).collect();
    let on_success = spec.down(&["successPolicy", "rules"]).items().map(|rule| success_rule(&rule)).collect();
    let containers = if on_failure.is_empty() { Vec::new() } else { containers(&spec) };
    JobRules {
        backoff_limit_per_index: spec.field("backoffLimitPerIndex").count(),
        max_failed_indexes: spec.field("maxFailedIndexes").count(),
        on_failure,
        on_success,
        gang_restart: gang_restart(root, completion, errors),
        containers,
    }
}

fn failure_rule(rule: &At<'_>) -> Option<FailureRule> {
    let action = match rule.field("action").text() {
        "Count" => FailureAction::Count,
        "FailIndex" => FailureAction::FailIndex,
        "FailJob" => FailureAction::FailJob,
        "Ignore" => FailureAction::Ignore,
        _ => return None,
    };
    let codes = rule.field("onExitCodes");
    let pattern = if codes.is_set() {
        let code = |item: At<'_>| item.int().and_then(|code| i32::try_from(code).ok());
        FailurePattern::ExitCodes(ExitCodes {
            container: codes.field("containerName").some_text().map(Into::into),
            negated: codes.field("operator").text() == "NotIn",
            values: codes.field("values").items().filter_map(code).collect(),
        })
    } else {
        FailurePattern::PodConditions(
            rule.field("onPodConditions").items().map(|item| condition(&item)).collect(),
        )
    };
    Some(FailureRule { action, pattern })
}

fn condition(pattern: &At<'_>) -> ConditionPattern {
    ConditionPattern {
        kind: pattern.field("type").text().into(),
        status: pattern.field("status").text().into(),
    }
}

fn success_rule(rule: &At<'_>) -> SuccessRule {
    let indexes = rule.field("succeededIndexes");
    SuccessRule {
        indexes: indexes.is_set().then(|| indexes.text().into()),
        count: rule.field("succeededCount").count(),
    }
}

/// Names of all containers: where there is one only, a failed pod's exit code is known to be its.
fn containers(spec: &At<'_>) -> Vec<Arc<str>> {
    let pods = spec.down(&["template", "spec"]);
    let (main, init) = (pods.field("containers"), pods.field("initContainers"));
    main.items().chain(init.items()).map(|container| container.field("name").text().into()).collect()
}

fn gang_restart(root: &At<'_>, completion: &Completion, errors: &mut Vec<FieldError>) -> bool {
    let annotations = root.down(&["metadata", "annotations"]);
    let at = At {
        path: Path::root(format!("metadata.annotations[{GANG_RESTART}]")),
        ..annotations.field(GANG_RESTART)
    };
    match at.text() {
        "true" if completion.gang().is_some() => return true,
        "true" => errors.push(at.invalid(
            "needs a gang: completionMode Indexed, with parallelism equal to completions and above 0",
        )),
        "" | "false" => {}
        _ => errors.push(FieldError::not_supported(at.path.clone(), at.text(), &["false", "true"])),
    }
    false
}
