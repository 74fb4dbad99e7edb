//! Why a stream is not a snapshot.

use std::io;

use muster_model::Key;

use crate::log::DecodeError;

/// Why a stream is not a snapshot. Records count from 0, the header.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The stream could not be read.
    #[error("cannot read record {record} of the snapshot")]
    Read {
        /// The record.
        record: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else than a snapshot.
    #[error("not a snapshot: it does not begin with MUSTER-S")]
    NotASnapshot,
    /// Written by another version.
    #[error(
        "snapshot version {found} is not known here; this replica knows version {known}: upgrade it",
        known = super::SNAPSHOT_VERSION
    )]
    UnknownVersion {
        /// The version it says.
        found: u32,
    },
    /// It ends too early.
    #[error("the snapshot is truncated at record {record}: fetch it again")]
    Truncated {
        /// The record that is not whole, or not there.
        record: u64,
    },
    /// Bytes of a record changed.
    #[error("record {record} of the snapshot is damaged: its checksum differs")]
    Checksum {
        /// The record.
        record: u64,
    },
    /// A record is larger than any that is written: its length is damaged.
    #[error("record {record} of the snapshot is damaged: {length} bytes are more than a record may have")]
    TooLong {
        /// The record.
        record: u64,
        /// What it says.
        length: u32,
    },
    /// A record is whole, but not what this version can take.
    #[error("record {record} of the snapshot cannot be taken")]
    Record {
        /// The record.
        record: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// A record stands where another one must be.
    #[error("record {record} of the snapshot is {found}, where {expected} must be")]
    Misplaced {
        /// The record.
        record: u64,
        /// What it is.
        found: &'static str,
        /// What must be there.
        expected: &'static str,
    },
    /// An object is not behind the one before it.
    #[error("record {record} of the snapshot, {key}, is out of order")]
    OutOfOrder {
        /// The record.
        record: u64,
        /// The object.
        key: Key,
    },
    /// Objects are missing, or more than there were.
    #[error("the snapshot has {found} objects, and says that it has {expected}")]
    ObjectCount {
        /// As the end says.
        expected: u64,
        /// As read.
        found: u64,
    },
    /// Records are missing, or stand elsewhere.
    #[error("the snapshot is damaged: the checksum of all records differs")]
    WholeChecksum,
    /// Something follows the end.
    #[error("bytes follow the end of the snapshot")]
    TrailingBytes,
}
