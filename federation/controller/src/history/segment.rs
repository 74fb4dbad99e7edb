//! The files of a stream: each holds a fixed range of keys, so that a range is the same file on every replica.

use std::fmt;
use std::path::{Path, PathBuf};

/// A segment by the first key it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName(pub u64);

impl SegmentName {
    /// The segment of a key.
    pub fn of(key: u64, span: u64) -> SegmentName {
        SegmentName(key - key % span)
    }

    /// The segment that a file name means.
    pub fn parse(file: &str) -> Option<SegmentName> {
        let digits = file.strip_suffix(".seg").unwrap_or(file);
        if digits.len() != 16 {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(SegmentName)
    }

    /// Its file.
    pub fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self}.seg"))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is known of a segment without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Time of its first record.
    pub first_time_ms: u64,
    /// Bytes that are written; a reader looks no further.
    pub bytes: u64,
}
