//! S15: a snapshot and the entries after it are the whole log.
//!
//! Each snapshot that a replica restores has the digest of the state at that index. At the end the log is applied anew, once
//! from its beginning and once from a snapshot in the middle: both give the digest that the replicas had, and the same bytes
//! when they are written out.

use bytes::Bytes;
use muster_core::State;

use super::{SameBytes, Violation, note};

/// A snapshot that a replica restored.
#[derive(Clone, Copy, Debug)]
pub struct RestoredSnapshot {
    /// Who.
    pub replica: usize,
    /// Its last entry.
    pub index: u64,
    /// What it gave.
    pub digest: u128,
}

/// A replica restored a snapshot.
pub fn check_restored(restored: RestoredSnapshot, digests: &SameBytes, found: &mut Vec<Violation>) {
    let RestoredSnapshot { replica, index, digest } = restored;
    if let Some(known) = digests.at(index).filter(|known| *known != digest) {
        let seen = format!("the snapshot at {index} gives replica {replica} {digest:x}, the log {known:x}");
        note(found, "S15", seen);
    }
}

/// How states are made, written and read: the simulator has the wire format.
pub struct Replay<'a> {
    /// The state before the first entry.
    pub empty: &'a dyn Fn() -> State,
    /// Applies one entry.
    pub apply: &'a dyn Fn(&mut State, &Bytes),
    /// Writes a snapshot.
    pub write: &'a dyn Fn(&State) -> Vec<u8>,
    /// Reads one; the reason if it cannot.
    pub read: &'a dyn Fn(&[u8]) -> Result<State, String>,
}

/// Applies the whole log twice.
pub fn check_replay(
    log: &[(u64, &Bytes)],
    replay: &Replay<'_>,
    digests: &SameBytes,
    found: &mut Vec<Violation>,
) {
    let Some((last, _)) = log.last() else { return };
    let (first_half, second_half) = log.split_at(log.len() / 2);
    let mut whole = (replay.empty)();
    first_half.iter().for_each(|(_, bytes)| (replay.apply)(&mut whole, bytes));
    let mut resumed = match (replay.read)(&(replay.write)(&whole)) {
        Ok(state) => state,
        Err(why) => return note(found, "S15", format!("a snapshot in the middle cannot be read: {why}")),
    };
    for (_, bytes) in second_half {
        (replay.apply)(&mut whole, bytes);
        (replay.apply)(&mut resumed, bytes);
    }
    if digests.at(*last) != Some(whole.digest()) {
        note(found, "S15", format!("the log up to {last} applied anew gives another state"));
    }
    if (replay.write)(&whole) != (replay.write)(&resumed) {
        note(found, "S15", format!("from a snapshot in the middle the log up to {last} gives other bytes"));
    }
}
