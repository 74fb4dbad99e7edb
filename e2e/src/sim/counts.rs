//! What a run did: so that a simulator that finds nothing can be judged.

use std::collections::BTreeMap;

use super::schedule::FaultKind;

/// Numbers of one run, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Planned faults that took effect, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
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
    /// A fault took effect.
    pub fn struck(&mut self, kind: FaultKind) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// All faults of the plan that took effect.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        other.faults.iter().for_each(|(kind, times)| *self.faults.entry(*kind).or_default() += times);
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
