//! S14: raft's own properties (Ongaro and Ousterhout 2014, figure 3).
//!
//! - election safety: one leader per term;
//! - log matching: two logs that agree on an entry's index and term agree on it and on all before it;
//! - leader completeness: who leads has every entry that is committed;
//! - what is committed is immutable, and applied as it was committed.
//!
//! Looked at after each turn of a replica, as far as its log changed in that turn.

use std::collections::BTreeMap;

use bytes::Bytes;
use muster_consensus::LogEntry;

use super::{Violation, note};

/// Leaders, logs, and committed entries.
#[derive(Debug, Default)]
pub struct Raft {
    leaders: BTreeMap<u64, usize>,
    /// By index and term: what the entry holds, and the term of the one before it where a log had both.
    entries: BTreeMap<(u64, u64), (Bytes, Option<u64>)>,
    /// Terms by index, as each replica's log had them last.
    logs: BTreeMap<usize, BTreeMap<u64, u64>>,
    /// Terms of committed entries.
    committed: BTreeMap<u64, u64>,
    /// How far each replica was seen to have committed.
    seen: BTreeMap<usize, u64>,
    /// Payloads in the order in which they were applied first.
    applied: BTreeMap<u64, Bytes>,
}

/// Where a replica stands after a turn.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Which.
    pub replica: usize,
    /// The commit index it knows.
    pub committed: u64,
    /// The last entry in its snapshot.
    pub snapshot_index: u64,
}

impl Raft {
    /// A replica's log after a turn, newest entry first.
    pub fn looked_at(
        &mut self,
        standing: Standing,
        newest_first: impl Iterator<Item = LogEntry>,
        found: &mut Vec<Violation>,
    ) {
        let log = self.logs.entry(standing.replica).or_default();
        let mut fresh = Vec::new();
        let (mut last, mut is_known_below) = (None, false);
        for entry in newest_first {
            last = last.max(Some(entry.index));
            if log.get(&entry.index) == Some(&entry.term) {
                is_known_below = true;
                break;
            }
            fresh.push(entry);
        }
        if !is_known_below {
            // A snapshot of another replica came in the place of what was there.
            let begins = fresh.last().map_or(standing.snapshot_index + 1, |entry| entry.index);
            *log = log.split_off(&begins);
        }
        // Beyond its end nothing is of this log any more.
        log.split_off(&(last.unwrap_or(standing.snapshot_index) + 1));
        for entry in fresh.into_iter().rev() {
            let before = log.get(&(entry.index - 1)).copied();
            log.insert(entry.index, entry.term);
            check_matching(&mut self.entries, &entry, before, found);
        }
        self.commit(standing, found);
    }

    fn commit(&mut self, standing: Standing, found: &mut Vec<Violation>) {
        let Standing { replica, committed, .. } = standing;
        let seen = self.seen.insert(replica, committed).unwrap_or_default();
        let Some(log) = self.logs.get(&replica).filter(|_| seen < committed) else { return };
        for (index, term) in log.range(seen + 1..=committed) {
            let known = *self.committed.entry(*index).or_insert(*term);
            if known != *term {
                let seen = format!(
                    "entry {index} was committed of term {known}, replica {replica} commits it of term {term}"
                );
                note(found, "S14", seen);
            }
        }
    }

    /// A replica leads in this term; `log_begins` is the last entry in its snapshot.
    pub fn leads(&mut self, term: u64, standing: Standing, found: &mut Vec<Violation>) {
        let replica = standing.replica;
        let first = *self.leaders.entry(term).or_insert(replica);
        if first != replica {
            note(found, "S14", format!("replicas {first} and {replica} both lead in term {term}"));
        }
        // By log matching the newest one vouches for those before it.
        let newest =
            self.committed.range(..).next_back().filter(|(index, _)| **index > standing.snapshot_index);
        let held = |index: &u64| self.logs.get(&replica).and_then(|log| log.get(index).copied());
        if let Some((index, committed)) = newest
            && held(index) != Some(*committed)
        {
            let seen = format!(
                "replica {replica} leads in term {term} without entry {index} of term {committed}, which is committed"
            );
            note(found, "S14", seen);
        }
    }

    /// A replica applied this entry. True if none did before.
    pub fn applied(&mut self, index: u64, bytes: &Bytes, found: &mut Vec<Violation>) -> bool {
        let Some(known) = self.applied.get(&index) else {
            self.applied.insert(index, bytes.clone());
            return true;
        };
        if known != bytes {
            note(found, "S14", format!("entry {index} was applied with two contents"));
        }
        false
    }

    /// Everything that was applied, in order.
    pub fn log(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        self.applied.iter().map(|(index, bytes)| (*index, bytes))
    }

    /// How many entries were applied.
    pub fn entries(&self) -> usize {
        self.applied.len()
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.leaders.len()
    }
}

fn check_matching(
    entries: &mut BTreeMap<(u64, u64), (Bytes, Option<u64>)>,
    entry: &LogEntry,
    before: Option<u64>,
    found: &mut Vec<Violation>,
) {
    let LogEntry { index, term, bytes, .. } = entry;
    let (known, known_before) = entries.entry((*index, *term)).or_insert_with(|| (bytes.clone(), before));
    let same_before = known_before.is_none() || before.is_none() || *known_before == before;
    *known_before = known_before.or(before);
    if known != bytes || !same_before {
        note(found, "S14", format!("two logs differ at or before entry {index} of term {term}"));
    }
}

#[cfg(test)]
mod tests {
    use muster_consensus::EntryKind;

    use super::*;

    fn log(entries: &[(u64, u64, &str)]) -> Vec<LogEntry> {
        let entry = |(index, term, text): &(u64, u64, &str)| LogEntry {
            index: *index,
            term: *term,
            kind: EntryKind::Normal,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        };
        entries.iter().rev().map(entry).collect()
    }

    fn at(replica: usize, committed: u64) -> Standing {
        Standing { replica, committed, snapshot_index: 0 }
    }

    #[test]
    fn each_property_is_seen_to_break() {
        let mut raft = Raft::default();
        let mut found = Vec::new();
        raft.looked_at(at(0, 2), log(&[(1, 1, ""), (2, 1, "a")]).into_iter(), &mut found);
        raft.looked_at(at(1, 1), log(&[(1, 1, ""), (2, 1, "a"), (3, 1, "b")]).into_iter(), &mut found);
        raft.leads(2, at(1, 1), &mut found);
        assert!(found.is_empty(), "{found:?}");
        raft.leads(2, at(0, 2), &mut found);
        assert_eq!(found.len(), 1, "election safety");
        raft.looked_at(at(2, 0), log(&[(1, 1, ""), (2, 1, "x")]).into_iter(), &mut found);
        assert_eq!(found.len(), 2, "log matching");
        raft.looked_at(at(2, 0), log(&[(1, 1, "")]).into_iter(), &mut found);
        raft.leads(3, at(2, 0), &mut found);
        assert_eq!(found.len(), 3, "leader completeness");
        raft.looked_at(at(2, 2), log(&[(1, 1, ""), (2, 3, "y")]).into_iter(), &mut found);
        assert_eq!(found.len(), 4, "what is committed is immutable");
    }

    #[test]
    fn a_snapshot_comes_in_the_place_of_entries_that_were_never_committed() {
        let mut raft = Raft::default();
        let mut found = Vec::new();
        raft.looked_at(at(0, 3), log(&[(1, 1, ""), (2, 2, "a"), (3, 2, "b")]).into_iter(), &mut found);
        raft.looked_at(at(1, 1), log(&[(1, 1, ""), (2, 1, "x")]).into_iter(), &mut found);
        raft.looked_at(Standing { snapshot_index: 3, ..at(1, 3) }, std::iter::empty(), &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
