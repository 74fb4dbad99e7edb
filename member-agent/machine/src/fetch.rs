//! One transfer at its target: which chunk is read next, what becomes of one that came damaged, and when it is over.
//!
//! ```text
//!  Begin(held) -> Read(chunk) --ChunkRead(hash)--> Store(chunk) --Stored--> ... all there -> CheckAll
//!                     ^                |differs                                               |
//!                     +-- after a while, bounded <-----------------------------------damaged--+
//!                                                                              none damaged -> Publish -> complete
//! ```
//!
//! Rules that a change must keep: a chunk is stored only if its hash is what the manifest says; only what was found stored
//! and synced counts as held after a crash; nothing is published before all of it was read back and compared. One chunk is
//! under way at a time, so that a crash costs at most that one. No file and no clock in here: times are given.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{TransferProgress, mutant};

/// How often one chunk is read before the transfer is given up.
pub const CHUNK_TRIES: u32 = 8;
/// How often everything is read back before the disk is given up on.
const CHECKS: u32 = 3;
/// Between the first two tries; doubled after each.
const FIRST_PAUSE_MS: u64 = 100;
/// Between two tries at most.
const LONGEST_PAUSE_MS: u64 = 5_000;

/// A chunk as the manifest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchInput {
    /// A chunk was read from the source; it is in hand, and has this hash.
    ChunkRead {
        /// Which.
        chunk: usize,
        /// What it is.
        hash: [u8; 32],
    },
    /// A chunk could not be read from the source.
    NotRead {
        /// Which.
        chunk: usize,
        /// Why.
        reason: String,
    },
    /// The chunk in hand is written and synced, and that it is there is on record.
    Stored {
        /// Which.
        chunk: usize,
    },
    /// Everything was read back: these chunks are not what they should be.
    Checked {
        /// Which.
        damaged: BTreeSet<usize>,
    },
    /// The files are where pods find them.
    Published,
    /// This disk did not do it.
    DiskFailed {
        /// Why.
        reason: String,
    },
    /// Time passed.
    Tick,
}

/// What to do next. One at a time: the next one comes when it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchAction {
    /// Read this chunk from the source. Answered by `ChunkRead` or `NotRead`.
    Read {
        /// Which.
        chunk: usize,
    },
    /// Write and sync the chunk in hand, then put on record that it is there. Answered by `Stored`.
    Store {
        /// Which.
        chunk: usize,
    },
    /// Read everything back and compare. Answered by `Checked`.
    CheckAll,
    /// Put the files where pods find them. Answered by `Published`.
    Publish,
}

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEnd {
    /// A whole copy is there.
    Complete,
    /// It is given up.
    Failed(String),
}

/// One transfer at its target.
#[derive(Clone, Debug)]
pub struct Fetch {
    chunks: Vec<Chunk>,
    missing: BTreeSet<usize>,
    /// Of the chunks in `missing`, kept along: there may be millions.
    missing_bytes: u64,
    /// Tries that came to nothing, by chunk.
    tries: BTreeMap<usize, u32>,
    fetched_bytes: u64,
    refetched_chunks: u32,
    bucket: Bucket,
    /// No chunk is read before.
    pause_until_ms: u64,
    waits_for_answer: bool,
    /// How often it was read back and found damaged.
    damaged_checks: u32,
    checked: bool,
    end: Option<FetchEnd>,
}

/// Bytes that may be read now, under a limit per second.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bytes_per_second: Option<u64>,
    /// Thousandths of bytes; below zero after a chunk that was larger than what was there.
    milli: i128,
    filled_ms: u64,
}

impl Bucket {
    fn fill(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.filled_ms);
        self.filled_ms = self.filled_ms.max(now_ms);
        let Some(limit) = self.bytes_per_second else { return };
        // No more than a second's worth is saved up.
        let most = i128::from(limit) * 1000;
        self.milli = most.min(self.milli + i128::from(passed) * i128::from(limit));
    }

    fn allows(&self) -> bool {
        self.bytes_per_second.is_none() || self.milli >= 0
    }

    fn take(&mut self, bytes: u64) {
        if self.bytes_per_second.is_some() {
            self.milli -= i128::from(bytes) * 1000;
        }
    }
}

impl Fetch {
    /// A transfer of these chunks, of which earlier lives left some: `held`. What they read in all is `fetched_bytes`.
    pub fn new(chunks: Vec<Chunk>, held: &BTreeSet<usize>, fetched_bytes: u64, now_ms: u64) -> Fetch {
        let missing: BTreeSet<usize> = (0..chunks.len()).filter(|chunk| !held.contains(chunk)).collect();
        let missing_bytes = missing.iter().map(|chunk| chunks[*chunk].bytes).sum();
        let bucket = Bucket { bytes_per_second: None, milli: 0, filled_ms: now_ms };
        Fetch {
            chunks,
            missing,
            missing_bytes,
            tries: BTreeMap::new(),
            fetched_bytes,
            refetched_chunks: 0,
            bucket,
            pause_until_ms: 0,
            waits_for_answer: false,
            damaged_checks: 0,
            checked: false,
            end: None,
        }
    }

    /// Bytes per second from now on.
    pub fn limit(&mut self, bytes_per_second: Option<u64>, now_ms: u64) {
        self.bucket.fill(now_ms);
        if self.bucket.bytes_per_second != bytes_per_second {
            self.bucket = Bucket { bytes_per_second, milli: self.bucket.milli.min(0), filled_ms: now_ms };
        }
    }

    /// Takes one input; gives what to do.
    pub fn step(&mut self, input: FetchInput, now_ms: u64) -> Option<FetchAction> {
        self.bucket.fill(now_ms);
        if input != FetchInput::Tick {
            self.waits_for_answer = false;
        }
        let at_once = self.take(input, now_ms);
        let action = at_once.or_else(|| self.next(now_ms));
        self.waits_for_answer |= action.is_some();
        action
    }

    /// How far it is.
    pub fn progress(&self) -> TransferProgress {
        TransferProgress {
            missing_bytes: self.missing_bytes,
            fetched_bytes: self.fetched_bytes,
            refetched_chunks: self.refetched_chunks,
        }
    }

    /// Set when it is over.
    pub fn end(&self) -> Option<&FetchEnd> {
        self.end.as_ref()
    }

    fn take(&mut self, input: FetchInput, now_ms: u64) -> Option<FetchAction> {
        match input {
            FetchInput::Tick => {}
            FetchInput::ChunkRead { chunk, hash } => {
                self.fetched_bytes += self.chunks[chunk].bytes;
                if hash == self.chunks[chunk].hash || mutant!(chunk_hash_unchecked) {
                    return Some(FetchAction::Store { chunk });
                }
                self.refetched_chunks += 1;
                self.try_again(chunk, "came with a hash that is not the manifest's", now_ms);
            }
            FetchInput::NotRead { chunk, reason } => self.try_again(chunk, &reason, now_ms),
            FetchInput::Stored { chunk } => {
                if self.missing.remove(&chunk) {
                    self.missing_bytes -= self.chunks[chunk].bytes;
                }
                self.tries.remove(&chunk);
            }
            FetchInput::Checked { damaged } if damaged.is_empty() || mutant!(chunk_hash_unchecked) => {
                self.checked = true;
            }
            FetchInput::Checked { damaged } => {
                self.damaged_checks += 1;
                self.refetched_chunks += damaged.len() as u32;
                if self.damaged_checks >= CHECKS {
                    let reason = format!(
                        "{} chunks are damaged whenever they are read back: look at this disk",
                        damaged.len()
                    );
                    self.end = Some(FetchEnd::Failed(reason));
                }
                for chunk in damaged {
                    if self.missing.insert(chunk) {
                        self.missing_bytes += self.chunks[chunk].bytes;
                    }
                }
            }
            FetchInput::Published => self.end = Some(FetchEnd::Complete),
            FetchInput::DiskFailed { reason } => self.end = Some(FetchEnd::Failed(reason)),
        }
        None
    }

    fn try_again(&mut self, chunk: usize, reason: &str, now_ms: u64) {
        let tries = self.tries.entry(chunk).or_default();
        *tries += 1;
        if *tries >= CHUNK_TRIES {
            let count = self.chunks.len();
            let reason = format!("chunk {} of {count} {reason}, {tries} times", chunk + 1);
            self.end = Some(FetchEnd::Failed(reason));
        }
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << (*tries - 1).min(10)).min(LONGEST_PAUSE_MS);
        self.pause_until_ms = now_ms.saturating_add(pause);
    }

    fn next(&mut self, now_ms: u64) -> Option<FetchAction> {
        if self.waits_for_answer || self.end.is_some() {
            return None;
        }
        let Some(chunk) = self.missing.first().copied() else {
            return Some(if self.checked { FetchAction::Publish } else { FetchAction::CheckAll });
        };
        if now_ms < self.pause_until_ms || !self.bucket.allows() {
            return None;
        }
        self.bucket.take(self.chunks[chunk].bytes);
        Some(FetchAction::Read { chunk })
    }
}
