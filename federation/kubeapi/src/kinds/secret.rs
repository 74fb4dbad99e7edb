//! `v1 Secret`. Messages never repeat what is in one: whoever reads a log must not learn it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use muster_model::{Object, Spec};
use serde_json::{Map, Value, json};

use super::at::{At, object_in};
use super::column::{AGE, NAME, text};
use super::kind::{Reading, StoredKind};
use super::rows::Rows;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, FieldLabel, NameRule, Origin, Resource};
use crate::validate::{REDACTED, names};

/// Most bytes of all values together (Kubernetes API, `MaxSecretSize`).
const MAX_BYTES: usize = 1024 * 1024;
const OPAQUE: &str = "Opaque";
const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: &[
            NAME,
            text("Type", "What the data is for."),
            text("Data", "How many entries it has."),
            AGE,
        ],
        schema: "io.k8s.api.core.v1.Secret",
        origin: Origin::BuiltIn,
        name_rule: NameRule::Subdomain,
        field_labels: &[FieldLabel { label: "type", pointer: "/type", fallback: "" }],
        default: complete,
        validate,
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show: |_, _, _| {},
    cells,
};

/// The type if none is given, and `stringData` merged into `data`: it is never stored or shown.
fn complete(object: &mut Value) {
    let Some(top) = object.as_object_mut() else { return };
    if top.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
        top.insert("type".to_owned(), json!(OPAQUE));
    }
    let texts = match top.remove("stringData") {
        Some(Value::Object(texts)) => texts,
        _ => Map::new(),
    };
    if texts.is_empty() && top.get("data").is_none_or(Value::is_null) {
        return;
    }
    let Some(data) = object_in(top, "data") else { return };
    for (key, text) in texts {
        data.insert(key, json!(STANDARD.encode(text.as_str().unwrap_or_default())));
    }
    for value in data.values_mut().filter(|value| value.is_null()) {
        *value = json!("");
    }
}

/// The values of a Secret whose document is open, by key.
pub fn secret_data(object: &Object) -> BTreeMap<String, Vec<u8>> {
    let body = object.document.body_text(&object.key.name, &object.meta.uid.to_string());
    let document: Value = serde_json::from_str(&format!("{{{body}}}")).unwrap_or_default();
    let at = At::root(&document, "");
    let bytes = |(key, value): (&str, At<'_>)| Some((key.to_owned(), STANDARD.decode(value.text()).ok()?));
    at.field("data").entries().filter_map(bytes).collect()
}

fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let at = At::root(object, "");
    let data = at.field("data");
    let (mut errors, mut size) = (Vec::new(), 0);
    for (key, value) in data.entries() {
        let broken = names::config_key(key);
        errors.extend(broken.into_iter().map(|rule| FieldError::invalid_text(value.path.clone(), key, rule)));
        match STANDARD.decode(value.text()) {
            Ok(bytes) => size += bytes.len(),
            Err(_) => errors.push(FieldError::invalid_text(value.path.clone(), REDACTED, "must be base64")),
        }
    }
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("data", MAX_BYTES));
    }
    check_type(&at, &data, &mut errors);
    if let Some(old) = old {
        check_update(&At::root(old, ""), &at, &mut errors);
    }
    errors
}

/// What secrets of the well-known types must have.
fn check_type(at: &At<'_>, data: &At<'_>, errors: &mut Vec<FieldError>) {
    let missing = |key: &str| data.value.get(key).is_none().then(|| required(key));
    match at.field("type").text() {
        "kubernetes.io/service-account-token" => {
            let annotations = at.down(&["metadata", "annotations"]);
            if annotations.field(SERVICE_ACCOUNT_NAME).text().is_empty() {
                let path = format!("metadata.annotations[{SERVICE_ACCOUNT_NAME}]");
                errors.push(FieldError::required(path, ""));
            }
        }
        "kubernetes.io/dockercfg" => check_json(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => check_json(data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" => {
            if let (Some(user), Some(password)) = (missing("username"), missing("password")) {
                errors.extend([user, password]);
            }
        }
        "kubernetes.io/ssh-auth" if data.field("ssh-privatekey").text().is_empty() => {
            errors.push(required("ssh-privatekey"));
        }
        "kubernetes.io/tls" => errors.extend(["tls.crt", "tls.key"].into_iter().filter_map(missing)),
        _ => {}
    }
}

fn required(key: &str) -> FieldError {
    FieldError::required(format!("data[{key}]"), "")
}

fn check_json(data: &At<'_>, key: &str, errors: &mut Vec<FieldError>) {
    if data.value.get(key).is_none() {
        errors.push(required(key));
        return;
    }
    let decoded = STANDARD.decode(data.field(key).text()).unwrap_or_default();
    if serde_json::from_slice::<serde::de::IgnoredAny>(&decoded).is_err() {
        errors.push(FieldError::invalid_text(format!("data[{key}]"), REDACTED, "must be JSON"));
    }
}

fn check_update(old: &At<'_>, new: &At<'_>, errors: &mut Vec<FieldError>) {
    let (was, is) = (old.field("type"), new.field("type"));
    if was.value != is.value {
        errors.push(is.invalid("field is immutable"));
    }
    if !old.field("immutable").is_true() {
        return;
    }
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    for field in ["immutable", "data"] {
        let (was, is) = (old.field(field), new.field(field));
        if was.value != is.value && !(is_empty(was.value) && is_empty(is.value)) {
            errors.push(FieldError::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let mut read = rows.texts(object, type_and_count).into_iter();
    let mut next = || json!(read.next().unwrap_or_default());
    vec![json!(&*object.key.name), next(), next(), rows.age(object)]
}

fn type_and_count(body: &Value) -> Vec<String> {
    let count = body.get("data").and_then(Value::as_object).map_or(0, Map::len);
    vec![body.get("type").and_then(Value::as_str).unwrap_or(OPAQUE).to_owned(), count.to_string()]
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::super::samples::{NOW, decoded, lines, object, row, shown};
    use super::super::{admit, render};
    use super::*;

    const META: &str = "metadata: {name: c, namespace: a}\n";

    fn check(body: &str, want: &Expect) {
        let object = decoded(&KIND, &format!("{META}{body}"));
        want.assert_eq(&lines(&admit(&KIND, object, None).err().unwrap_or_default()));
    }

    #[test]
    fn string_data_is_merged_and_never_shown() {
        let object = object(&KIND, &format!("{META}data: {{a: AAE=, b: AAE=}}\nstringData: {{b: hello}}\n"));
        expect![[r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c","namespace":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z"},"data":{"a":"AAE=","b":"aGVsbG8="},"type":"Opaque"}"#]]
        .assert_eq(&shown(&KIND, &object));
        let values = [("a".to_owned(), vec![0, 1]), ("b".to_owned(), b"hello".to_vec())];
        assert_eq!(secret_data(&object), values.into());
        expect![[r#"
            Name: "c"
            Type: "Opaque"
            Data: "2"
            Age: "0s""#]]
        .assert_eq(&row(&KIND, &object, NOW));
    }

    #[test]
    fn each_type_has_its_rules_and_no_message_tells_a_value() {
        check("data: {'..': AA==}\n", &expect![[r#"data[..]: Invalid value: "..": must not be '..'"#]]);
        check(
            "data: {k: hunter2!}\n",
            &expect![[r#"data[k]: Invalid value: "<secret contents redacted>": must be base64"#]],
        );
        check(
            "type: kubernetes.io/basic-auth\n",
            &expect![[r#"
                data[username]: Required value
                data[password]: Required value"#]],
        );
        check(
            "type: kubernetes.io/tls\nstringData: {tls.crt: x}\n",
            &expect!["data[tls.key]: Required value"],
        );
        check("type: kubernetes.io/ssh-auth\n", &expect!["data[ssh-privatekey]: Required value"]);
        check(
            "type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: hunter2}\n",
            &expect![[
                r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be JSON"#
            ]],
        );
        check(
            "type: kubernetes.io/service-account-token\n",
            &expect!["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        );
        check("type: example.com/own\nstringData: {any: thing}\n", &expect![""]);
        let large = format!("stringData: {{a: {}}}", "x".repeat(MAX_BYTES + 1));
        check(&large, &expect!["data: Too long: may not be more than 1048576 bytes"]);
    }

    #[test]
    fn type_and_immutable_data_stay() {
        let old = object(&KIND, &format!("{META}immutable: true\nstringData: {{a: x}}\n"));
        let old = render::value(&KIND, &old);
        let change = |field: &str, value: Value| {
            let mut new = old.clone();
            new[field] = value;
            lines(&admit(&KIND, new, Some(&old)).err().unwrap_or_default())
        };
        expect![[r#"type: Invalid value: "kubernetes.io/tls": field is immutable"#]]
            .assert_eq(change("type", json!("kubernetes.io/tls")).lines().last().unwrap_or_default());
        expect!["data: Forbidden: field is immutable when `immutable` is set"]
            .assert_eq(&change("stringData", json!({"a": "y"})));
        expect!["immutable: Forbidden: field is immutable when `immutable` is set"]
            .assert_eq(&change("immutable", json!(false)));
        assert_eq!(change("stringData", json!({"a": "x"})), "");
    }
}
