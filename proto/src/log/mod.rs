//! The durable format `muster.log.v1`: what replicas keep in logs and snapshots.
//!
//! ```text
//!  Entry  --encode_entry-->  bytes of one log entry  --decode_entry-->  Entry
//!  Header, Objects --SnapshotWriter--> one file      --SnapshotReader--> Header, Objects
//!
//!  model type <--Durable--> form (generated from proto/log/v1)      one file per group:
//!     words  data  transfers  chaos  clusters  burst  jobs  attempts  objects  commands
//! ```
//!
//! Encoding cannot fail, and every value comes back as it was. Decoding refuses what this version does not know instead
//! of dropping it: a replica that dropped a field would differ from the others without a word. The rules of how the
//! format may change stand in `proto/log/v1/common.proto`; golden files hold its bytes.

#[macro_use]
mod durable;

mod attempts;
mod burst;
mod chaos;
mod clusters;
mod commands;
mod data;
mod entry;
mod error;
mod field;
mod jobs;
mod objects;
mod rules;
mod sharing;
mod snapshot;
mod transfers;
mod words;

pub use entry::{FEATURE_LEVEL, FORMAT_VERSION, decode_entry, encode_entry};
pub use error::DecodeError;
pub use field::FieldError;
pub use objects::{decode_object, encode_object};
pub use snapshot::{
    Header, LedgerHead, SNAPSHOT_VERSION, SnapshotError, SnapshotReader, SnapshotWriter, read_snapshot,
    write_snapshot,
};

/// The number of an enum's value in the durable format, for records outside the log.
pub(crate) fn enum_form<T: durable::Durable<Form = i32>>(value: &T) -> u32 {
    value.form().cast_unsigned()
}

/// The value of such a number.
pub(crate) fn read_enum<T: durable::Durable<Form = i32>>(form: i32) -> Result<T, FieldError> {
    T::read(form)
}

/// Generated from `proto/log/v1/*.proto`.
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("muster.log.v1");
}
// Where generated code of other packages looks for this one.
pub(crate) use durable::Durable as LogForm;
pub(crate) use pb as v1;
pub(crate) use rules::{index_failures_form, read_index_failures, read_rules, rules_form};
pub(crate) use transfers::{forms, read_forms};
