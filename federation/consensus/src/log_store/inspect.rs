//! Reads a log that no replica has open, and changes nothing of it.

use std::path::{Path, PathBuf};

use super::StoreError;
use super::disk::RealDisk;
use super::segment::Segment;
use super::segments::{SegmentLogStore, SegmentOptions};
use crate::entry::{HardState, LogEntry, LogPosition};
use crate::ids::Identity;
use crate::snapshot::{SnapshotFiles, SnapshotMeta};

/// What a folder with a log holds.
#[derive(Debug)]
pub struct Inspection {
    /// Whose it is.
    pub owner: Identity,
    /// Its files, oldest first, each read up to the first place that does not check out.
    pub segments: Vec<SegmentSummary>,
    /// What a replica would start from, or why it would refuse the folder.
    pub log: Result<LogSummary, StoreError>,
}

/// One file.
#[derive(Debug)]
pub struct SegmentSummary {
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Up to where it is written.
    pub used_bytes: u64,
    /// Number of its first batch.
    pub first_batch: u64,
    /// Number of its last batch; one less than the first if it has none.
    pub last_batch: u64,
    /// First and last log index in it.
    pub entries: Option<(u64, u64)>,
    /// What stands behind the last batch and is no batch: a torn write, or damage.
    pub behind: Option<&'static str>,
}

/// A log that checks out.
#[derive(Debug)]
pub struct LogSummary {
    /// Term, vote, commit.
    pub hard_state: HardState,
    /// The last entry that is no longer there.
    pub compacted: LogPosition,
    /// The newest snapshot.
    pub snapshot: SnapshotMeta,
    /// How often it was opened.
    pub starts: u64,
    /// What it holds, in order.
    pub entries: Vec<LogEntry>,
}

/// Whether the log in a folder, if there is one that can be read, is this replica's. Nothing else is looked at.
///
/// # Errors
/// It belongs to somebody else.
pub fn check_owner(folder: &Path, expected: Identity) -> Result<(), StoreError> {
    match Segment::owner_of(folder) {
        Ok(Some((file, found))) if found != expected => {
            Err(StoreError::WrongOwner { file: file.display().to_string(), found, expected })
        }
        // Whatever else is wrong is told when the log is opened.
        _ => Ok(()),
    }
}

/// Reads the log in a folder.
///
/// # Errors
/// There is no log, its first file cannot be read, or a replica has it open.
pub fn inspect(folder: &Path) -> Result<Inspection, StoreError> {
    let found = Segment::owner_of(folder)?;
    let (_, owner) = found.ok_or_else(|| StoreError::NoLog { folder: folder.display().to_string() })?;
    let segments = Segment::all_in(folder, owner)?;
    let summaries = segments.iter().map(summary).collect::<Result<_, _>>()?;
    let options = SegmentOptions::new(folder, owner);
    let snapshots = |folder| Ok(SnapshotFiles::existing(folder));
    let log =
        SegmentLogStore::existing(&options, Box::new(RealDisk), segments, snapshots).and_then(|mut log| {
            let entries = log.read_all()?;
            let (state, snapshot) = log.known();
            let (hard_state, compacted, starts) = (state.hard_state, state.compacted, state.starts);
            Ok(LogSummary { hard_state, compacted, snapshot, starts, entries })
        });
    match log {
        Err(error @ StoreError::InUse { .. }) => Err(error),
        log => Ok(Inspection { owner, segments: summaries, log }),
    }
}

fn summary(segment: &Segment) -> Result<SegmentSummary, StoreError> {
    let content = segment.read()?;
    let indexes = || content.records.iter().flat_map(|record| &record.entries).map(|entry| entry.index);
    Ok(SegmentSummary {
        file: segment.path.clone(),
        size_bytes: segment.header.size,
        used_bytes: content.end,
        first_batch: segment.header.first,
        last_batch: content.last,
        entries: indexes().min().zip(indexes().max()),
        behind: content.damage,
    })
}
