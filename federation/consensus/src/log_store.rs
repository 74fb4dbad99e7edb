//! The durable log behind a trait, and what can go wrong with it.
//!
//! ```text
//! Batch { hard state, entries, snapshot record, compaction } --persist--> one write, one fsync
//! ```
//!
//! Contract, checked by the suite in `tests/it/contract.rs` for every implementation:
//! - a batch is durable as a whole when `persist` returned `Ok`, and visible as a whole or not at all after a crash;
//! - after any error the store takes nothing more: a failed fsync is never retried, since the kernel may have
//!   dropped what it could not write;
//! - what was damaged is found by `open` or `load` and refused by name, never repaired by guessing.

mod disk;
mod format;
mod inspect;
mod mark;
mod memory;
mod segment;
mod segments;

use std::fmt::Display;
use std::io;
use std::ops::Range;
use std::sync::Arc;

pub use self::disk::{Disk, RealDisk};
pub use self::inspect::{Inspection, LogSummary, SegmentSummary, check_owner, inspect};
pub use self::memory::{DiskFault, MemoryDisk, MemoryLogStore};
pub use self::segments::{SegmentLogStore, SegmentOptions};

use crate::entry::{Batch, LogEntry, Restored};
use crate::ids::Identity;
use crate::snapshot::SnapshotStore;

/// A durable log. One per replica, owned by its driver.
pub trait LogStore: Send + 'static {
    /// Where snapshot content lies.
    type Snapshots: SnapshotStore;

    /// Whom the store belongs to.
    fn identity(&self) -> Identity;

    /// Everything that is durable. Called once, before the first `persist`; counts the start.
    ///
    /// # Errors
    /// Anything that does not check out, by name.
    fn load(&mut self) -> Result<Restored, StoreError>;

    /// Make a batch durable: all of it, with one fsync. Every error is final for this store.
    ///
    /// # Errors
    /// The disk refused, is full, or lies; the caller stops.
    fn persist(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Durable entries, for inspection. Those outside of the log are left out.
    ///
    /// # Errors
    /// The disk refused, or an entry does not check out.
    fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StoreError>;

    /// Where snapshot content lies.
    fn snapshots(&self) -> Arc<Self::Snapshots>;
}

/// Why a store cannot be used. All are final: fix the cause, then open it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full.
    #[error("{file}: the disk is full; nothing acknowledged is lost: free space, then restart this replica")]
    Full {
        /// The file or folder.
        file: String,
    },
    /// The operating system refused.
    #[error("{file}: could not {operation}")]
    Io {
        /// The file or folder.
        file: String,
        /// What was tried.
        operation: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// What is stored does not check out.
    #[error(
        "{file}: damaged at {place}: {reason}; when all other replicas run and agree (`muster replicas`), move this \
         replica's folder away: it gets everything from them"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// Key or offset.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// The folder is not that of a replica.
    #[error("{folder}: holds no log; name the data folder of a replica (`dataDir` in up.json)")]
    NoLog {
        /// The folder.
        folder: String,
    },
    /// The folder is another replica's.
    #[error("{file}: belongs to {found}, not to {expected}; use that replica's own data folder")]
    WrongOwner {
        /// The file.
        file: String,
        /// Who owns it.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },
    /// Another process has the folder open.
    #[error("{file}: is in use by another process; stop that one first")]
    InUse {
        /// The file.
        file: String,
    },
    /// A newer version wrote it.
    #[error("{file}: has format {found}, this version knows up to {known}; use the newer version")]
    UnknownFormat {
        /// The file.
        file: String,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// An earlier error was final.
    #[error("{file}: not used any more after an earlier error; restart this replica")]
    Stopped {
        /// The file.
        file: String,
    },
}

impl StoreError {
    pub(crate) fn io(file: impl Display, operation: &'static str, source: io::Error) -> Self {
        let file = file.to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { file },
            _ => Self::Io { file, operation, source },
        }
    }

    pub(crate) fn corrupt(file: impl Display, place: impl Display, reason: impl Display) -> Self {
        Self::Corrupt { file: file.to_string(), place: place.to_string(), reason: reason.to_string() }
    }
}
