//! One stream of records: its segments on disk, appended at the end, dropped at the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::frame::{self, Found, Record};
use super::item::Encoded;
use super::segment::{Segment, SegmentName};
use super::store::StreamConfig;

/// The streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamName {
    /// Links of the audit chain, by sequence.
    Audit,
    /// Bookings, by sequence.
    Ledger,
    /// What people were told, by revision.
    Events,
}

impl StreamName {
    /// All of them.
    pub const ALL: [StreamName; 3] = [StreamName::Audit, StreamName::Ledger, StreamName::Events];

    /// Its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamName::Audit => "audit",
            StreamName::Ledger => "ledger",
            StreamName::Events => "events",
        }
    }

    /// The stream of this name.
    pub fn parse(text: &str) -> Option<StreamName> {
        StreamName::ALL.into_iter().find(|name| name.as_str() == text)
    }

    /// How many keys a segment may hold. Of the format: files are compared between replicas.
    pub fn span(self) -> u64 {
        match self {
            StreamName::Audit | StreamName::Ledger => 4_096,
            StreamName::Events => 16_384,
        }
    }
}

/// One segment as a reader finds it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which one.
    pub name: SegmentName,
    /// Its file.
    pub path: PathBuf,
    /// What is known of it.
    pub segment: Segment,
}

impl Page {
    /// The bytes that were written by the time the page was taken. A segment that retention has dropped since is empty.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        bytes.truncate(usize::try_from(self.segment.bytes).unwrap_or(usize::MAX));
        Ok(bytes)
    }
}

/// A stream's segments.
#[derive(Debug)]
pub struct Stream {
    name: StreamName,
    folder: PathBuf,
    config: StreamConfig,
    segments: BTreeMap<SegmentName, Segment>,
    last_key: u64,
    last_time_ms: u64,
    open: Option<(SegmentName, File)>,
    unsynced: BTreeSet<SegmentName>,
}

impl Stream {
    /// Opens a stream. What stands behind `synced_key` may be torn and is cut there: the log brings it again.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(root: &Path, name: StreamName, config: StreamConfig, synced_key: u64) -> io::Result<Stream> {
        let folder = root.join(name.as_str());
        fs::create_dir_all(&folder)?;
        let mut stream = Stream {
            name,
            folder,
            config,
            segments: BTreeMap::new(),
            last_key: 0,
            last_time_ms: 0,
            open: None,
            unsynced: BTreeSet::new(),
        };
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&stream.folder)? {
            let file = entry?.file_name();
            match file.to_str() {
                Some(file) if file.ends_with(".seg") => names.extend(SegmentName::parse(file)),
                Some(file) if file.ends_with(".tmp") => fs::remove_file(stream.folder.join(file))?,
                _ => {}
            }
        }
        stream.take_in(&names, synced_key)?;
        Ok(stream)
    }

    /// Segments that were durable are taken by their first record; those behind are read to the end.
    fn take_in(&mut self, names: &BTreeSet<SegmentName>, synced_key: u64) -> io::Result<()> {
        let newest = names.last().copied();
        let mut is_cut = false;
        for name in names {
            let path = name.path(&self.folder);
            if is_cut {
                fs::remove_file(&path)?;
                continue;
            }
            let may_be_torn = name.0.saturating_add(self.name.span()) > synced_key;
            if may_be_torn || Some(*name) == newest {
                is_cut = self.take_in_last(*name, synced_key)?;
                continue;
            }
            let bytes = fs::metadata(&path)?.len();
            let first = frame::records(&read_start(&path)?).next().map(|record| record.time_ms);
            // One whose start is damaged counts as old as the one before it: no reader is misled, retention only waits.
            let first_time_ms = first.unwrap_or(self.last_time_ms);
            self.last_time_ms = self.last_time_ms.max(first_time_ms);
            self.segments.insert(*name, Segment { first_time_ms, bytes });
        }
        Ok(())
    }

    /// Reads a segment to its end, or to where it is torn; true if it was cut there.
    fn take_in_last(&mut self, name: SegmentName, synced_key: u64) -> io::Result<bool> {
        let path = name.path(&self.folder);
        let bytes = fs::read(&path)?;
        let (mut whole, mut is_cut, mut first_time_ms) = (bytes.len() as u64, false, None);
        for (offset, found) in frame::scan(&bytes) {
            match found {
                Found::Record(record) => {
                    self.last_key = self.last_key.max(record.key);
                    self.last_time_ms = self.last_time_ms.max(record.time_ms);
                    first_time_ms.get_or_insert(record.time_ms);
                }
                // Damage among what was durable stays, to be named; behind it the log brings everything again.
                Found::Damage if self.last_key < synced_key => {}
                Found::Damage | Found::Torn => {
                    (whole, is_cut) = (offset, true);
                    break;
                }
            }
        }
        if is_cut {
            OpenOptions::new().write(true).open(&path)?.set_len(whole)?;
        }
        let first_time_ms = first_time_ms.unwrap_or(self.last_time_ms);
        self.segments.insert(name, Segment { first_time_ms, bytes: whole });
        Ok(is_cut)
    }

    /// The last key.
    pub fn last_key(&self) -> u64 {
        self.last_key
    }

    /// Keys up to this one come from a peer or not at all; whatever is appended next is behind it.
    pub fn skip_to(&mut self, key: u64) {
        self.last_key = self.last_key.max(key);
    }

    /// The segments, oldest first.
    pub fn pages(&self) -> Vec<Page> {
        let page = |(name, segment): (&SegmentName, &Segment)| Page {
            name: *name,
            path: name.path(&self.folder),
            segment: *segment,
        };
        self.segments.iter().map(page).collect()
    }

    /// One segment.
    pub fn page(&self, name: SegmentName) -> Option<Page> {
        let segment = *self.segments.get(&name)?;
        Some(Page { name, path: name.path(&self.folder), segment })
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Appends records in the order of their keys. Those that are there already are passed over: a replay of the log
    /// brings them again. Gives those that are new.
    ///
    /// # Errors
    /// The disk's.
    pub fn append<'a>(&mut self, records: &'a [Encoded]) -> io::Result<Vec<&'a Encoded>> {
        let known = if muster_model::mutant!(history_not_idempotent) { 0 } else { self.last_key };
        let new: Vec<&Encoded> = records.iter().filter(|record| record.key > known).collect();
        let mut buffer = Vec::new();
        let mut at = 0;
        while let Some(first) = new.get(at) {
            let name = SegmentName::of(first.key, self.name.span());
            buffer.clear();
            let same = new[at..].iter().take_while(|r| SegmentName::of(r.key, self.name.span()) == name);
            for record in same {
                at += 1;
                self.last_key = record.key;
                self.last_time_ms = self.last_time_ms.max(record.time_ms);
                let (key, time_ms) = (record.key, record.time_ms);
                frame::push(&mut buffer, &Record { key, time_ms, payload: &record.payload });
            }
            self.write(name, &buffer, first.time_ms)?;
        }
        Ok(new)
    }

    fn write(&mut self, name: SegmentName, bytes: &[u8], first_time_ms: u64) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != name) {
            let file = OpenOptions::new().append(true).create(true).open(name.path(&self.folder))?;
            self.open = Some((name, file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        file.write_all(bytes)?;
        self.unsynced.insert(name);
        let segment = self.segments.entry(name).or_insert(Segment { first_time_ms, bytes: 0 });
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The disk's. Then nothing that depends on it may be promised.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        for name in &self.unsynced {
            match File::open(name.path(&self.folder)) {
                Ok(file) => file.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.unsynced.clear();
        File::open(&self.folder)?.sync_all()
    }

    /// Puts records of a peer into a segment, beside those that are there. Gives those that are new.
    ///
    /// # Errors
    /// The disk's.
    pub fn merge(&mut self, name: SegmentName, bytes: &[u8]) -> io::Result<Vec<Encoded>> {
        let own = match fs::read(name.path(&self.folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut all: BTreeMap<u64, Record<'_>> = frame::records(&own).map(|r| (r.key, r)).collect();
        let mut new = Vec::new();
        let may_come = |key: u64| SegmentName::of(key, self.name.span()) == name && key <= self.last_key;
        for record in frame::records(bytes).filter(|record| may_come(record.key)) {
            all.entry(record.key).or_insert_with(|| {
                let payload = record.payload.to_vec();
                new.push(Encoded { stream: self.name, key: record.key, time_ms: record.time_ms, payload });
                record
            });
        }
        let Some(first) = all.values().next() else { return Ok(new) };
        let mut whole = Vec::with_capacity(own.len() + bytes.len());
        all.values().for_each(|record| frame::push(&mut whole, record));
        self.replace(name, &whole)?;
        self.segments.insert(name, Segment { first_time_ms: first.time_ms, bytes: whole.len() as u64 });
        Ok(new)
    }

    /// Replaces a segment by rename, durably.
    fn replace(&mut self, name: SegmentName, bytes: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == name) {
            self.open = None;
        }
        write_by_rename(&name.path(&self.folder), bytes)
    }

    /// Segments that retention drops now: all of their records are older than the limit, or the stream is too large. The
    /// age is counted by the log's clock, from the newest record, so that all replicas drop alike.
    pub fn expired(&self) -> Vec<Page> {
        let oldest_ms = self.last_time_ms.saturating_sub(self.config.keep_ms);
        let mut bytes = self.bytes();
        let pages = self.pages();
        let starts = pages.iter().skip(1).map(|next| next.segment.first_time_ms);
        let old = pages.iter().zip(starts).take_while(|(page, next_start_ms)| {
            let drop = *next_start_ms < oldest_ms || bytes > self.config.max_bytes;
            bytes -= page.segment.bytes;
            drop
        });
        old.map(|(page, _)| page.clone()).collect()
    }

    /// Drops a segment.
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_segment(&mut self, name: SegmentName) -> io::Result<()> {
        self.segments.remove(&name);
        self.unsynced.remove(&name);
        fs::remove_file(name.path(&self.folder))
    }

    /// Where its anchor is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Enough of a file to hold its first record in all but odd cases; then all of it.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    File::open(path)?.take(64 << 10).read_to_end(&mut start)?;
    if frame::records(&start).next().is_some() { Ok(start) } else { fs::read(path) }
}

/// Writes a file so that it is there whole or not at all, durably.
pub fn write_by_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("tmp");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
