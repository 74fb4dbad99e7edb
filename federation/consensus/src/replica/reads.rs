//! ReadIndex rounds (Raft thesis, 6.4): a read is linearizable if a quorum confirmed the leader after it arrived and
//! the state has reached the commit index of that moment.
//!
//! ```text
//! read -> waiting --start--> round (asks the leader) --confirmed--> waiting for apply --> answered
//!            ^                  | retry after a timeout: the raft library drops requests without a word
//!            +------------------+
//! ```
//!
//! All reads that wait share one round. A round's name holds the start counter, so that an answer from before a
//! restart never fits a round of now.

use std::collections::BTreeMap;

use crate::config::Timing;
use crate::ids::{ReplicaId, Token};

/// Rounds in flight at once; reads beyond wait and then share the next one.
const MAX_ROUNDS: usize = 8;

/// A round's name: replica, incarnation, number.
pub(crate) type RoundName = [u8; 24];

pub(crate) struct Reads {
    id: ReplicaId,
    incarnation: u64,
    next_round: u64,
    waiting: Vec<Read>,
    rounds: BTreeMap<RoundName, Round>,
    confirmed: Vec<(u64, Vec<Read>)>,
    retry_ticks: u64,
    timeout_ticks: u64,
}

struct Read {
    token: Token,
    gives_up_at: u64,
}

struct Round {
    reads: Vec<Read>,
    retry_at: u64,
}

impl Reads {
    pub(crate) fn new(id: ReplicaId, incarnation: u64, timing: &Timing) -> Self {
        Self {
            id,
            incarnation,
            next_round: 0,
            waiting: Vec::new(),
            rounds: BTreeMap::new(),
            confirmed: Vec::new(),
            retry_ticks: timing.read_retry_ticks,
            timeout_ticks: timing.read_timeout_ticks,
        }
    }

    pub(crate) fn add(&mut self, token: Token, now: u64) {
        self.waiting.push(Read { token, gives_up_at: now + self.timeout_ticks });
    }

    /// Whether there is a reason and room for a round.
    pub(crate) fn wants_round(&self) -> bool {
        !self.waiting.is_empty() && self.rounds.len() < MAX_ROUNDS
    }

    /// Put all waiting reads into a new round.
    pub(crate) fn start(&mut self, now: u64) -> RoundName {
        self.next_round += 1;
        let mut name = [0; 24];
        name[..8].copy_from_slice(&self.id.get().to_be_bytes());
        name[8..16].copy_from_slice(&self.incarnation.to_be_bytes());
        name[16..].copy_from_slice(&self.next_round.to_be_bytes());
        let reads = std::mem::take(&mut self.waiting);
        self.rounds.insert(name, Round { reads, retry_at: now + self.retry_ticks });
        name
    }

    /// The leader was confirmed for a round. One that was retried meanwhile is not known any more.
    pub(crate) fn confirm(&mut self, name: &[u8], index: u64) {
        let round = RoundName::try_from(name).ok().and_then(|name| self.rounds.remove(&name));
        if let Some(round) = round {
            self.confirmed.push((index, round.reads));
        }
    }

    /// Reads whose index is applied.
    pub(crate) fn release(&mut self, applied: u64) -> Vec<(Token, u64)> {
        let mut released = Vec::new();
        self.confirmed.retain_mut(|(index, reads)| {
            let reached = *index <= applied;
            if reached {
                released.extend(reads.drain(..).map(|read| (read.token, *index)));
            }
            !reached
        });
        released
    }

    /// Another leader: ask again at once.
    pub(crate) fn ask_again(&mut self) {
        for round in std::mem::take(&mut self.rounds).into_values() {
            self.waiting.extend(round.reads);
        }
    }

    /// Repeat rounds without an answer; returns the reads that waited too long.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Token> {
        let late: Vec<RoundName> =
            self.rounds.iter().filter(|(_, round)| round.retry_at <= now).map(|(name, _)| *name).collect();
        for name in late {
            let round = self.rounds.remove(&name).map_or_else(Vec::new, |round| round.reads);
            self.waiting.extend(round);
        }
        let mut expired = Vec::new();
        self.waiting.retain(|read| {
            let keep = now < read.gives_up_at;
            if !keep {
                expired.push(read.token);
            }
            keep
        });
        expired
    }

    pub(crate) fn drain(&mut self) -> Vec<Token> {
        self.ask_again();
        let waiting = std::mem::take(&mut self.waiting);
        let confirmed = std::mem::take(&mut self.confirmed).into_iter().flat_map(|(_, reads)| reads);
        waiting.into_iter().chain(confirmed).map(|read| read.token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads() -> Reads {
        Reads::new(ReplicaId::new(1).unwrap(), 1, &Timing::default())
    }

    #[test]
    fn a_late_answer_to_a_repeated_round_confirms_nothing() {
        let mut reads = reads();
        reads.add(Token(1), 0);
        let first = reads.start(0);
        assert!(reads.tick(4).is_empty());
        reads.confirm(&first, 9);
        assert!(reads.release(100).is_empty());
        let second = reads.start(4);
        reads.confirm(&second, 9);
        assert!(reads.release(8).is_empty());
        assert_eq!(reads.release(9), vec![(Token(1), 9)]);
    }

    #[test]
    fn a_read_without_a_leader_gives_up() {
        let mut reads = reads();
        reads.add(Token(1), 0);
        assert!(reads.tick(59).is_empty());
        assert_eq!(reads.tick(60), vec![Token(1)]);
    }
}
