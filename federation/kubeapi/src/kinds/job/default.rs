//! What a Kubernetes API server of 1.34 sets in a Job, the generated selector and labels included.

use serde_json::{Map, Value, json};

use crate::kinds::at::{object_in, objects_in, set_default};
use crate::kinds::template;
use crate::validate::names::LABEL_MAX;

pub(super) const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
pub(super) const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// The same as before 1.27, kept by the real server too.
pub(super) const OLD_CONTROLLER_UID: &str = "controller-uid";
pub(super) const OLD_JOB_NAME: &str = "job-name";

/// Completes a job. `metadata.name` and `metadata.uid` are set.
pub(super) fn default(object: &mut Value) {
    let Some(top) = object.as_object_mut() else { return };
    let text = |map: &Map<String, Value>, key: &str| {
        map.get("metadata")
            .and_then(|meta| meta.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (name, uid) = (text(top, "name"), text(top, "uid"));
    let Some(spec) = object_in(top, "spec") else { return };
    counts(spec);
    if let Some(template) = object_in(spec, "template") {
        template::default(template);
    }
    if spec.get("manualSelector") != Some(&Value::Bool(true)) {
        generate_selector(spec, &name, &uid);
    }
    // What is no label's value is refused once, in the template.
    if name.len() <= LABEL_MAX {
        copy_labels(top);
    }
}

fn counts(spec: &mut Map<String, Value>) {
    let is_set = |spec: &Map<String, Value>, key: &str| spec.get(key).is_some_and(|value| !value.is_null());
    if !is_set(spec, "parallelism") && !is_set(spec, "completions") {
        set_default(spec, "completions", 1);
    }
    set_default(spec, "parallelism", 1);
    let limit = if is_set(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    set_default(spec, "backoffLimit", limit);
    set_default(spec, "completionMode", "NonIndexed");
    set_default(spec, "suspend", false);
    set_default(spec, "manualSelector", false);
    let by_policy = is_set(spec, "podFailurePolicy");
    set_default(spec, "podReplacementPolicy", if by_policy { "Failed" } else { "TerminatingOrFailed" });
    if let Some(Value::Object(policy)) = spec.get_mut("podFailurePolicy") {
        for rule in objects_in(policy, "rules") {
            objects_in(rule, "onPodConditions").for_each(|pattern| set_default(pattern, "status", "True"));
        }
    }
}

fn generate_selector(spec: &mut Map<String, Value>, name: &str, uid: &str) {
    if let Some(labels) = object_in(spec, "template")
        .and_then(|template| object_in(template, "metadata"))
        .and_then(|metadata| object_in(metadata, "labels"))
    {
        for (key, value) in
            [(CONTROLLER_UID, uid), (JOB_NAME, name), (OLD_CONTROLLER_UID, uid), (OLD_JOB_NAME, name)]
        {
            set_default(labels, key, value);
        }
    }
    if let Some(labels) = object_in(spec, "selector").and_then(|selector| object_in(selector, "matchLabels"))
    {
        set_default(labels, CONTROLLER_UID, uid);
    }
}

/// A job without labels has its template's.
fn copy_labels(top: &mut Map<String, Value>) {
    let labels = top["spec"].pointer("/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    let Some(metadata) = object_in(top, "metadata") else { return };
    let is_empty =
        metadata.get("labels").is_none_or(|own| own.is_null() || own.as_object().is_some_and(Map::is_empty));
    if is_empty && labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        metadata.insert("labels".to_owned(), labels);
    }
}
