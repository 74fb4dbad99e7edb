//! Election timeouts from a seed. The raft library draws them from the thread's generator whenever it resets; this
//! puts a seeded one in place after each input, so that the same inputs give the same outputs.

use raft::{Raft, StateRole, Storage};

use crate::config::{ReplicaConfig, Timing};
use crate::ids::ReplicaId;

pub(crate) struct ElectionClock {
    random: SplitMix64,
    timing: Timing,
    seen: Option<(u64, StateRole)>,
    timeout_ticks: usize,
    /// While this lasts and no leader was heard, timeouts are short: a group that restarts as a whole is quick.
    startup_ticks_left: u64,
}

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
struct SplitMix64(u64);

impl ElectionClock {
    pub(crate) fn new(id: ReplicaId, config: &ReplicaConfig) -> Self {
        let seed = config.seed ^ id.get().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let timing = config.timing.clone();
        let startup_ticks_left = timing.startup_ticks;
        Self { random: SplitMix64(seed), timing, seen: None, timeout_ticks: 0, startup_ticks_left }
    }

    /// Put the seeded timeout in place. Call after every input; draws a new one when term or role changed.
    pub(crate) fn refresh<S: Storage>(&mut self, raft: &mut Raft<S>) {
        let now = (raft.term, raft.state);
        if self.seen != Some(now) {
            self.seen = Some(now);
            // One more than the minimum: at the minimum the other followers still refuse to vote, because for them
            // the old leader's lease has not run out, and the election is lost for a whole timeout.
            let election = self.timing.election_ticks;
            self.timeout_ticks = self.random.within(election + 1, 2 * election);
        }
        raft.set_randomized_election_timeout(self.timeout_ticks);
        if raft.leader_id != raft::INVALID_ID {
            self.startup_ticks_left = 0;
        }
    }

    /// Shorten the wait for the next campaign during startup. Pre-votes make this harmless for a group that has a
    /// leader already.
    pub(crate) fn hurry<S: Storage>(&mut self, raft: &mut Raft<S>) {
        if self.startup_ticks_left > 0 {
            let range = &self.timing.startup_election_ticks;
            let wait = self.random.within(range.start, range.end);
            raft.election_elapsed = self.timeout_ticks.saturating_sub(wait);
        }
    }

    /// Count a tick, after raft has seen it.
    pub(crate) fn ticked<S: Storage>(&mut self, raft: &mut Raft<S>) {
        self.startup_ticks_left = self.startup_ticks_left.saturating_sub(1);
        if raft.election_elapsed == 0 && raft.state != StateRole::Leader {
            self.hurry(raft);
        }
    }
}

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` up to but not including `high`; `low` if that is empty.
    fn within(&mut self, low: usize, high: usize) -> usize {
        let span = high.saturating_sub(low).max(1) as u64;
        low + usize::try_from(self.next() % span).expect("smaller than a usize")
    }
}
