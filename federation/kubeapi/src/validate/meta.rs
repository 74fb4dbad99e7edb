//! `metadata`: names, labels, annotations, finalizers and owners.

use serde_json::{Map, Value};

use super::names;
use crate::field::FieldError;
use crate::quote::go_quote;
use crate::resource::{NameRule, Resource};

/// Most bytes of all annotations together, keys and values.
pub const ANNOTATIONS_MAX_BYTES: usize = 256 * 1024;

const IMMUTABLE: &str = "field is immutable";
const FIXED: [&str; 4] = ["name", "namespace", "uid", "creationTimestamp"];
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Everything wrong with the metadata of an object that is about to be stored.
pub fn metadata(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let empty = Map::new();
    let meta = object.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut errors = Vec::new();
    check_names(resource, meta, &mut errors);
    check_labels(meta, "metadata.labels", &mut errors);
    check_annotations(meta, &mut errors);
    check_owners(meta, &mut errors);
    check_finalizers(meta, &mut errors);
    errors
}

/// What an update may not change. `old` is the stored object.
pub fn metadata_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let field = |object: &Value, key: &str| object["metadata"].get(key).cloned().unwrap_or(Value::Null);
    let mut errors = Vec::new();
    for key in FIXED {
        let (was, is) = (field(old, key), field(new, key));
        if !is.is_null() && was != is {
            errors.push(FieldError::invalid(format!("metadata.{key}"), &is, IMMUTABLE));
        }
    }
    if !field(old, "deletionTimestamp").is_null() {
        errors.extend(new_finalizers(&field(old, "finalizers"), &field(new, "finalizers")));
    }
    errors
}

/// Labels of `object["metadata"]`-shaped maps elsewhere, such as a pod template's. `path` is the path of the labels.
pub fn check_labels(meta: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in entries(meta, "labels") {
        push_rules(errors, path, key, names::qualified_name(key));
        push_rules(errors, path, value, names::label_value(value));
    }
}

fn check_names(resource: &Resource, meta: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let rule = match resource.name_rule {
        NameRule::Label => names::dns_label,
        NameRule::Subdomain => names::dns_subdomain,
    };
    let (name, prefix) = (text(meta, "name"), text(meta, "generateName"));
    if !prefix.is_empty() {
        push_rules(errors, "metadata.generateName", prefix, rule(&without_dash(prefix)));
    }
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        push_rules(errors, "metadata.name", name, rule(name));
    }
    let namespace = text(meta, "namespace");
    if !resource.namespaced && !namespace.is_empty() {
        errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
    }
    if resource.namespaced && namespace.is_empty() {
        errors.push(FieldError::required("metadata.namespace", ""));
    }
    if !namespace.is_empty() {
        push_rules(errors, "metadata.namespace", namespace, names::dns_label(namespace));
    }
}

/// A prefix may end in a dash, since the server appends to it.
fn without_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(stem) => format!("{stem}a"),
        None => prefix.to_owned(),
    }
}

fn check_annotations(meta: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in entries(meta, "annotations") {
        push_rules(errors, "metadata.annotations", key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX_BYTES {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_MAX_BYTES));
    }
}

fn check_finalizers(meta: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    for (index, finalizer) in strings(meta.get("finalizers")).into_iter().enumerate() {
        push_rules(errors, "metadata.finalizers", finalizer, names::qualified_name(finalizer));
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_text(format!("metadata.finalizers[{index}]"), finalizer, detail));
        }
    }
}

fn check_owners(meta: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let owners = meta.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut controllers = Vec::new();
    for owner in owners.iter().filter_map(Value::as_object) {
        for (field, what) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(owner, field).is_empty() {
                errors.push(FieldError::invalid_text(format!("metadata.ownerReferences.{field}"), "", what));
            }
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            controllers.push(format!("{}/{}", text(owner, "kind"), text(owner, "name")));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        let value = meta.get("ownerReferences").unwrap_or(&Value::Null);
        errors.push(FieldError::invalid("metadata.ownerReferences", value, detail));
    }
}

fn new_finalizers(old: &Value, new: &Value) -> Option<FieldError> {
    let known = strings(Some(old));
    let added: Vec<_> =
        strings(Some(new)).into_iter().filter(|name| !known.contains(name)).map(go_quote).collect();
    if added.is_empty() {
        return None;
    }
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    Some(FieldError::forbidden("metadata.finalizers", detail))
}

fn push_rules(errors: &mut Vec<FieldError>, path: &str, value: &str, broken: Vec<String>) {
    errors.extend(broken.into_iter().map(|rule| FieldError::invalid_text(path, value, rule)));
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn entries<'a>(map: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let entries = map.get(key).and_then(Value::as_object);
    entries.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
