//! The rules of jobs, in the order and words of the real server (`pkg/apis/batch/validation` of 1.34).

use serde_json::Value;

use super::default::{CONTROLLER_UID, JOB_NAME};
use super::{policy_rules, update};
use crate::field::FieldError;
use crate::kinds::at::At;
use crate::kinds::template;
use crate::validate::names;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const COMPLETION_MODES: [&str; 2] = ["NonIndexed", "Indexed"];
const REPLACEMENT_POLICIES: [&str; 2] = ["Failed", "TerminatingOrFailed"];
const RESTART_POLICIES: [&str; 2] = ["OnFailure", "Never"];
/// Most pods at a time: the real server's limit for Indexed jobs, here for all, since each pod is given a place.
const PARALLELISM_MAX: i64 = 100_000;
/// Most completions of an Indexed job without a backoff limit per index is 10^9 there; its list of indexes must stay short.
const INDEXED_COMPLETIONS_MAX: i64 = 100_000;

/// Everything wrong with a job.
pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let root = At::root(object, "");
    let spec = root.field("spec");
    let mut errors = Vec::new();
    numbers(&spec, &mut errors);
    mode(&spec, &mut errors);
    policy_rules::validate(&spec, &mut errors);
    replacement_policy(&spec, &mut errors);
    template::validate(&spec.field("template"), &mut errors);
    restart_policy(&spec, &mut errors);
    selector(&root, &mut errors);
    if let Some(old) = old {
        update::validate(&At::root(old, ""), &root, &mut errors);
    }
    errors
}

fn numbers(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        let at = spec.field(field);
        if at.int().is_some_and(|n| n < 0) {
            errors.push(at.invalid(NOT_NEGATIVE));
        }
    }
    if spec.field("maxFailedIndexes").is_set() && !spec.field("backoffLimitPerIndex").is_set() {
        errors.push(spec.field("backoffLimitPerIndex").required("when maxFailedIndexes is specified"));
    }
    let managed_by = spec.field("managedBy");
    if let Some(text) = managed_by.some_text() {
        let broken = names::qualified_name(text);
        let broken = if text.contains('/') {
            broken
        } else {
            vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()]
        };
        errors.extend(broken.into_iter().map(|rule| managed_by.invalid(rule)));
    }
}

fn mode(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let (completions, parallelism) = (spec.field("completions"), spec.field("parallelism"));
    word(&spec.field("completionMode"), &COMPLETION_MODES, errors);
    if is_indexed(spec) {
        if !completions.is_set() {
            errors.push(completions.required("when completion mode is Indexed"));
        }
        let detail = format!(
            "must be less than or equal to {INDEXED_COMPLETIONS_MAX} when completion mode is Indexed"
        );
        if completions.int().is_some_and(|n| n > INDEXED_COMPLETIONS_MAX) {
            errors.push(completions.invalid(detail));
        }
        let max_failed = spec.field("maxFailedIndexes");
        if max_failed.int().zip(completions.int()).is_some_and(|(failed, all)| failed > all) {
            errors.push(max_failed.invalid("must be less than or equal to completions"));
        }
    }
    if parallelism.int().is_some_and(|n| n > PARALLELISM_MAX) {
        let mode = if is_indexed(spec) { " when completion mode is Indexed" } else { "" };
        errors.push(parallelism.invalid(format!("must be less than or equal to {PARALLELISM_MAX}{mode}")));
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        let at = spec.field(field);
        if at.is_set() && !is_indexed(spec) {
            errors.push(at.invalid("requires indexed completion mode"));
        }
    }
}

/// Whether each completion has an index.
pub(super) fn is_indexed(spec: &At<'_>) -> bool {
    spec.field("completionMode").text() == "Indexed"
}

pub(super) fn word(at: &At<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if let Some(text) = at.some_text().filter(|text| !allowed.contains(text)) {
        errors.push(FieldError::not_supported(at.path.clone(), text, allowed));
    }
}

/// A pod may be replaced before it is dead, but not where its end decides what follows.
fn replacement_policy(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let by_rule = spec.field("podFailurePolicy").is_set();
    let allowed: &[&str] = if by_rule { &["Failed"] } else { &REPLACEMENT_POLICIES };
    word(&spec.field("podReplacementPolicy"), allowed, errors);
}

fn restart_policy(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.down(&["template", "spec", "restartPolicy"]);
    match policy.text() {
        "" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.field("podFailurePolicy").is_set() => {
            errors.push(policy.invalid("only \"Never\" is supported when podFailurePolicy is specified"));
        }
        _ => word(&policy, &RESTART_POLICIES, errors),
    }
}

/// A selector that the server makes must be the one it makes, and any selector must match the template.
fn selector(root: &At<'_>, errors: &mut Vec<FieldError>) {
    let spec = root.field("spec");
    let (selector, labels) = (spec.field("selector"), spec.down(&["template", "metadata", "labels"]));
    if !spec.field("manualSelector").is_true() {
        generated(root, errors);
        return;
    }
    if !selector.is_set() {
        errors.push(selector.required(""));
        return;
    }
    let wanted = selector.field("matchLabels");
    let fits = wanted.entries().all(|(key, value)| labels.value.get(key) == Some(value.value));
    if !fits {
        errors.push(FieldError::invalid(
            labels.path,
            labels.value,
            "`selector` does not match template `labels`",
        ));
    }
}

fn generated(root: &At<'_>, errors: &mut Vec<FieldError>) {
    let spec = root.field("spec");
    let metadata = root.field("metadata");
    let labels = spec.down(&["template", "metadata", "labels"]);
    for (key, want) in [(CONTROLLER_UID, metadata.field("uid")), (JOB_NAME, metadata.field("name"))] {
        let found = labels.field(key);
        if found.text() != want.text() {
            let detail =
                format!("must be {:?}: the server sets it; leave it out, or set manualSelector", want.text());
            errors.push(FieldError::invalid(format!("{}[{key}]", labels.path), found.value, detail));
        }
    }
    let selector = spec.field("selector");
    let wanted = selector.field("matchLabels");
    let is_generated = wanted.map().is_some_and(|map| map.len() == 1)
        && wanted.field(CONTROLLER_UID).text() == metadata.field("uid").text()
        && selector.field("matchExpressions").items().next().is_none();
    if !is_generated {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}
