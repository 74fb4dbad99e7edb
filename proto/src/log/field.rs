//! The error that names a field.

use std::borrow::Cow;

/// A field is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Its path: `put.spec.pod_sets[0].request`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Cow<'static, str>,
}

impl FieldError {
    /// A problem of the value itself; [`FieldError::inside`] says where the value is.
    pub(super) fn new(problem: impl Into<Cow<'static, str>>) -> FieldError {
        FieldError { field: String::new(), problem: problem.into() }
    }

    /// A value that must be there and is not.
    pub(super) fn missing(field: &str) -> FieldError {
        FieldError { field: field.to_owned(), problem: "is missing".into() }
    }

    /// The same error, seen from the message around the field.
    pub(super) fn inside(mut self, outer: &str) -> FieldError {
        let join = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{join}{}", self.field);
        self
    }
}
