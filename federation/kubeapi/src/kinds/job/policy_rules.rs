//! The rules of `podFailurePolicy` and `successPolicy`, in the order and words of the real server.

use super::validate::{is_indexed, word};
use crate::field::FieldError;
use crate::kinds::at::At;
use crate::validate::names;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
/// Rules of one policy, and conditions of one rule.
const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const INDEXES_MAX_BYTES: usize = 64 * 1024;

/// Everything wrong with the two policies.
pub(super) fn validate(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    let (failure, success) = (spec.field("podFailurePolicy"), spec.field("successPolicy"));
    if failure.is_set() {
        failure_policy(spec, &failure.field("rules"), errors);
    }
    if success.is_set() && !is_indexed(spec) {
        errors.push(success.invalid("requires indexed completion mode"));
    } else if success.is_set() {
        success_policy(spec, &success.field("rules"), errors);
    }
}

fn failure_policy(spec: &At<'_>, rules: &At<'_>, errors: &mut Vec<FieldError>) {
    limit(rules, RULES_MAX, errors);
    for rule in rules.items() {
        action(spec, &rule.field("action"), errors);
        let (codes, conditions) = (rule.field("onExitCodes"), rule.field("onPodConditions"));
        if codes.is_set() {
            exit_codes(spec, &codes, errors);
        }
        limit(&conditions, RULES_MAX, errors);
        conditions.items().for_each(|pattern| condition(&pattern, errors));
        let has_conditions = conditions.items().next().is_some();
        if codes.is_set() == has_conditions {
            let detail = if has_conditions {
                "specifying both OnExitCodes and OnPodConditions is not supported"
            } else {
                "specifying one of OnExitCodes and OnPodConditions is required"
            };
            errors.push(FieldError::invalid(rule.path.clone(), rule.value, detail));
        }
    }
}

fn action(spec: &At<'_>, action: &At<'_>, errors: &mut Vec<FieldError>) {
    match action.text() {
        "" => errors.push(action.required("valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]")),
        "FailIndex" if !spec.field("backoffLimitPerIndex").is_set() => {
            errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
        }
        _ => word(action, &ACTIONS, errors),
    }
}

fn exit_codes(spec: &At<'_>, codes: &At<'_>, errors: &mut Vec<FieldError>) {
    let operator = codes.field("operator");
    match operator.text() {
        "" => errors.push(operator.required("valid values: [\"In\" \"NotIn\"]")),
        _ => word(&operator, &OPERATORS, errors),
    }
    let container = codes.field("containerName");
    let pods = spec.down(&["template", "spec"]);
    let (main, init) = (pods.field("containers"), pods.field("initContainers"));
    let mut containers = main.items().chain(init.items());
    if container.is_set() && !containers.any(|item| item.field("name").text() == container.text()) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(container.invalid(detail));
    }
    exit_values(&codes.field("values"), operator.text() == "In", errors);
}

fn exit_values(values: &At<'_>, among: bool, errors: &mut Vec<FieldError>) {
    if values.items().next().is_none() {
        errors.push(values.invalid("at least one value is required"));
    }
    limit(values, EXIT_CODES_MAX, errors);
    let codes: Vec<Option<i64>> = values.items().map(|item| item.int()).collect();
    for (position, item) in values.items().enumerate() {
        if among && item.int() == Some(0) {
            errors.push(item.invalid("must not be 0 for the In operator"));
        }
        if codes[..position].contains(&item.int()) {
            errors.push(FieldError::duplicate(item.path, item.value));
        }
    }
    if !codes.is_sorted() {
        errors.push(values.invalid("must be ordered"));
    }
}

fn condition(pattern: &At<'_>, errors: &mut Vec<FieldError>) {
    let (kind, status) = (pattern.field("type"), pattern.field("status"));
    errors.extend(names::qualified_name(kind.text()).into_iter().map(|rule| kind.invalid(rule)));
    match status.text() {
        "" => errors.push(status.required("valid values: [\"False\" \"True\" \"Unknown\"]")),
        _ => word(&status, &STATUSES, errors),
    }
}

fn success_policy(spec: &At<'_>, rules: &At<'_>, errors: &mut Vec<FieldError>) {
    if rules.items().next().is_none() {
        errors
            .push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    }
    limit(rules, RULES_MAX, errors);
    let completions = spec.field("completions").int().unwrap_or(0);
    rules.items().for_each(|rule| success_rule(&rule, completions, errors));
}

fn success_rule(rule: &At<'_>, completions: i64, errors: &mut Vec<FieldError>) {
    let (indexes, count) = (rule.field("succeededIndexes"), rule.field("succeededCount"));
    if !indexes.is_set() && !count.is_set() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(rule.path.clone(), detail));
    }
    let mut total = None;
    if indexes.is_set() {
        if indexes.text().len() > INDEXES_MAX_BYTES {
            errors.push(FieldError::too_long(indexes.path.clone(), INDEXES_MAX_BYTES));
        }
        match indexes_total(indexes.text(), completions) {
            Ok(found) => total = Some(found),
            Err(why) => errors.push(indexes.invalid(format!("error parsing succeededIndexes: {why}"))),
        }
    }
    let Some(wanted) = count.int() else { return };
    if wanted < 0 {
        errors.push(count.invalid("must be greater than or equal to 0"));
    }
    if wanted > completions {
        let detail =
            format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.push(count.invalid(detail));
    }
    if let Some(total) = total.filter(|total| wanted > *total) {
        let what = "the number of indexes in the specified succeededIndexes field";
        errors.push(count.invalid(format!("must be less than or equal to {total} ({what})")));
    }
}

/// How many indexes a text such as `0-3,7` names.
fn indexes_total(text: &str, completions: i64) -> Result<i64, String> {
    let mut last: Option<i64> = None;
    let mut total = 0;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(previous) = last.filter(|previous| *previous >= first) {
            return Err(format!("non-increasing order, previous: {previous}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>().ok().filter(|_| digits) {
            None => Err(format!("cannot convert string to integer for index: {text:?}")),
            Some(index) if index >= completions => Err(format!("too large index: {text:?}")),
            Some(index) => Ok(index),
        }
    };
    match part.split('-').collect::<Vec<_>>()[..] {
        [only] => index(only).map(|index| (index, index)),
        [first, last] => match (index(first)?, index(last)?) {
            (first, last) if first >= last => {
                Err(format!("non-increasing order, previous: {first}, current: {last}"))
            }
            both => Ok(both),
        },
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

fn limit(list: &At<'_>, max: usize, errors: &mut Vec<FieldError>) {
    let count = list.items().count();
    if count > max {
        errors.push(FieldError::too_many(list.path.clone(), count, max));
    }
}
