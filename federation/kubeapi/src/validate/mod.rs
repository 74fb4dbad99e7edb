//! Whether an object may be stored: fields against the schema, then names, labels and the rest of its metadata.

mod decode;
mod identity;
mod meta;
pub mod names;
mod structure;

pub use decode::{Decoded, FieldValidation, REDACTED, check_patched, decode, warning_header};
pub use identity::identity;
pub(crate) use meta::check_labels;
pub use meta::{metadata, metadata_update};
pub use structure::{StructureError, structure};

#[cfg(test)]
mod golden_tests;
