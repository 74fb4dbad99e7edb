//! The records of history, `muster.history.v1`: what apply emits and the state does not keep.
//!
//! ```text
//!  AuditRecord, Booked, Told  --encode_*-->  payload of one frame in a segment  --decode_*-->  the same
//! ```
//!
//! The same record gives the same bytes on every replica.

mod audit;
mod booking;
mod event;

pub use audit::{decode_audit, encode_audit};
pub use booking::{Booked, decode_booking, encode_booking};
pub use event::{Told, decode_event, encode_event};

use crate::log::FieldError;

/// Generated from `proto/history/v1/history.proto`.
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("muster.history.v1");
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are no message.
    #[error("the record cannot be decoded: {0}")]
    Malformed(#[source] prost::DecodeError),
    /// A field is not what it has to be.
    #[error(transparent)]
    Field(#[from] FieldError),
}

fn bytes_of<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], FieldError> {
    let wrong = |_| FieldError {
        field: field.to_owned(),
        problem: format!("has {} bytes, not {N}", bytes.len()).into(),
    };
    bytes.try_into().map_err(wrong)
}

fn number(field: &str, form: u32) -> Result<i32, FieldError> {
    let wrong = |_| FieldError { field: field.to_owned(), problem: "is not a value of this version".into() };
    i32::try_from(form).map_err(wrong)
}
