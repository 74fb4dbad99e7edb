//! Whether a chained stream is whole: every record there, every byte as it was written, every link the hash of the one
//! before it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use muster_core::{ChainHead, audit_link, booking_link};
use muster_proto::history::{decode_audit, decode_booking};

use super::frame::{self, Found};
use super::stream::{Page, StreamName};

/// Problems that are told; a stream that is lost as a whole needs no more.
const PROBLEMS_MAX: usize = 100;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Bytes that are no record.
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
    },
    /// Records that are not there.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A record whose hash is not that of its content behind the one before it: it, or that one, was changed.
    Broken {
        /// The record.
        sequence: u64,
        /// Its file.
        file: String,
        /// Where in it.
        offset: u64,
    },
    /// A record that is there twice, or out of order.
    OutOfOrder {
        /// The record.
        sequence: u64,
        /// Its file.
        file: String,
        /// Where in it.
        offset: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Damaged { file, offset } => write!(f, "{file}: damaged at byte {offset}"),
            Problem::Missing { from, to } if from == to => write!(f, "record {from} is missing"),
            Problem::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Problem::Broken { sequence, file, offset } => write!(
                f,
                "record {sequence} ({file}, byte {offset}) does not follow from the one before it: one of them was changed"
            ),
            Problem::OutOfOrder { sequence, file, offset } => {
                write!(f, "record {sequence} ({file}, byte {offset}) is there twice or out of order")
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Records that were read and are as they were written.
    pub records: u64,
    /// The first one that is kept.
    pub first: u64,
    /// The link at the end that was asked for.
    pub head: ChainHead,
    /// What is wrong, the first hundred of it.
    pub problems: Vec<Problem>,
}

/// Reads a chained stream from where it starts up to a record, which must be there.
///
/// # Errors
/// The disk's.
pub fn verify(name: StreamName, anchor: ChainHead, pages: &[Page], up_to: u64) -> io::Result<Verdict> {
    let head = anchor;
    let mut check = Check { name, head, records: 0, problems: Vec::new(), is_linked: true };
    'pages: for page in pages {
        let bytes = page.read()?;
        let file = format!("{}/{}.seg", name.as_str(), page.name);
        for (offset, found) in frame::scan(&bytes) {
            match found {
                Found::Record(record) if record.key > up_to => break 'pages,
                Found::Record(record) => check.record(record.payload, &file, offset),
                Found::Damage | Found::Torn => check.damaged(&file, offset),
            }
        }
    }
    if check.head.sequence < up_to {
        check.problem(Problem::Missing { from: check.head.sequence + 1, to: up_to });
    }
    let Check { head, records, problems, .. } = check;
    Ok(Verdict { records, first: anchor.sequence + 1, head, problems })
}

/// The hashes of some records, to compare replicas by.
///
/// # Errors
/// The disk's.
pub fn hash_at(name: StreamName, pages: &[Page], sequence: u64) -> io::Result<Option<[u8; 32]>> {
    let by_start: BTreeMap<u64, &Page> = pages.iter().map(|page| (page.name.0, page)).collect();
    let Some((_, page)) = by_start.range(..=sequence).next_back() else { return Ok(None) };
    let bytes = page.read()?;
    let record = frame::records(&bytes).find(|record| record.key == sequence);
    Ok(record.and_then(|record| super::store::head_of(name, record.payload)).map(|head| head.hash))
}

struct Check {
    name: StreamName,
    head: ChainHead,
    records: u64,
    problems: Vec<Problem>,
    /// Whether the record before was read, so that the next one's link can be checked.
    is_linked: bool,
}

impl Check {
    fn record(&mut self, payload: &[u8], file: &str, offset: u64) {
        let Some((found, linked)) = self.linked(payload) else { return self.damaged(file, offset) };
        let (sequence, file) = (found.sequence, file.to_owned());
        if sequence <= self.head.sequence {
            return self.problem(Problem::OutOfOrder { sequence, file, offset });
        }
        if sequence > self.head.sequence + 1 {
            self.problem(Problem::Missing { from: self.head.sequence + 1, to: sequence - 1 });
            self.is_linked = false;
        }
        if self.is_linked && linked != found.hash && !muster_model::mutant!(audit_links_unchecked) {
            self.problem(Problem::Broken { sequence, file, offset });
        } else {
            self.records += 1;
        }
        (self.head, self.is_linked) = (found, true);
    }

    /// The link as it is written, and as it must be behind the one before.
    fn linked(&self, payload: &[u8]) -> Option<(ChainHead, [u8; 32])> {
        let before = self.head.hash;
        match self.name {
            StreamName::Audit => {
                let record = decode_audit(payload).ok()?;
                let head = ChainHead { sequence: record.sequence, hash: record.chain };
                Some((head, audit_link(&record, before)))
            }
            StreamName::Ledger => {
                let booking = decode_booking(payload).ok()?.booking;
                let head = ChainHead { sequence: booking.sequence, hash: booking.chain };
                Some((head, booking_link(&booking, before)))
            }
            StreamName::Events => None,
        }
    }

    fn damaged(&mut self, file: &str, offset: u64) {
        self.problem(Problem::Damaged { file: file.to_owned(), offset });
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}
