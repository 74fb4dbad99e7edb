//! Proposals in flight, from the log position they were given to their one end.
//!
//! ```text
//! proposed at (index, term) --+-- that index committed with that term -> committed
//!                             +-- with another term                  -> superseded
//!                             +-- leadership lost, not seen in time,
//!                             +-- or skipped by a snapshot           -> unknown
//! ```
//!
//! That another leader overwrote the entry here proves nothing: a later one may still have it and commit it. Only
//! a commit at the same index decides.

use std::collections::BTreeMap;

use crate::entry::LogPosition;
use crate::ids::Token;

#[derive(Default)]
pub(crate) struct Pending {
    proposals: BTreeMap<LogPosition, Proposal>,
}

struct Proposal {
    token: Token,
    /// Set once leadership is lost.
    gives_up_at: Option<u64>,
}

/// What a commit decided.
pub(crate) struct Decided {
    pub committed: Option<Token>,
    pub superseded: Vec<Token>,
}

impl Pending {
    pub(crate) fn insert(&mut self, position: LogPosition, token: Token) {
        self.proposals.insert(position, Proposal { token, gives_up_at: None });
    }

    pub(crate) fn committed(&mut self, position: LogPosition) -> Decided {
        let mut decided = Decided { committed: None, superseded: Vec::new() };
        while let Some(first) =
            self.proposals.first_entry().filter(|first| first.key().index <= position.index)
        {
            let (at, proposal) = first.remove_entry();
            if at == position {
                decided.committed = Some(proposal.token);
            } else {
                decided.superseded.push(proposal.token);
            }
        }
        decided
    }

    /// A snapshot skipped all entries up to `index`: their outcome was not seen.
    pub(crate) fn skipped(&mut self, index: u64) -> Vec<Token> {
        let mut unknown = Vec::new();
        while let Some(first) = self.proposals.first_entry().filter(|first| first.key().index <= index) {
            unknown.push(first.remove().token);
        }
        unknown
    }

    pub(crate) fn leadership_lost(&mut self, gives_up_at: u64) {
        for proposal in self.proposals.values_mut() {
            proposal.gives_up_at.get_or_insert(gives_up_at);
        }
    }

    pub(crate) fn expired(&mut self, now: u64) -> Vec<Token> {
        let mut unknown = Vec::new();
        self.proposals.retain(|_, proposal| {
            let keep = proposal.gives_up_at.is_none_or(|at| now < at);
            if !keep {
                unknown.push(proposal.token);
            }
            keep
        });
        unknown
    }

    pub(crate) fn drain(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.proposals).into_values().map(|proposal| proposal.token).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.proposals.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64, term: u64) -> LogPosition {
        LogPosition { index, term }
    }

    #[test]
    fn a_commit_at_the_same_index_decides() {
        let mut pending = Pending::default();
        pending.insert(at(5, 2), Token(1));
        pending.insert(at(5, 4), Token(2));
        pending.insert(at(6, 4), Token(3));
        let decided = pending.committed(at(5, 4));
        assert_eq!((decided.committed, decided.superseded), (Some(Token(2)), vec![Token(1)]));
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn only_lost_leadership_makes_a_proposal_expire() {
        let mut pending = Pending::default();
        pending.insert(at(1, 1), Token(1));
        assert!(pending.expired(1_000_000).is_empty());
        pending.leadership_lost(10);
        pending.leadership_lost(20);
        assert!(pending.expired(9).is_empty());
        assert_eq!(pending.expired(10), vec![Token(1)]);
    }
}
