//! The log on disk, in segments that are written once from front to back.
//!
//! ```text
//! FOLDER/log.00000000000000000001   batches 1..: one write and one fsync each, into blocks that are there already
//! FOLDER/log.00000000000000004711   ...; the oldest goes when a snapshot covers its entries, and is used again
//! FOLDER/log.spare-N                segments that wait to be used again
//! FOLDER/log.mark                   number of the last durable batch; locked by the process that has the log open
//! FOLDER/snapshots/                 content by hash
//! ```
//!
//! Each segment begins with a record of all that its older neighbours said, entries apart. Opening reads and checks
//! everything: checksums, that batches follow each other over all segments, that entries are contiguous and end where the
//! last batch says, and the mark. Behind the last batch there may be one that was torn, and nothing newer. What does not
//! check out is refused.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::format::{self, HEADER, Header, Place, Record, State};
use super::mark::CommitMark;
use super::segment::{Content, Segment};
use super::{LogStore, StoreError};
use crate::entry::{Batch, LogEntry, LogPosition, Restored, SnapshotWrite};
use crate::ids::Identity;
use crate::snapshot::{SnapshotFiles, SnapshotMeta};

/// The file with the number of the last durable batch.
const MARK: &str = "log.mark";
/// The folder of snapshots' content.
const SNAPSHOTS: &str = "snapshots";
/// Segments that are kept to be used again: as many as one compaction frees.
const SPARES: usize = 4;

/// Where the log lies and whose it is.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// The replica's data folder; made if it is missing.
    pub folder: PathBuf,
    /// The owner. A folder with another owner is refused.
    pub identity: Identity,
    /// Size of a segment; one that holds a larger batch is larger.
    pub segment_bytes: u64,
}

/// The log in segments. Holds a lock on its mark.
#[derive(Debug)]
pub struct SegmentLogStore {
    options: SegmentOptions,
    disk: Box<dyn Disk>,
    mark: CommitMark,
    snapshots: Arc<SnapshotFiles>,
    /// Oldest first; the last one is written.
    segments: VecDeque<Held>,
    /// The file of the last one, and where the next record goes. None before `load`.
    tail: Option<Tail>,
    sequence: u64,
    state: State,
    snapshot: SnapshotMeta,
    buffer: Vec<u8>,
    stopped: bool,
}

#[derive(Debug)]
struct Held {
    segment: Segment,
    /// The highest index of any entry in it.
    highest: u64,
}

#[derive(Debug)]
struct Tail {
    file: File,
    end: u64,
}

impl SegmentOptions {
    /// The usual options for a folder.
    pub fn new(folder: impl Into<PathBuf>, identity: Identity) -> Self {
        Self { folder: folder.into(), identity, segment_bytes: 8 << 20 }
    }
}

impl SegmentLogStore {
    /// Open the log in a folder, or make a new one in an empty folder.
    ///
    /// # Errors
    /// The disk refused, another process or replica owns the folder, or what is there does not check out.
    pub fn open(options: &SegmentOptions) -> Result<Self, StoreError> {
        Self::open_with(options, Box::new(RealDisk))
    }

    /// The same over another disk: for tests that inject faults below the log.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(options: &SegmentOptions, disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let folder = &options.folder;
        fs::create_dir_all(folder).map_err(|e| StoreError::io(folder.display(), "create the folder", e))?;
        let segments = Segment::all_in(folder, options.identity)?;
        let mark_path = folder.join(MARK);
        if segments.is_empty() && !mark_path.exists() {
            CommitMark::create(&mark_path)?;
        }
        Self::existing(options, disk, segments, SnapshotFiles::open)
    }

    /// The log in a folder, of which nothing is changed. `snapshots` is called once no other process has it open.
    pub(super) fn existing(
        options: &SegmentOptions,
        disk: Box<dyn Disk>,
        segments: Vec<Segment>,
        snapshots: impl FnOnce(PathBuf) -> Result<SnapshotFiles, StoreError>,
    ) -> Result<Self, StoreError> {
        let folder = &options.folder;
        let mark_path = folder.join(MARK);
        if let (false, Some(segment)) = (mark_path.exists(), segments.first()) {
            let reason = format!("the file is missing beside {}", segment.path.display());
            return Err(StoreError::corrupt(mark_path.display(), "the whole file", reason));
        }
        let mark = CommitMark::open(&mark_path)?;
        mark.lock()?;
        if segments.is_empty() && mark.read()? > 0 {
            let reason = "the file is missing, but its commit mark shows that it held batches";
            return Err(StoreError::corrupt(folder.join("log.*").display(), "the whole file", reason));
        }
        let snapshots = snapshots(folder.join(SNAPSHOTS))?;
        Ok(Self {
            options: options.clone(),
            disk,
            mark,
            snapshots: Arc::new(snapshots),
            segments: segments.into_iter().map(|segment| Held { segment, highest: 0 }).collect(),
            tail: None,
            sequence: 0,
            state: State::default(),
            snapshot: SnapshotMeta::default(),
            buffer: Vec::new(),
            stopped: false,
        })
    }

    /// What the last batch that was read says, and of which snapshot.
    pub(super) fn known(&self) -> (State, SnapshotMeta) {
        (self.state, self.snapshot.clone())
    }

    /// Reads all segments; `entries` is what they leave.
    pub(super) fn read_all(&mut self) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = Vec::new();
        let count = self.segments.len();
        for at in 0..count {
            let segment = self.segments[at].segment.clone();
            let content = segment.read()?;
            if at == 0 {
                self.sequence = segment.header.first - 1;
            }
            let expected = self.segments.get(at + 1).map(|next| next.segment.header.first - 1);
            self.check_end(&segment, &content, expected, &entries)?;
            self.tail = Some(Tail { file: segment.file()?, end: content.end });
            self.sequence = content.last;
            for record in content.records {
                self.segments[at].highest = self.segments[at].highest.max(highest(&record.entries));
                self.replay(record, &mut entries);
            }
        }
        entries.retain(|entry| entry.index > self.state.compacted.index);
        self.check_log(&entries)?;
        Ok(entries)
    }

    /// A segment ends where the next one begins, the last one with what was marked as durable, or after it.
    fn check_end(
        &self,
        segment: &Segment,
        content: &Content,
        expected: Option<u64>,
        entries: &[LogEntry],
    ) -> Result<(), StoreError> {
        let least = expected.map_or_else(|| self.mark.read(), Ok)?;
        if content.last >= least && !content.goes_on && expected.is_none_or(|last| content.last == last) {
            return Ok(());
        }
        let replayed = content.records.iter().flat_map(|record| &record.entries).next_back();
        let index = replayed.or(entries.last()).map_or(self.state.last_index, |entry| entry.index);
        let place = format!("offset {} (after log index {index})", content.end);
        let why = content.damage.unwrap_or("nothing is there");
        let reason = match content.goes_on {
            true => format!("{why}, but newer batches follow"),
            false => format!("{why}: it ends with batch {}, but batch {least} was durable", content.last),
        };
        Err(StoreError::corrupt(segment.path.display(), place, reason))
    }

    fn replay(&mut self, record: Record, entries: &mut Vec<LogEntry>) {
        match record.snapshot {
            Some(SnapshotWrite::Installed(meta)) => {
                entries.clear();
                self.snapshot = meta;
            }
            Some(SnapshotWrite::Recorded(meta)) => self.snapshot = meta,
            None => {}
        }
        if let Some(first) = record.entries.first() {
            entries.truncate(entries.partition_point(|entry| entry.index < first.index));
            entries.extend(record.entries);
        }
        self.state = record.state;
    }

    fn check_log(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let State { hard_state, compacted, last_index, .. } = self.state;
        let file = self.options.folder.join("log.*");
        let expected = last_index.saturating_sub(compacted.index);
        if entries.len() as u64 != expected {
            let reason = format!("{expected} entries were written, {} are there", entries.len());
            return Err(StoreError::corrupt(file.display(), format!("log up to index {last_index}"), reason));
        }
        let misplaced =
            entries.iter().zip(compacted.index + 1..).find(|(entry, index)| entry.index != *index);
        if let Some((entry, index)) = misplaced {
            let reason = format!("index {} is in its place", entry.index);
            return Err(StoreError::corrupt(file.display(), format!("log index {index}"), reason));
        }
        let snapshot = self.snapshot.index;
        if hard_state.commit < snapshot || hard_state.commit > last_index || snapshot < compacted.index {
            let reason = "commit, snapshot and log do not fit together";
            return Err(StoreError::corrupt(file.display(), "the last batch", reason));
        }
        Ok(())
    }

    /// Makes one record durable, numbers it, and notes it in the mark. Any error is final.
    fn append(
        &mut self,
        state: State,
        snapshot: Option<&SnapshotWrite>,
        entries: &[LogEntry],
    ) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped {
                file: self.options.folder.join("log.*").display().to_string(),
            });
        }
        self.stopped = true;
        self.buffer.clear();
        self.make_room(entries)?;
        let held = self.segments.back_mut().expect("room was made");
        let tail = self.tail.as_mut().expect("room was made");
        self.sequence += 1;
        let place = Place { segment: held.segment.header.first, sequence: self.sequence };
        format::write_record(&mut self.buffer, place, &state, snapshot, entries);
        let file = held.segment.path.display();
        self.disk.write(&tail.file, tail.end, &self.buffer).map_err(|e| StoreError::io(&file, "write", e))?;
        self.disk.sync(&tail.file).map_err(|e| StoreError::io(&file, "fsync", e))?;
        tail.end += self.buffer.len() as u64;
        held.highest = held.highest.max(highest(entries));
        self.mark.write(self.sequence)?;
        self.state = state;
        if let Some(SnapshotWrite::Recorded(meta) | SnapshotWrite::Installed(meta)) = snapshot {
            self.snapshot = meta.clone();
        }
        self.stopped = false;
        Ok(())
    }

    /// Begins a segment if the last one has no room for these entries. It begins with what is known so far, in the same
    /// write as the batch that needs the room.
    fn make_room(&mut self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let needed = format::record_bound(entries) as u64;
        if let (Some(held), Some(tail)) = (self.segments.back(), &self.tail)
            && tail.end + needed <= held.segment.header.size
        {
            return Ok(());
        }
        let known = (format::HEADER + format::record_bound(&[])) as u64;
        let size = self.options.segment_bytes.max((known + needed).next_multiple_of(4_096));
        let first = self.sequence + 1;
        let header = Header { owner: self.options.identity, first, size };
        let spare = self.spare(size);
        let folder = &self.options.folder;
        let (segment, file) = Segment::make(folder, header, spare.as_deref(), &mut *self.disk)?;
        self.segments.push_back(Held { segment, highest: 0 });
        self.tail = Some(Tail { file, end: HEADER as u64 });
        let snapshot = (self.snapshot.index > 0).then(|| SnapshotWrite::Recorded(self.snapshot.clone()));
        let place = Place { segment: first, sequence: first };
        format::write_record(&mut self.buffer, place, &self.state, snapshot.as_ref(), &[]);
        self.sequence = first;
        Ok(())
    }

    /// A segment of this size that is no longer needed.
    fn spare(&self, size: u64) -> Option<PathBuf> {
        let spares = (0..SPARES).map(|number| self.spare_path(number));
        spares.into_iter().find(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() == size))
    }

    fn spare_path(&self, number: usize) -> PathBuf {
        self.options.folder.join(format!("log.spare-{number}"))
    }

    /// Lets go of the oldest segments whose entries are all compacted. They must be gone for good before they are used
    /// again: what they hold would be read as the log.
    fn let_go(&mut self) -> Result<(), StoreError> {
        let mut gone = false;
        while self.segments.len() > 1 && self.segments[0].highest <= self.state.compacted.index {
            let old = self.segments.pop_front().expect("there are two").segment;
            let free = (0..SPARES).map(|number| self.spare_path(number)).find(|path| !path.exists());
            let done = match free.filter(|_| old.header.size == self.options.segment_bytes) {
                Some(spare) => fs::rename(&old.path, spare),
                None => fs::remove_file(&old.path),
            };
            done.map_err(|e| StoreError::io(old.path.display(), "remove", e))?;
            gone = true;
        }
        match gone {
            true => crate::snapshot::sync_folder(&self.options.folder.join("log.mark")),
            false => Ok(()),
        }
    }

    fn after(&self, batch: &Batch) -> State {
        let mut state = State { hard_state: batch.hard_state, ..self.state };
        if let Some(SnapshotWrite::Installed(meta)) = &batch.snapshot {
            state.compacted = LogPosition { index: meta.index, term: meta.term };
            state.last_index = meta.index;
        }
        if let Some(last) = batch.entries.last() {
            state.last_index = last.index;
        }
        if let Some(to) = batch.compacted {
            state.compacted = to;
        }
        state
    }
}

fn highest(entries: &[LogEntry]) -> u64 {
    entries.last().map_or(0, |entry| entry.index)
}

impl LogStore for SegmentLogStore {
    type Snapshots = SnapshotFiles;

    fn identity(&self) -> Identity {
        self.options.identity
    }

    fn load(&mut self) -> Result<Restored, StoreError> {
        let entries = self.read_all()?;
        self.append(State { starts: self.state.starts + 1, ..self.state }, None, &[])?;
        Ok(Restored {
            incarnation: self.state.starts,
            hard_state: self.state.hard_state,
            snapshot: self.snapshot.clone(),
            compacted: self.state.compacted,
            entries,
        })
    }

    fn persist(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.append(self.after(batch), batch.snapshot.as_ref(), &batch.entries)?;
        if batch.compacted.is_some() || matches!(batch.snapshot, Some(SnapshotWrite::Installed(_))) {
            self.stopped = true;
            self.let_go()?;
            self.stopped = false;
        }
        Ok(())
    }

    fn entries(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries: Vec<LogEntry> = Vec::new();
        for held in &self.segments {
            for record in held.segment.read()?.records {
                if let Some(SnapshotWrite::Installed(_)) = record.snapshot {
                    entries.clear();
                }
                if let Some(first) = record.entries.first() {
                    entries.truncate(entries.partition_point(|entry| entry.index < first.index));
                    entries.extend(record.entries);
                }
            }
        }
        entries.retain(|entry| entry.index > self.state.compacted.index && range.contains(&entry.index));
        Ok(entries)
    }

    fn snapshots(&self) -> Arc<SnapshotFiles> {
        self.snapshots.clone()
    }
}
