//! S14: raft's own properties, as far as they show outside: one leader per term, and what is committed is immutable.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Violation, note};

/// Leaders and committed entries.
#[derive(Debug, Default)]
pub struct Raft {
    leaders: BTreeMap<u64, usize>,
    committed: BTreeMap<u64, Bytes>,
}

impl Raft {
    /// A replica leads in this term.
    pub fn leads(&mut self, term: u64, replica: usize, found: &mut Vec<Violation>) {
        let first = *self.leaders.entry(term).or_insert(replica);
        if first != replica {
            note(found, "S14", format!("replicas {first} and {replica} both lead in term {term}"));
        }
    }

    /// A replica applied this entry. True if none did before.
    pub fn applied(&mut self, index: u64, bytes: &Bytes, found: &mut Vec<Violation>) -> bool {
        let Some(known) = self.committed.get(&index) else {
            self.committed.insert(index, bytes.clone());
            return true;
        };
        if known != bytes {
            note(found, "S14", format!("entry {index} was committed with two contents"));
        }
        false
    }

    /// How many entries were committed.
    pub fn entries(&self) -> usize {
        self.committed.len()
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.leaders.len()
    }
}
