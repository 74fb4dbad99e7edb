//! Rows of one Table: cells from typed state, and what is read from documents once per distinct document.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{NAME_MARK, Object, TimeMs, UID_MARK};
use serde_json::{Value, json};

use super::render;
use crate::table::human_duration;

/// Stand for the marks in text that a JSON reader must accept.
const NAME_STAND_IN: char = '\u{e002}';
const UID_STAND_IN: char = '\u{e001}';

/// What the rows of one Table share: the time, and texts read from documents. A million jobs of one template have one
/// body, which is read once.
#[derive(Debug, Default)]
pub struct Rows {
    now: TimeMs,
    /// By the address of the body, which the `Arc` keeps from being used again.
    read: BTreeMap<usize, (Arc<str>, Option<Vec<String>>)>,
}

impl Rows {
    /// Rows as they are at this time.
    pub fn new(now: TimeMs) -> Rows {
        Rows { now, read: BTreeMap::new() }
    }

    /// The time.
    pub(super) fn now(&self) -> TimeMs {
        self.now
    }

    /// Time since `then`, as kubectl prints it.
    pub(super) fn since(&self, then: TimeMs) -> Value {
        self.between(then, self.now)
    }

    /// The age of an object.
    pub(super) fn age(&self, object: &Object) -> Value {
        self.since(object.meta.created)
    }

    /// The time from one to the other, as kubectl prints it.
    pub(super) fn between(&self, from: TimeMs, to: TimeMs) -> Value {
        let seconds = |time: TimeMs| i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
        json!(human_duration(seconds(to).saturating_sub(seconds(from))))
    }

    /// The texts that `read` takes from the object's body (the parsed inside of the object), name and uid put back.
    pub(super) fn texts(&mut self, object: &Object, read: fn(&Value) -> Vec<String>) -> Vec<String> {
        let body = &object.document.body;
        let (_, shared) = self
            .read
            .entry(body.as_ptr() as usize)
            .or_insert_with(|| (Arc::clone(body), shared_tree(body).map(|tree| read(&tree))));
        match shared {
            Some(texts) => texts.iter().map(|text| put_back(text, object)).collect(),
            None => read(&own_tree(object)),
        }
    }
}

/// The inside of an object as a tree with stand-ins for the marks, the same for all objects of this body. `None` if a
/// mark is part of a field's name, since then names differ from object to object.
fn shared_tree(body: &str) -> Option<Value> {
    let mut text = String::with_capacity(body.len() + 2);
    text.push('{');
    text.extend(body.chars().map(|c| match c {
        NAME_MARK => NAME_STAND_IN,
        UID_MARK => UID_STAND_IN,
        c => c,
    }));
    text.push('}');
    serde_json::from_str(&text).ok().filter(|tree| !has_marked_field(tree))
}

fn has_marked_field(tree: &Value) -> bool {
    match tree {
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains([NAME_STAND_IN, UID_STAND_IN]) || has_marked_field(value)),
        Value::Array(items) => items.iter().any(has_marked_field),
        _ => false,
    }
}

fn own_tree(object: &Object) -> Value {
    let uid = object.meta.uid.to_string();
    let mut text = String::from("{");
    render::fragment(&mut text, &object.document.body, (&object.key.name, &uid));
    text.push('}');
    serde_json::from_str(&text).unwrap_or_default()
}

fn put_back(text: &str, object: &Object) -> String {
    if !text.contains([NAME_STAND_IN, UID_STAND_IN]) {
        return text.to_owned();
    }
    text.replace(NAME_STAND_IN, &object.key.name).replace(UID_STAND_IN, &object.meta.uid.to_string())
}
