//! What a run did: so that a simulator that finds nothing can be judged.

use std::collections::BTreeMap;

use super::coverage::Coverage;
use super::schedule::FaultKind;

/// Numbers of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Planned faults that took effect, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Two kinds, and how often one began while the other lasted.
    pub pairs: BTreeMap<(FaultKind, FaultKind), u64>,
    /// Until when faults of a kind last.
    lasting: BTreeMap<FaultKind, u64>,
    /// Branches that were taken.
    pub coverage: Coverage,
    /// Datagrams lost, doubled or held by the network.
    pub messages_hurt: u64,
    /// Ops that clients began.
    pub operations: u64,
    /// Ops that came to an end.
    pub answered: u64,
    /// Jobs whose creation was acknowledged.
    pub jobs: u64,
    /// Attempts granted.
    pub grants: u64,
    /// Attempts ended by their deadline.
    pub fenced: u64,
    /// Entries committed.
    pub entries: u64,
    /// Terms that had a leader.
    pub terms: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
}

impl Counts {
    /// A fault took effect now and lasts until then.
    pub fn struck(&mut self, kind: FaultKind, now: u64, until: u64) {
        *self.faults.entry(kind).or_default() += 1;
        for (other, _) in self.lasting.iter().filter(|(_, until)| **until > now) {
            *self.pairs.entry((kind.min(*other), kind.max(*other))).or_default() += 1;
        }
        let lasts = self.lasting.entry(kind).or_default();
        *lasts = until.max(*lasts);
    }

    /// All faults of the plan that took effect.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        other.faults.iter().for_each(|(kind, times)| *self.faults.entry(*kind).or_default() += times);
        other.pairs.iter().for_each(|(pair, times)| *self.pairs.entry(*pair).or_default() += times);
        self.coverage.add(&other.coverage);
        self.messages_hurt += other.messages_hurt;
        self.operations += other.operations;
        self.answered += other.answered;
        self.jobs += other.jobs;
        self.grants += other.grants;
        self.fenced += other.fenced;
        self.entries += other.entries;
        self.terms += other.terms;
        self.virtual_ms += other.virtual_ms;
    }
}
