//! What a replica's folder holds, read while the replica is down. For `muster inspect`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context;
use muster_consensus::log_store::{self, Inspection, SegmentSummary, StoreError};
use muster_consensus::{EntryKind, LogEntry};
use muster_core::State;
use muster_model::Command;
use muster_proto::log;
use serde::Serialize;

use crate::machine::from_wire;

/// A log on disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogReport {
    /// Cluster and replica.
    pub owner: String,
    /// Its files.
    pub segments: Vec<SegmentReport>,
    /// What a replica would start from; absent if it would refuse to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionReport>,
    /// Why it would refuse to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The entries that were asked for.
    pub entries: Vec<EntryReport>,
}

/// A file of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentReport {
    /// Its name.
    pub file: String,
    /// Up to where it is written.
    pub used_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
    /// First and last batch.
    pub batches: (u64, u64),
    /// First and last log index, if there is any.
    pub entries: Option<(u64, u64)>,
    /// What stands behind the last batch: a write that was torn, or damage.
    pub behind: Option<&'static str>,
}

/// Where a log stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionReport {
    /// Raft's term.
    pub term: u64,
    /// The replica it voted for in that term; 0 for none.
    pub vote: u64,
    /// What is known to be committed.
    pub committed: u64,
    /// First and last index that are there, if any.
    pub entries: Option<(u64, u64)>,
    /// The index and term of the newest snapshot.
    pub snapshot: (u64, u64),
    /// The file of its content; absent for the state that a group begins with.
    pub snapshot_file: Option<String>,
    /// How often the log was opened.
    pub starts: u64,
}

/// An entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryReport {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Its size.
    pub bytes: usize,
    /// Its time; absent if it is raft's own.
    pub time: Option<String>,
    /// What it asks for. What is in documents is not told.
    pub command: String,
}

/// A snapshot on disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotReport {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The state's revision.
    pub revision: u64,
    /// The time of the last entry in it.
    pub time: String,
    /// The hub generation.
    pub generation: u16,
    /// The digest, found again from the objects.
    pub digest: String,
    /// Audit records so far.
    pub audit_records: u64,
    /// Objects by kind.
    pub objects: BTreeMap<String, u64>,
}

/// Reads the log in a replica's folder, and its last so many entries.
///
/// # Errors
/// There is no log, it belongs to a process that runs, or its first file cannot be read.
pub fn log(folder: &Path, last: usize) -> anyhow::Result<LogReport> {
    let Inspection { owner, segments, log } = log_store::inspect(&raft_folder(folder))?;
    let mut report = LogReport {
        owner: owner.to_string(),
        segments: segments.iter().map(segment).collect(),
        position: None,
        refusal: None,
        entries: Vec::new(),
    };
    match log {
        Err(refusal) => report.refusal = Some(refusal.to_string()),
        Ok(log) => {
            let entries = &log.entries;
            let ends = entries.first().zip(entries.last()).map(|(first, last)| (first.index, last.index));
            let content = log.snapshot.content.map(|content| format!("snapshots/{}.snap", content.hash));
            report.position = Some(PositionReport {
                term: log.hard_state.term,
                vote: log.hard_state.vote,
                committed: log.hard_state.commit,
                entries: ends,
                snapshot: (log.snapshot.index, log.snapshot.term),
                snapshot_file: content,
                starts: log.starts,
            });
            report.entries = entries[entries.len().saturating_sub(last)..].iter().map(entry).collect();
        }
    }
    Ok(report)
}

/// Reads the newest snapshot in a replica's folder, and checks its objects against its digest.
///
/// # Errors
/// There is none, or it does not check out.
pub fn snapshot(folder: &Path) -> anyhow::Result<SnapshotReport> {
    let file = newest_snapshot(&raft_folder(folder))?;
    let open = File::open(&file).with_context(|| format!("{}: cannot be opened", file.display()))?;
    let bytes = open.metadata()?.len();
    let damaged = || format!("{}: the snapshot does not check out", file.display());
    let (header, objects) = log::read_snapshot(BufReader::new(open)).with_context(damaged)?;
    let mut kinds = BTreeMap::new();
    for object in &objects {
        *kinds.entry(object.key.kind.to_string()).or_default() += 1;
    }
    let header = from_wire(header);
    State::restore(&header, objects.into_iter()).with_context(damaged)?;
    Ok(SnapshotReport {
        file: file.display().to_string(),
        bytes,
        revision: header.revision.0,
        time: header.time.to_string(),
        generation: header.generation,
        digest: format!("{:032x}", header.digest),
        audit_records: header.audit_sequence,
        objects: kinds,
    })
}

/// The folder of the log: the one that was named, or `raft` in it.
fn raft_folder(folder: &Path) -> PathBuf {
    let inner = folder.join("raft");
    if inner.is_dir() { inner } else { folder.to_owned() }
}

/// That which the log names; if the log cannot be read, the newest file.
fn newest_snapshot(raft: &Path) -> anyhow::Result<PathBuf> {
    let folder = raft.join("snapshots");
    match log_store::inspect(raft) {
        Ok(Inspection { log: Ok(log), .. }) => {
            let content = log.snapshot.content.with_context(|| none_yet(&folder))?;
            return Ok(folder.join(format!("{}.snap", content.hash)));
        }
        Err(error @ StoreError::NoLog { .. }) => return Err(error.into()),
        _ => {}
    }
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
    let finished =
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "snap"));
    let newest = finished.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok());
    newest.map(|entry| entry.path()).with_context(|| none_yet(&folder))
}

fn none_yet(folder: &Path) -> String {
    format!("{}: there is no snapshot yet", folder.display())
}

fn segment(segment: &SegmentSummary) -> SegmentReport {
    let name = segment.file.file_name().unwrap_or_default().to_string_lossy();
    SegmentReport {
        file: name.into_owned(),
        used_bytes: segment.used_bytes,
        size_bytes: segment.size_bytes,
        batches: (segment.first_batch, segment.last_batch),
        entries: segment.entries,
        behind: segment.behind,
    }
}

fn entry(entry: &LogEntry) -> EntryReport {
    let (time, command) = match entry.kind {
        EntryKind::Membership => (None, "membership of the group".to_owned()),
        EntryKind::Normal if entry.bytes.is_empty() => (None, "a new leader's first".to_owned()),
        EntryKind::Normal => match log::decode_entry(&entry.bytes) {
            Ok(decoded) => (Some(decoded.time.to_string()), command(&decoded.command)),
            Err(error) => (None, format!("unreadable: {error}")),
        },
    };
    EntryReport { index: entry.index, term: entry.term, bytes: entry.bytes.len(), time, command }
}

/// Its name, and what it is about.
fn command(command: &Command) -> String {
    match command {
        Command::Put(put) => format!("Put {}", put.key),
        Command::Delete(delete) => format!("Delete {}", delete.key),
        Command::Note { involved, reason, .. } => format!("Note {reason} of {involved}"),
        Command::CommitPlan(plan) => {
            format!("CommitPlan of {} places, {} evictions", plan.assignments.len(), plan.evictions.len())
        }
        Command::ReportAttempts { member, reports, .. } => {
            format!("ReportAttempts of {member}, {} of them", reports.len())
        }
        other => {
            let text = format!("{other:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}
