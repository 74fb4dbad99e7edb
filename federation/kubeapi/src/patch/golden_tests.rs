//! Every patch case recorded from a real server gives the same object, or the same refusal.

use serde_json::{Map, Value};

use super::*;
use crate::samples;

/// The server decodes into structs and encodes again: empty lists, maps and nulls do not survive that.
fn settle(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), settle(value)))
                .filter(|(_, v)| !is_empty(v))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(settle).collect()),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A pod or job template is not served by itself: it is patched as a resource of its own schema.
fn resource_of(schema: &str) -> &'static Resource {
    let mut resources = samples::REGISTRY.resources();
    let leaked = |schema: &str| -> &'static str { Box::leak(schema.to_owned().into_boxed_str()) };
    resources
        .find(|resource| resource.schema == schema)
        .unwrap_or_else(|| Box::leak(Box::new(Resource { schema: leaked(schema), ..samples::CONFIG_MAP })))
}

fn body_of(patch: &Value) -> Vec<u8> {
    match patch {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// Messages that quote a Go decoder or a Go parser differ; code and reason may not.
const OWN_WORDS: &[&str] = &[
    "list-for-map",
    "map-for-list",
    "not-json",
    "not-an-object",
    "not-a-list",
    "wrong-type-after",
    "wrong-type",
];

fn check(name: &str, kind: PatchKind, golden: &Value) -> Result<(), String> {
    let resource = resource_of(golden["schema"].as_str().unwrap());
    let got = apply(resource, kind, &golden["before"], &body_of(&golden["patch"]), FieldValidation::Ignore);
    let (got, want) = match (got, golden.get("error")) {
        (Ok(patched), None) => (settle(&patched.object), settle(&golden["after"])),
        (Err(status), Some(error)) => {
            let mut want = error.clone();
            let mut got = serde_json::json!({"code": status.code, "message": status.message});
            if !status.reason.as_str().is_empty() {
                got["reason"] = status.reason.as_str().into();
            }
            if OWN_WORDS.contains(&name) {
                want["message"] = got["message"].clone();
            }
            (got, want)
        }
        (got, want) => return Err(format!("{name}: got {got:?}, want {want:?}")),
    };
    if got == want { Ok(()) } else { Err(format!("{name}:\n got {got}\nwant {want}")) }
}

fn check_folder(folder: &str, kind: PatchKind, at_least: usize) {
    let cases = samples::golden_folder(folder);
    assert!(cases.len() >= at_least, "only {} cases in {folder}", cases.len());
    let wrong: Vec<_> = cases.iter().filter_map(|(name, golden)| check(name, kind, golden).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn strategic_merge_patches_as_the_real_server() {
    check_folder("smp", PatchKind::Strategic, 65);
}

#[test]
fn json_patches_as_the_real_server() {
    check_folder("json", PatchKind::Json, 13);
}

#[test]
fn merge_patches_as_the_real_server() {
    check_folder("merge", PatchKind::Merge, 7);
}

#[test]
fn custom_kinds_refuse_strategic_patches() {
    let status =
        PatchKind::of("application/strategic-merge-patch+json", &samples::CLUSTER, &Options::default())
            .unwrap_err();
    assert_eq!(status.code, 415);
    assert!(
        PatchKind::of("application/merge-patch+json; charset=utf-8", &samples::CLUSTER, &Options::default())
            .is_ok()
    );
}

#[test]
fn copies_cannot_blow_an_object_up() {
    let current = serde_json::json!({"metadata": {"name": "a"}, "data": {"a": "x".repeat(1024 * 1024)}});
    let copies: Vec<_> = (0..4)
        .map(|i| serde_json::json!({"op": "copy", "from": "/data/a", "path": format!("/data/b{i}")}))
        .collect();
    let body = serde_json::to_vec(&copies).unwrap();
    let status =
        apply(&samples::CONFIG_MAP, PatchKind::Json, &current, &body, FieldValidation::Ignore).unwrap_err();
    assert_eq!((status.code, status.reason), (422, Reason::Invalid));
}

#[test]
fn fields_that_were_unknown_before_are_not_held_against_a_patch() {
    let current = serde_json::json!({"metadata": {"name": "a"}, "extra": 1});
    let run =
        |body: &[u8]| apply(&samples::CONFIG_MAP, PatchKind::Merge, &current, body, FieldValidation::Strict);
    assert!(run(br#"{"data":{"a":"1"}}"#).is_ok());
    let refused = run(br#"{"more":2}"#).unwrap_err();
    assert!(refused.message.ends_with(r#"strict decoding error: unknown field "more""#), "{refused}");
}
