//! A snapshot as a stream of bytes.
//!
//! ```text
//!  "MUSTER-S" version | header | text, job_spec and object, mixed | end
//!                       each record: length, crc32c, payload
//! ```
//!
//! Written and read record by record, so that neither side holds a second copy of the state. Texts and job specs that
//! objects have in common are there once. Each record has its own checksum, so that no damaged byte is decoded; the end
//! has the number of objects and a checksum of everything, so that no record can be missing or stand elsewhere.

mod error;
mod header;
mod reader;
mod writer;

pub use error::SnapshotError;
pub use header::{Header, LedgerHead};
pub use reader::{SnapshotReader, read_snapshot};
pub use writer::{SnapshotWriter, write_snapshot};

/// The version of the framing and of the records that is written and read.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The first bytes of every snapshot.
const MAGIC: [u8; 8] = *b"MUSTER-S";

/// The most bytes of a record's payload. Far above what an object may be; below what a reader should hold of a file
/// whose length field is damaged.
const MAX_RECORD_BYTES: u32 = 64 << 20;
