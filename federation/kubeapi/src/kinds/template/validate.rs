//! The rules of pod templates that people break, in the order and words of the real server.

use std::collections::BTreeSet;
use std::fmt::Display;

use muster_model::TaintEffect;
use serde_json::Value;

use super::request::{self, GPUS};
use crate::field::FieldError;
use crate::kinds::at::At;
use crate::kinds::quantity;
use crate::validate::{check_labels, names};

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Everything wrong with the template at `template`.
pub(in crate::kinds) fn validate(template: &At<'_>, errors: &mut Vec<FieldError>) {
    if let Some(metadata) = template.field("metadata").map() {
        // The real server's path leaves `metadata` out here.
        check_labels(metadata, &template.child("labels"), errors);
    }
    let spec = template.field("spec");
    let volumes = volumes(&spec, errors);
    containers(&spec, &volumes, errors);
    restart_policy(&spec, errors);
    let grace = spec.field("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|n| n < 0) {
        errors.push(grace.invalid(NOT_NEGATIVE));
    }
    for (key, value) in spec.field("nodeSelector").entries() {
        let path = spec.child("nodeSelector");
        push(errors, &path, key, names::qualified_name(key));
        push(errors, &path, value.text(), names::label_value(value.text()));
    }
    spec.field("tolerations").items().for_each(|item| toleration(&item, errors));
}

fn push(errors: &mut Vec<FieldError>, path: &dyn Display, value: &str, broken: Vec<String>) {
    errors.extend(broken.into_iter().map(|rule| FieldError::invalid_text(path.to_string(), value, rule)));
}

/// A name that is required, a DNS label, and unique in `seen`. The duplicate is told behind what is wrong with the rest.
fn name<'a>(item: &At<'a>, errors: &mut Vec<FieldError>) -> Option<&'a str> {
    let name = item.field("name");
    match name.some_text() {
        None => errors.push(name.required("")),
        Some(text) => push(errors, &name.path, text, names::dns_label(text)),
    }
    name.some_text()
}

fn volumes<'a>(spec: &At<'a>, errors: &mut Vec<FieldError>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for volume in spec.field("volumes").items() {
        if name(&volume, errors).is_some_and(|text| !seen.insert(text)) {
            let name = volume.field("name");
            errors.push(FieldError::duplicate(name.path.clone(), name.value));
        }
    }
    seen
}

fn containers(spec: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    if spec.field("containers").items().next().is_none() {
        errors.push(spec.field("containers").required(""));
    }
    for list in ["containers", "initContainers"] {
        for item in spec.field(list).items() {
            let text = name(&item, errors);
            container(&item, volumes, errors);
            if text.is_some_and(|text| !seen.insert(text)) {
                let name = item.field("name");
                errors.push(FieldError::duplicate(name.path.clone(), name.value));
            }
        }
    }
}

fn container(item: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let image = item.field("image");
    match image.text() {
        "" => errors.push(image.required("")),
        text if text.trim() != text => {
            errors.push(image.invalid("must not have leading or trailing whitespace"));
        }
        _ => {}
    }
    word(&item.field("imagePullPolicy"), &PULL_POLICIES, errors);
    for port in item.field("ports").items().map(|port| port.field("containerPort")) {
        if port.int().is_none_or(|n| !(1..=65_535).contains(&n)) {
            errors.push(port.invalid("must be between 1 and 65535, inclusive"));
        }
    }
    for variable in item.field("env").items() {
        environment(&variable, errors);
    }
    for mount in item.field("volumeMounts").items() {
        volume_mount(&mount, volumes, errors);
    }
    resources(&item.field("resources"), errors);
}

fn word(at: &At<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if let Some(text) = at.some_text().filter(|text| !allowed.contains(text)) {
        errors.push(FieldError::not_supported(at.path.clone(), text, allowed));
    }
}

fn environment(variable: &At<'_>, errors: &mut Vec<FieldError>) {
    let name = variable.field("name");
    match name.some_text() {
        None => errors.push(name.required("")),
        Some(text) if text.contains('=') => errors.push(name.invalid("must not contain '='")),
        Some(_) => {}
    }
    let (value, from) = (variable.field("value"), variable.field("valueFrom"));
    if from.is_set() && !value.text().is_empty() {
        errors.push(FieldError::invalid_text(
            from.path,
            "",
            "may not be specified when `value` is not empty",
        ));
    }
}

fn volume_mount(mount: &At<'_>, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let name = mount.field("name");
    match name.some_text() {
        None => errors.push(name.required("")),
        Some(text) if !volumes.contains(text) => {
            errors.push(FieldError::not_found(name.path.clone(), text));
        }
        Some(_) => {}
    }
    let path = mount.field("mountPath");
    if path.text().is_empty() {
        errors.push(path.required(""));
    }
}

fn resources(resources: &At<'_>, errors: &mut Vec<FieldError>) {
    let (limits, requests) = (resources.field("limits"), resources.field("requests"));
    for (name, amount) in limits.entries().chain(requests.entries()) {
        resource_amount(name, &amount, errors);
    }
    for (name, request) in requests.entries() {
        let limit = limits.field(name);
        let (Some(asked), Some(most)) = (thousandths(&request), thousandths(&limit)) else { continue };
        let text = limit_text(&limit);
        if GPUS.contains(&name) && asked != most {
            errors.push(request.invalid(format!("must be equal to {name} limit of {text}")));
        } else if asked > most {
            errors.push(request.invalid(format!("must be less than or equal to {name} limit of {text}")));
        }
    }
    let kinds: BTreeSet<&str> = limits.entries().chain(requests.entries()).map(|(name, _)| name).collect();
    let gpus: Vec<&str> = GPUS.into_iter().filter(|gpu| kinds.contains(gpu)).collect();
    if gpus.len() > 1 {
        let detail = format!("a container asks for GPUs of one vendor, found {}", gpus.join(" and "));
        errors.push(FieldError::invalid_text(limits.path, &gpus.join(","), detail));
    }
}

fn resource_amount(name: &str, amount: &At<'_>, errors: &mut Vec<FieldError>) {
    let Some(text) = quantity::text_of(amount.value) else { return };
    let parsed = if request::is_whole(name) { quantity::milli(&text) } else { request::amount(name, &text) };
    match parsed {
        Err(error) => errors.push(amount.invalid(error.to_string())),
        Ok(milli) if request::is_whole(name) && milli % 1000 != 0 => {
            errors.push(amount.invalid("must be an integer"));
        }
        Ok(_) => {}
    }
}

fn thousandths(at: &At<'_>) -> Option<u128> {
    let text = quantity::text_of(at.value)?;
    // Beyond 64 bits of thousandths only whole units can tell amounts apart.
    quantity::milli(&text)
        .map(u128::from)
        .or_else(|_| quantity::units(&text).map(|n| u128::from(n) * 1000))
        .ok()
}

fn limit_text(limit: &At<'_>) -> String {
    quantity::text_of(limit.value).unwrap_or_default().into_owned()
}

fn restart_policy(spec: &At<'_>, errors: &mut Vec<FieldError>) {
    word(&spec.field("restartPolicy"), &RESTART_POLICIES, errors);
}

fn toleration(item: &At<'_>, errors: &mut Vec<FieldError>) {
    let (key, operator, value) = (item.field("key"), item.field("operator"), item.field("value"));
    if let Some(text) = key.some_text() {
        push(errors, &key.path, text, names::qualified_name(text));
    }
    match operator.text() {
        "" | "Equal" if key.text().is_empty() => errors.push(FieldError::invalid_text(
            operator.path.clone(),
            operator.text(),
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        )),
        "" | "Equal" => push(errors, &value.path, value.text(), names::label_value(value.text())),
        "Exists" if !value.text().is_empty() => {
            errors.push(operator.invalid("value must be empty when `operator` is 'Exists'"));
        }
        "Exists" => {}
        other => errors.push(FieldError::not_supported(operator.path, other, &["Equal", "Exists"])),
    }
    let effect = item.field("effect");
    word(&effect, &EFFECTS, errors);
    let seconds = item.field("tolerationSeconds");
    if seconds.value != &Value::Null && effect_of(effect.text()) != Some(TaintEffect::NoExecute) {
        errors.push(effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
}

/// An effect by its word.
pub(in crate::kinds) fn effect_of(word: &str) -> Option<TaintEffect> {
    match word {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}
