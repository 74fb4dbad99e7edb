//! Random patches on random objects: what holds for all of them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::samples::JOB;

const FIELDS: &[&str] =
    &["metadata", "spec", "template", "containers", "env", "args", "labels", "finalizers", "volumes"];
const DIRECTIVES: &[&str] = &[
    "$patch",
    "$retainKeys",
    "$setElementOrder/env",
    "$setElementOrder/containers",
    "$setElementOrder/finalizers",
    "$deleteFromPrimitiveList/finalizers",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(1)),
        Just(json!(true)),
        prop::sample::select(vec!["a", "b", "c", "delete", "replace", "env"]).prop_map(|text| json!(text)),
    ]
}

fn tree(keys: Vec<&'static str>) -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 48, 5, move |inner| {
        let entries = prop::collection::vec((prop::sample::select(keys.clone()), inner.clone()), 0..5);
        let named = (prop::sample::select(vec!["a", "b", "c"]), entries.clone());
        let items = named.prop_map(|(name, entries)| {
            let mut map: Map<_, _> =
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            map.insert("name".to_owned(), json!(name));
            Value::Object(map)
        });
        prop_oneof![
            entries.prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
            prop::collection::vec(items, 0..4).prop_map(Value::Array),
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn object(keys: Vec<&'static str>) -> impl Strategy<Value = Map<String, Value>> {
    let entries = prop::collection::vec((prop::sample::select(keys.clone()), tree(keys)), 0..5);
    entries.prop_map(|entries| entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn merged(current: &Map<String, Value>, patch: &Map<String, Value>) -> Result<Value, PatchError> {
    strategic_merge(Schemas::embedded(), JOB.schema, Value::Object(current.clone()), patch.clone())
}

fn holds_directive(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| key.starts_with('$') || holds_directive(value)),
        Value::Array(items) => items.iter().any(holds_directive),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_directive_ends_up_in_an_object(
        current in object(FIELDS.to_vec()),
        patch in object([FIELDS, DIRECTIVES].concat()),
    ) {
        if let Ok(result) = merged(&current, &patch) {
            prop_assert!(!holds_directive(&result), "{}", result);
        }
    }

    #[test]
    fn an_empty_patch_changes_nothing(current in object(FIELDS.to_vec())) {
        prop_assert_eq!(merged(&current, &Map::new()).unwrap(), Value::Object(current));
    }

    /// A new list is taken as it comes, repeats and wrong types included; merged into itself it may lose repeats or be
    /// refused. After that nothing changes any more.
    #[test]
    fn a_patch_without_directives_settles(
        current in object(FIELDS.to_vec()),
        patch in object(FIELDS.to_vec()),
    ) {
        let mut object = current;
        let mut results = Vec::new();
        while let (Ok(Value::Object(next)), true) = (merged(&object, &patch), results.len() < 3) {
            results.push(next.clone());
            object = next;
        }
        if let [_, twice, thrice] = results.as_slice() {
            prop_assert_eq!(thrice, twice);
        }
    }

    #[test]
    fn a_document_reads_back_as_it_was(value in tree(FIELDS.to_vec())) {
        let document = document::parse(value.to_string().as_bytes(), Encoding::Json, None).unwrap();
        prop_assert_eq!(document.value, value);
        prop_assert!(document.findings.is_empty());
    }
}
