//! Which objects a request means, without reading more of them than the selectors ask for.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use muster_model::{Object, Status};
use serde::Deserialize;
use serde_json::Value;

use super::kind::StoredKind;
use super::{event, render};
use crate::select::{FieldSelector, LabelSelector};

#[derive(Deserialize)]
struct LabelsOnly {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// The object's labels. Reads the metadata fragment only.
pub fn labels(object: &Object) -> BTreeMap<String, String> {
    // A mark may stand inside the word "labels": the text is looked at once name and uid are back.
    if object.document.metadata.is_empty() {
        return BTreeMap::new();
    }
    let mut text = String::with_capacity(object.document.metadata.len() + 128);
    text.push('{');
    let uid = object.meta.uid.to_string();
    render::fragment(&mut text, &object.document.metadata, (&object.key.name, &uid));
    text.push('}');
    serde_json::from_str::<LabelsOnly>(&text).ok().and_then(|only| only.labels).unwrap_or_default()
}

/// Whether both selectors select the object. Empty selectors cost nothing.
pub fn selects(
    kind: &StoredKind,
    object: &Object,
    by_labels: &LabelSelector,
    by_fields: &FieldSelector,
) -> bool {
    selects_fields(kind, object, by_fields) && selects_labels(object, by_labels)
}

fn selects_labels(object: &Object, selector: &LabelSelector) -> bool {
    if selector.is_empty() {
        return true;
    }
    let labels = labels(object);
    selector.matches(|key| labels.get(key).map(String::as_str))
}

fn selects_fields(kind: &StoredKind, object: &Object, selector: &FieldSelector) -> bool {
    if selector.is_empty() {
        return true;
    }
    let (tree, made) = (OnceCell::<Value>::new(), event::Made::default());
    selector.matches(|pointer| match (pointer, &object.status) {
        ("", _) => None,
        ("/metadata/name", _) => Some(&*object.key.name),
        ("/metadata/namespace", _) => Some(&*object.key.namespace),
        (_, Status::Event(spec)) => event::field(spec, pointer, &made),
        _ => tree.get_or_init(|| render::value(kind, object)).pointer(pointer).and_then(Value::as_str),
    })
}
