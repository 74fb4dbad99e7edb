//! What `apply` sends: the JSON merge patch (RFC 7386) that brings an object to what a file says, without touching what
//! others set. Three documents decide: what was applied last, what the file says now, what the hub has.
//!
//! ```text
//!  in the file, different on the hub          set
//!  applied last time, not in the file now     removed
//!  only on the hub (defaults, other people)   left alone
//! ```

use serde_json::{Map, Value};

/// Holds what was applied last. kubectl reads and writes the same annotation, so that both can take turns.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The document as it is applied: in its namespace, also where the file leaves that to `-n`. Else a namespace applied last
/// time would seem to have been removed.
pub fn placed(document: &Value, namespace: Option<&str>) -> Value {
    let mut document = document.clone();
    if let (Some(namespace), Some(metadata)) = (namespace, document["metadata"].as_object_mut()) {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
    document
}

/// The text of the annotation for a document: byte for byte what kubectl would write, so that neither sees a change
/// where there is none.
pub fn last_applied_text(document: &Value) -> String {
    let mut document = document.clone();
    if let Some(metadata) = document["metadata"].as_object_mut() {
        metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = metadata["annotations"].as_object_mut() {
            annotations.remove(LAST_APPLIED);
        }
    }
    // Go's encoder escapes these, and they can only stand in strings.
    let mut text = document.to_string();
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        text = text.replace(plain, escaped);
    }
    text.push('\n');
    text
}

/// The document with the annotation that says it was applied.
pub fn annotated(document: &Value, text: &str) -> Value {
    let mut document = document.clone();
    document["metadata"]["annotations"][LAST_APPLIED] = text.into();
    document
}

/// The annotation of the hub's object.
pub fn last_applied_text_of(current: &Value) -> Option<&str> {
    current["metadata"]["annotations"][LAST_APPLIED].as_str()
}

/// What the hub's object says was applied last.
pub fn last_applied(current: &Value) -> Option<Value> {
    serde_json::from_str(last_applied_text_of(current)?).ok()
}

/// The patch; an empty object if nothing is to be done.
pub fn three_way(original: Option<&Value>, wanted: &Value, current: &Value) -> Value {
    let none = Map::new();
    let wanted = wanted.as_object().unwrap_or(&none);
    let current = current.as_object().unwrap_or(&none);
    Value::Object(fields(original.and_then(Value::as_object), wanted, current))
}

fn fields(
    original: Option<&Map<String, Value>>,
    wanted: &Map<String, Value>,
    current: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (name, value) in wanted {
        let before = original.and_then(|original| original.get(name));
        if let Some(change) = change(before, value, current.get(name)) {
            patch.insert(name.clone(), change);
        }
    }
    for name in original.into_iter().flat_map(Map::keys) {
        if !wanted.contains_key(name) && current.contains_key(name) {
            patch.insert(name.clone(), Value::Null);
        }
    }
    patch
}

fn change(before: Option<&Value>, wanted: &Value, current: Option<&Value>) -> Option<Value> {
    match (wanted, current) {
        // `creationTimestamp: null`, as generators write it, asks for nothing; a null in place of what was applied does.
        (Value::Null, Some(_)) => before.filter(|before| !before.is_null()).map(|_| Value::Null),
        (Value::Null, None) => None,
        (Value::Object(wanted), Some(Value::Object(current))) => {
            let patch = fields(before.and_then(Value::as_object), wanted, current);
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (Value::Array(wanted), Some(Value::Array(current))) => {
            let before = before.and_then(Value::as_array);
            // A merge patch can only replace a whole list, which would also send back what the hub defaulted in it.
            (!is_list_as_wanted(before, wanted, current)).then(|| Value::Array(wanted.clone()))
        }
        (wanted, Some(current)) if wanted == current => None,
        (wanted, _) => Some(wanted.clone()),
    }
}

/// Whether a list needs no change: its items hold all that is wanted, and beyond that only what the hub added.
fn is_list_as_wanted(before: Option<&Vec<Value>>, wanted: &[Value], current: &[Value]) -> bool {
    if wanted.len() != current.len() {
        return false;
    }
    // Items are compared by their place; without knowing which item was which, only equal lists are certain.
    let Some(before) = before.filter(|before| before.len() == wanted.len()) else { return wanted == current };
    let same = |i: usize| change(Some(&before[i]), &wanted[i], Some(&current[i])).is_none();
    (0..wanted.len()).all(same)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
