//! All streams of a replica with the books, and what is remembered about them across restarts.
//!
//! `progress.json` says what is durable and which keys are missing because a snapshot of a peer skipped them. `anchor.json`
//! of a chained stream says where the chain stood before its first segment, once retention has dropped some.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use muster_core::ChainHead;
use muster_proto::history::{decode_audit, decode_booking};
use serde::{Deserialize, Serialize};

use super::books::Books;
use super::frame;
use super::item::Encoded;
use super::segment::SegmentName;
use super::stream::{Page, Stream, StreamName, write_by_rename};

/// How long and how much of a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamConfig {
    /// Older segments go, by the log's clock.
    pub keep_ms: u64,
    /// Past this, the oldest segments go.
    pub max_bytes: u64,
}

/// How long and how much of history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryConfig {
    /// Audit records.
    pub audit: StreamConfig,
    /// Bookings.
    pub ledger: StreamConfig,
    /// Events.
    pub events: StreamConfig,
}

const DAY_MS: u64 = 24 * 3600 * 1000;

impl Default for HistoryConfig {
    /// Thirteen months of audit and ledger, two weeks of events; about 2 GiB at most.
    fn default() -> HistoryConfig {
        HistoryConfig {
            audit: StreamConfig { keep_ms: 400 * DAY_MS, max_bytes: 1 << 30 },
            ledger: StreamConfig { keep_ms: 400 * DAY_MS, max_bytes: 512 << 20 },
            events: StreamConfig { keep_ms: 14 * DAY_MS, max_bytes: 256 << 20 },
        }
    }
}

impl HistoryConfig {
    fn of(&self, name: StreamName) -> StreamConfig {
        match name {
            StreamName::Audit => self.audit,
            StreamName::Ledger => self.ledger,
            StreamName::Events => self.events,
        }
    }
}

/// Where the streams of a state end: what a restored state says must be in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// Of the audit chain.
    pub audit: ChainHead,
    /// Of the ledger.
    pub ledger: ChainHead,
    /// Events up to this revision were emitted.
    pub revision: u64,
}

impl Heads {
    /// The last key of a stream.
    pub fn last_key(&self, name: StreamName) -> u64 {
        match name {
            StreamName::Audit => self.audit.sequence,
            StreamName::Ledger => self.ledger.sequence,
            StreamName::Events => self.revision,
        }
    }
}

/// Keys that a snapshot of a peer skipped, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What is remembered across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Progress {
    /// By stream: everything up to this key that was emitted here is durable.
    synced: BTreeMap<String, u64>,
    /// By stream: what is missing.
    gaps: BTreeMap<String, Vec<Gap>>,
}

/// Where a chain stood before the first segment that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    sequence: u64,
    hash: String,
}

/// All streams of a replica.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    streams: BTreeMap<StreamName, Stream>,
    books: Books,
    progress: Progress,
    /// The revision up to which events were handed over.
    revision: u64,
}

impl Store {
    /// Opens the store in this folder. Reads the whole ledger, to add it up.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(root: &Path, config: &HistoryConfig) -> io::Result<Store> {
        fs::create_dir_all(root)?;
        let progress: Progress = read_json(&root.join("progress.json"))?.unwrap_or_default();
        let mut streams = BTreeMap::new();
        for name in StreamName::ALL {
            let synced = progress.synced.get(name.as_str()).copied().unwrap_or_default();
            streams.insert(name, Stream::open(root, name, config.of(name), synced)?);
        }
        for name in StreamName::ALL {
            let missing =
                progress.gaps.get(name.as_str()).and_then(|gaps| gaps.iter().map(|gap| gap.to).max());
            if let (Some(to), Some(stream)) = (missing, streams.get_mut(&name)) {
                stream.skip_to(to);
            }
        }
        let revision = progress.synced.get(StreamName::Events.as_str()).copied().unwrap_or_default();
        let mut store = Store { root: root.to_owned(), streams, books: Books::default(), progress, revision };
        for page in store.pages(StreamName::Ledger) {
            for record in frame::records(&page.read()?) {
                store.book(record.payload);
            }
        }
        Ok(store)
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Segments of a stream, oldest first.
    pub fn pages(&self, name: StreamName) -> Vec<Page> {
        self.streams.get(&name).map(Stream::pages).unwrap_or_default()
    }

    /// One segment of a stream.
    pub fn page(&self, name: StreamName, segment: SegmentName) -> Option<Page> {
        self.streams.get(&name)?.page(segment)
    }

    /// The last key of a stream, and its bytes on disk.
    pub fn extent(&self, name: StreamName) -> (u64, u64) {
        self.streams.get(&name).map_or((0, 0), |stream| (stream.last_key(), stream.bytes()))
    }

    /// What is missing of a stream.
    pub fn gaps(&self, name: StreamName) -> Vec<Gap> {
        self.progress.gaps.get(name.as_str()).cloned().unwrap_or_default()
    }

    /// Where a chained stream starts: the link before its first segment.
    ///
    /// # Errors
    /// The disk's.
    pub fn anchor(&self, name: StreamName) -> io::Result<ChainHead> {
        let Some(stream) = self.streams.get(&name) else { return Ok(ChainHead::default()) };
        let anchor: Option<Anchor> = read_json(&stream.folder().join("anchor.json"))?;
        Ok(anchor.map_or_else(ChainHead::default, |anchor| ChainHead {
            sequence: anchor.sequence,
            hash: hash_of(&anchor.hash),
        }))
    }

    /// Takes records in, in the order in which apply emitted them.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, records: Vec<Encoded>) -> io::Result<()> {
        let mut by_stream: BTreeMap<StreamName, Vec<Encoded>> = BTreeMap::new();
        for record in records {
            by_stream.entry(record.stream).or_default().push(record);
        }
        for (name, records) in by_stream {
            let Some(stream) = self.streams.get_mut(&name) else { continue };
            let new = stream.append(&records)?;
            if name == StreamName::Ledger {
                let payloads: Vec<Vec<u8>> = new.iter().map(|record| record.payload.clone()).collect();
                payloads.iter().for_each(|payload| self.book(payload));
            }
            self.retain(name)?;
        }
        Ok(())
    }

    /// Everything up to these heads was handed over.
    pub fn handed_over(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// A state was restored: what it has and history has not, is missing. Remembered durably before anything behind it
    /// is written.
    ///
    /// # Errors
    /// The disk's.
    pub fn restored(&mut self, heads: &Heads) -> io::Result<()> {
        let mut is_changed = false;
        for name in StreamName::ALL {
            let known = self.known(name);
            let to = heads.last_key(name);
            if to > known {
                let gaps = self.progress.gaps.entry(name.as_str().to_owned()).or_default();
                gaps.push(Gap { from: known + 1, to });
                is_changed = true;
                if let Some(stream) = self.streams.get_mut(&name) {
                    stream.skip_to(to);
                }
            }
        }
        self.revision = self.revision.max(heads.revision);
        if is_changed { self.remember() } else { Ok(()) }
    }

    /// The last key that was handed over, whether it is there or known to be missing.
    fn known(&self, name: StreamName) -> u64 {
        let last = self.extent(name).0;
        let missing = self.gaps(name).iter().map(|gap| gap.to).max().unwrap_or_default();
        let told = if name == StreamName::Events { self.revision } else { 0 };
        last.max(missing).max(told)
    }

    /// Makes everything durable, and remembers how far that is.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&mut self) -> io::Result<()> {
        for stream in self.streams.values_mut() {
            stream.sync()?;
        }
        for name in StreamName::ALL {
            let known = self.known(name);
            self.progress.synced.insert(name.as_str().to_owned(), known);
        }
        self.remember()
    }

    /// Takes a peer's segment in, as far as it was missing here. `is_last`: the gaps in it are closed.
    ///
    /// # Errors
    /// The disk's.
    pub fn merge(&mut self, name: StreamName, segment: SegmentName, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = self.streams.get_mut(&name) else { return Ok(0) };
        let new = stream.merge(segment, bytes)?;
        if name == StreamName::Ledger {
            new.iter().for_each(|record| self.book(&record.payload));
        }
        Ok(new.len())
    }

    /// A gap is closed as far as anybody can.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&mut self, name: StreamName, gap: Gap) -> io::Result<()> {
        if let Some(gaps) = self.progress.gaps.get_mut(name.as_str()) {
            gaps.retain(|open| *open != gap);
        }
        self.remember()
    }

    fn remember(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.progress).map_err(io::Error::other)?;
        write_by_rename(&self.root.join("progress.json"), &bytes)
    }

    /// Drops what retention does not keep. The chain's place is remembered first.
    fn retain(&mut self, name: StreamName) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(&name) else { return Ok(()) };
        for page in stream.expired() {
            let bytes = page.read()?;
            let last = frame::records(&bytes).last().map(|record| record.payload.to_vec());
            if let Some(head) = last.and_then(|payload| head_of(name, &payload)) {
                let anchor = Anchor { sequence: head.sequence, hash: hex(&head.hash) };
                let text = serde_json::to_vec(&anchor).map_err(io::Error::other)?;
                write_by_rename(&stream.folder().join("anchor.json"), &text)?;
            }
            stream.drop_segment(page.name)?;
            if name == StreamName::Ledger {
                let bookings =
                    frame::records(&bytes).filter_map(|record| decode_booking(record.payload).ok());
                bookings.for_each(|booked| self.books.forget(&booked));
            }
        }
        Ok(())
    }

    fn book(&mut self, payload: &[u8]) {
        match decode_booking(payload) {
            Ok(booked) => self.books.add(&booked),
            Err(error) => tracing::error!(%error, "a booking cannot be read"),
        }
    }
}

/// The link that a record of a chained stream is.
pub fn head_of(name: StreamName, payload: &[u8]) -> Option<ChainHead> {
    match name {
        StreamName::Audit => {
            decode_audit(payload).ok().map(|r| ChainHead { sequence: r.sequence, hash: r.chain })
        }
        StreamName::Ledger => decode_booking(payload)
            .ok()
            .map(|b| ChainHead { sequence: b.booking.sequence, hash: b.booking.chain }),
        StreamName::Events => None,
    }
}

/// A hash as text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash_of(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = text.get(at * 2..at * 2 + 2).and_then(|d| u8::from_str_radix(d, 16).ok()).unwrap_or_default();
    }
    hash
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
