//! Columns that several kinds have.

use crate::resource::Column;

/// The object's name.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Name of the object, unique in its namespace.",
};

/// Time since the object was made.
pub(super) const AGE: Column = text("Age", "Time since the object was made.");

/// A column of text that is always shown.
pub(super) const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 0, description }
}

/// A column of text that `-o wide` shows.
pub(super) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 1, description }
}

/// A column of whole numbers.
pub(super) const fn integer(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "integer", format: "int32", priority: 0, description }
}

/// What kubectl prints where there is nothing.
pub(super) const NONE: &str = "<none>";

/// The text, or [`NONE`].
pub(super) fn or_none(text: &str) -> serde_json::Value {
    if text.is_empty() { NONE.into() } else { text.into() }
}
