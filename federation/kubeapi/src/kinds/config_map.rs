//! `v1 ConfigMap`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use muster_model::{Object, Spec};
use serde_json::{Value, json};

use super::at::At;
use super::column::{AGE, NAME, integer};
use super::kind::{Reading, StoredKind};
use super::rows::Rows;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, NameRule, Origin, Resource};
use crate::validate::names;

/// Most bytes of all values together (Kubernetes API, `ConfigMap`).
const MAX_BYTES: usize = 1024 * 1024;

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        categories: &[],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: &[NAME, integer("Data", "How many entries it has."), AGE],
        schema: "io.k8s.api.core.v1.ConfigMap",
        origin: Origin::BuiltIn,
        name_rule: NameRule::Subdomain,
        field_labels: &[],
        default: |_| {},
        validate,
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show: |_, _, _| {},
    cells,
};

/// The values of a stored ConfigMap by key, `data` and `binaryData` together.
pub fn config_map_data(object: &Object) -> BTreeMap<String, Vec<u8>> {
    let body = object.document.body_text(&object.key.name, &object.meta.uid.to_string());
    let document: Value = serde_json::from_str(&format!("{{{body}}}")).unwrap_or_default();
    let at = At::root(&document, "");
    let (data, binary) = (at.field("data"), at.field("binaryData"));
    let texts = data.entries().map(|(key, value)| (key.to_owned(), value.text().as_bytes().to_vec()));
    let bytes = |(key, value): (&str, At<'_>)| Some((key.to_owned(), STANDARD.decode(value.text()).ok()?));
    texts.chain(binary.entries().filter_map(bytes)).collect()
}

fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let at = At::root(object, "");
    let (data, binary) = (at.field("data"), at.field("binaryData"));
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in data.entries() {
        check_key(key, &value, &mut errors);
        if binary.value.get(key).is_some() {
            errors.push(FieldError::invalid_text(
                value.path.clone(),
                key,
                "duplicate of key present in binaryData",
            ));
        }
        size += value.text().len();
    }
    for (key, value) in binary.entries() {
        check_key(key, &value, &mut errors);
        match STANDARD.decode(value.text()) {
            Ok(bytes) => size += bytes.len(),
            Err(error) => errors.push(value.invalid(format!("must be base64: {error}"))),
        }
    }
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("[]", MAX_BYTES));
    }
    if let Some(old) = old {
        check_immutable(&At::root(old, ""), &at, &mut errors);
    }
    errors
}

fn check_key(key: &str, value: &At<'_>, errors: &mut Vec<FieldError>) {
    let broken = names::config_key(key);
    errors.extend(broken.into_iter().map(|rule| FieldError::invalid_text(value.path.clone(), key, rule)));
}

fn check_immutable(old: &At<'_>, new: &At<'_>, errors: &mut Vec<FieldError>) {
    if !old.field("immutable").is_true() {
        return;
    }
    for field in ["immutable", "data", "binaryData"] {
        let (was, is) = (old.field(field), new.field(field));
        let same = was.value == is.value || is_empty(was.value) && is_empty(is.value);
        if !same {
            errors.push(FieldError::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let count = rows.texts(object, count).pop().and_then(|text| text.parse::<usize>().ok());
    vec![json!(&*object.key.name), json!(count.unwrap_or_default()), rows.age(object)]
}

fn count(body: &Value) -> Vec<String> {
    let entries = |field: &str| body.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    vec![(entries("data") + entries("binaryData")).to_string()]
}
