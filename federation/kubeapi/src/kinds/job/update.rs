//! What an update of a job may not change (KEP-2926 for suspended jobs, KEP-3715 for elastic Indexed jobs).

use serde_json::Value;

use super::validate::is_indexed;
use crate::field::FieldError;
use crate::kinds::at::At;

const IMMUTABLE: &str = "field is immutable";
const FIXED: [&str; 5] =
    ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];
/// What may change in the template while a job is suspended and has not started.
const SCHEDULING: [&str; 4] = ["affinity", "nodeSelector", "tolerations", "schedulingGates"];

/// Everything that `new` changes and may not.
pub(super) fn validate(old: &At<'_>, new: &At<'_>, errors: &mut Vec<FieldError>) {
    let (was, is) = (old.field("spec"), new.field("spec"));
    completions(&was, &is, errors);
    let mut fixed = |field: &str| {
        if was.field(field).value != is.field(field).value {
            errors.push(is.field(field).invalid(IMMUTABLE));
        }
    };
    fixed("selector");
    if !same_template(old, &was, &is) {
        fixed("template");
    }
    FIXED.into_iter().for_each(fixed);
}

/// Completions of an Indexed job may change together with its parallelism.
fn completions(was: &At<'_>, is: &At<'_>, errors: &mut Vec<FieldError>) {
    let (before, after) = (was.field("completions"), is.field("completions"));
    if before.value == after.value {
        return;
    }
    if !is_indexed(is) {
        errors.push(after.invalid(IMMUTABLE));
    } else if after.is_set() && after.int() != is.field("parallelism").int() {
        errors.push(after.invalid("can only be modified in tandem with spec.parallelism"));
    }
}

fn same_template(old: &At<'_>, was: &At<'_>, is: &At<'_>) -> bool {
    let has_not_started = was.field("suspend").is_true() && !old.down(&["status", "startTime"]).is_set();
    let plain = |spec: &At<'_>| {
        let mut template = spec.field("template").value.clone();
        if has_not_started {
            without_scheduling(&mut template);
        }
        template
    };
    plain(was) == plain(is)
}

fn without_scheduling(template: &mut Value) {
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|key, _| !SCHEDULING.contains(&key.as_str()));
    }
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            // Those of the server stay as they are in both.
            labels.retain(|key, _| key.contains("controller-uid") || key.ends_with("job-name"));
        }
    }
}
