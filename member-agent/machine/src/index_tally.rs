//! Failures by index, of Indexed jobs with a backoff limit per index.

use std::collections::BTreeMap;
use std::fmt::Write;

use muster_model::{IndexFailures, IndexSet};

use crate::clock::Clock;

/// What each index has behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexTally {
    /// Failed for good.
    failed: IndexSet,
    /// Failures that count, of indexes that are neither failed nor completed.
    counts: BTreeMap<u32, u32>,
    /// Failures of this attempt, those that count for nothing included: the base of the back-off.
    retries: BTreeMap<u32, Retry>,
}

/// The back-off of one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Failures so far.
    pub(crate) failures: u32,
    /// When the last one was seen.
    pub(crate) last: Clock,
}

impl IndexTally {
    /// What earlier attempts left. What is not understood or not below `limit` is passed over.
    pub(crate) fn parse(left: &IndexFailures, limit: u32) -> IndexTally {
        let mut tally = IndexTally { failed: IndexSet::parse(&left.failed, limit), ..IndexTally::default() };
        for group in left.counts.split(';') {
            let Some((count, indexes)) = group.split_once(':') else { continue };
            let Ok(count) = count.parse::<u32>() else { continue };
            tally.counts.extend(IndexSet::parse(indexes, limit).iter().map(|index| (index, count)));
        }
        tally
    }

    /// What later attempts are told.
    pub(crate) fn report(&self) -> IndexFailures {
        let mut groups = BTreeMap::<u32, Vec<u32>>::new();
        for (index, count) in &self.counts {
            groups.entry(*count).or_default().push(*index);
        }
        let mut counts = String::new();
        for (count, indexes) in groups {
            let separator = if counts.is_empty() { "" } else { ";" };
            let indexes: IndexSet = indexes.into_iter().collect();
            // Writing to a String cannot fail.
            let _ = write!(counts, "{separator}{count}:{indexes}");
        }
        IndexFailures { failed: self.failed.to_string().into(), counts: counts.into() }
    }

    /// Indexes that failed for good, of a job that has `limit` of them.
    pub(crate) fn failed(&self, limit: u32) -> IndexSet {
        self.failed.below(limit)
    }

    /// Whether an index failed for good.
    pub(crate) fn is_failed(&self, index: u32) -> bool {
        self.failed.contains(index)
    }

    /// The back-off of an index.
    pub(crate) fn retry(&self, index: u32) -> Option<Retry> {
        self.retries.get(&index).copied()
    }

    /// An index completed.
    pub(crate) fn succeed(&mut self, index: u32) {
        self.counts.remove(&index);
        self.retries.remove(&index);
    }

    /// A pod of an index failed and is to be replaced later.
    pub(crate) fn back_off(&mut self, index: u32, seen: Clock) {
        let failures = self.retries.get(&index).map_or(0, |retry| retry.failures).saturating_add(1);
        self.retries.insert(index, Retry { failures, last: seen });
    }

    /// A failure counts; more than `limit` of them fail the index.
    pub(crate) fn count(&mut self, index: u32, limit: u32) {
        let count = self.counts.entry(index).or_default();
        *count = count.saturating_add(1);
        if *count > limit && !muster_model::mutant!(index_limit_ignored) {
            self.fail(index);
        }
    }

    /// An index fails for good.
    pub(crate) fn fail(&mut self, index: u32) {
        self.counts.remove(&index);
        self.retries.remove(&index);
        self.failed.insert(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_taken_over_as_it_was_told() {
        let mut tally = IndexTally::default();
        for index in [0, 1, 2, 7, 7, 9] {
            tally.count(index, 1);
        }
        tally.succeed(1);
        tally.fail(5);
        let left = tally.report();
        assert_eq!((&*left.failed, &*left.counts), ("5,7", "1:0,2,9"));
        let again = IndexTally::parse(&left, 100);
        assert_eq!(again.report(), left);
        let odd = IndexFailures { failed: "x".into(), counts: "1;:2;3:4,200;z:1".into() };
        assert_eq!(&*IndexTally::parse(&odd, 100).report().counts, "3:4");
    }
}
