//! A place in a document: the value that is there and its path as a user reads it.

use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::field::FieldError;

static NOTHING: Value = Value::Null;

/// A path as a user reads it: `spec.template.spec.containers[0].name`. It is put together when an error needs it.
#[derive(Clone, Debug)]
pub(super) struct Path<'a>(Option<Rc<Node<'a>>>);

#[derive(Debug)]
struct Node<'a> {
    parent: Path<'a>,
    step: Step<'a>,
}

#[derive(Debug)]
enum Step<'a> {
    /// Where a document begins that lies in a field of another.
    Root(String),
    Field(&'a str),
    Item(usize),
    Entry(&'a str),
}

impl<'a> Path<'a> {
    /// A path that others start from; empty for a document.
    pub(super) fn root(path: impl Into<String>) -> Path<'a> {
        let path = path.into();
        if path.is_empty() { Path(None) } else { Path(None).then(Step::Root(path)) }
    }

    fn then(&self, step: Step<'a>) -> Path<'a> {
        Path(Some(Rc::new(Node { parent: self.clone(), step })))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(node) = &self.0 else { return Ok(()) };
        node.parent.fmt(f)?;
        match &node.step {
            Step::Root(path) => f.write_str(path),
            Step::Field(name) if node.parent.0.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Item(index) => write!(f, "[{index}]"),
            Step::Entry(key) => write!(f, "[{key}]"),
        }
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> String {
        path.to_string()
    }
}

/// A value, null if there is none, and where it is.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// Where it is.
    pub(super) path: Path<'a>,
}

impl<'a> At<'a> {
    /// The whole of `value`, whose path is `path`; empty for a document.
    pub(super) fn root(value: &'a Value, path: impl Into<String>) -> At<'a> {
        At { value, path: Path::root(path) }
    }

    /// A field of it.
    pub(super) fn field(&self, name: &'a str) -> At<'a> {
        At { value: self.value.get(name).unwrap_or(&NOTHING), path: self.path.then(Step::Field(name)) }
    }

    /// The path of a field.
    pub(super) fn child(&self, name: &str) -> String {
        if self.path.0.is_none() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The place at a path of fields.
    pub(super) fn down(&self, path: &[&'a str]) -> At<'a> {
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
        items.iter().enumerate().map(move |(index, value)| At { value, path: path.then(Step::Item(index)) })
    }

    /// The map; `None` if it is none.
    pub(super) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The entries of a map, with paths in brackets.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        let path = self.path.clone();
        let entries = self.map().into_iter().flatten();
        entries.map(move |(key, value)| (key.as_str(), At { value, path: path.then(Step::Entry(key)) }))
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
