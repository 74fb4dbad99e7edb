//! A place in a document: the value that is there and its path as a user reads it.

use serde_json::{Map, Value};

use crate::field::FieldError;

static NOTHING: Value = Value::Null;

/// A value, null if there is none, and where it is.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// `spec.template.spec.containers[0].name`.
    pub(super) path: String,
}

impl<'a> At<'a> {
    /// The whole of `value`, whose path is `path`; empty for a document.
    pub(super) fn root(value: &'a Value, path: impl Into<String>) -> At<'a> {
        At { value, path: path.into() }
    }

    /// A field of it.
    pub(super) fn field(&self, name: &str) -> At<'a> {
        At { value: self.value.get(name).unwrap_or(&NOTHING), path: self.child(name) }
    }

    /// The path of a field.
    pub(super) fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The place at a path of fields.
    pub(super) fn down(&self, path: &[&str]) -> At<'a> {
        path.iter().fold(self.clone(), |at, name| at.field(name))
    }

    /// Whether something is there.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// The text; empty if there is none.
    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The text, if there is any.
    pub(super) fn some_text(&self) -> Option<&'a str> {
        self.value.as_str().filter(|text| !text.is_empty())
    }

    /// The whole number.
    pub(super) fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// The whole number as a count; what is negative is zero and an error of the rules.
    pub(super) fn count(&self) -> Option<u32> {
        self.int().map(|n| u32::try_from(n.max(0)).unwrap_or(u32::MAX))
    }

    /// Whether it is `true`.
    pub(super) fn is_true(&self) -> bool {
        *self.value == Value::Bool(true)
    }

    /// The items of a list; none if it is no list.
    pub(super) fn items(&self) -> impl Iterator<Item = At<'a>> {
        let path = self.path.clone();
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().enumerate().map(move |(index, value)| At { value, path: format!("{path}[{index}]") })
    }

    /// The map; `None` if it is none.
    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The entries of a map, with paths in brackets.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let path = self.path.clone();
        let entries = self.map().into_iter().flatten();
        entries.map(move |(key, value)| (key.as_str(), At { value, path: format!("{path}[{key}]") }))
    }

    /// An error about this value.
    pub(super) fn invalid(&self, detail: impl Into<String>) -> FieldError {
        FieldError::invalid(self.path.clone(), self.value, detail)
    }

    /// An error about its absence.
    pub(super) fn required(&self, detail: impl Into<String>) -> FieldError {
        FieldError::required(self.path.clone(), detail)
    }
}

/// Sets a field that is absent or null.
pub(super) fn set_default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), value.into());
    }
}

/// The object in a field, made if it is absent or null; `None` if something else is there.
pub(super) fn object_in<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    set_default(map, key, Map::new());
    map.get_mut(key)?.as_object_mut()
}

/// The objects in a list field that is there.
pub(super) fn objects_in<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
