//! Errors that name the field, and the checks that all conversions share.

use std::fmt;

use bytes::Bytes;
use muster_model::Uid;

/// A field of a message is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field: `hello.attempts[3].uid`.
    pub field: String,
    /// What it must be.
    pub problem: &'static str,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for FieldError {}

impl FieldError {
    pub(super) fn new(field: &str, problem: &'static str) -> FieldError {
        FieldError { field: field.to_owned(), problem }
    }

    /// The same error, seen from the message around it.
    pub(super) fn inside(self, outer: &str) -> FieldError {
        FieldError { field: format!("{outer}.{}", self.field), problem: self.problem }
    }
}

/// The problem of an enum value that this version does not know, 0 included.
pub(super) const UNKNOWN_VALUE: &str = "is not a value of this version";

/// A message that must be there.
pub(super) fn required<T>(value: Option<T>, field: &str) -> Result<T, FieldError> {
    value.ok_or_else(|| FieldError::new(field, "is missing"))
}

/// A message that must be there, converted.
pub(super) fn convert<P, T>(value: Option<P>, field: &str) -> Result<T, FieldError>
where
    T: TryFrom<P, Error = FieldError>,
{
    T::try_from(required(value, field)?).map_err(|error| error.inside(field))
}

/// All elements, converted; an error names the position.
pub(super) fn convert_all<P, T>(values: Vec<P>, field: &str) -> Result<Vec<T>, FieldError>
where
    T: TryFrom<P, Error = FieldError>,
{
    let convert_one =
        |(i, value)| T::try_from(value).map_err(|e: FieldError| e.inside(&format!("{field}[{i}]")));
    values.into_iter().enumerate().map(convert_one).collect()
}

/// Messages of the log's language. Which of their fields is wrong is said in the agent's own log.
pub(super) fn log_forms<T: crate::log::LogForm>(
    values: Vec<T::Form>,
    field: &str,
) -> Result<Vec<T>, FieldError> {
    crate::log::read_forms(values).map_err(|_| FieldError::new(field, "is not what the log's format says"))
}

/// An id of 128 bits.
pub(super) fn id128(bytes: &[u8], field: &str) -> Result<u128, FieldError> {
    let bytes = bytes.try_into().map_err(|_| FieldError::new(field, "must be 16 bytes"))?;
    Ok(u128::from_be_bytes(bytes))
}

/// A uid.
pub(super) fn uid(bytes: &[u8], field: &str) -> Result<Uid, FieldError> {
    id128(bytes, field).map(Uid)
}

/// An id of 128 bits as it is sent.
pub(super) fn id_bytes(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

/// A text that must not be empty.
pub(super) fn nonempty(text: String, field: &str) -> Result<String, FieldError> {
    if text.is_empty() { Err(FieldError::new(field, "must not be empty")) } else { Ok(text) }
}
