//! Whom to kill and when, from a seed.

use std::time::Duration;

/// Whom to kill.
pub enum Victim {
    /// A process.
    One(String),
    /// All controllers.
    Hub,
}

/// An endless schedule.
pub struct Schedule {
    state: u64,
    controllers: Vec<String>,
    agents: Vec<String>,
}

impl Schedule {
    pub fn new(seed: u64, controllers: Vec<String>, agents: Vec<String>) -> Schedule {
        Schedule { state: seed, controllers, agents }
    }

    /// Before the next kill: now and then so short that what was killed before is just coming back; on average long
    /// enough that the supervisor's back-off, meant for what dies by itself, does not keep the hub away.
    pub fn pause(&mut self) -> Duration {
        let longest = if self.below(4) == 0 { 100 } else { 3_500 };
        Duration::from_millis(self.below(longest))
    }

    /// The next one: now and then the whole hub, else controllers and agents alike.
    pub fn victim(&mut self) -> Victim {
        match self.below(12) {
            0 => Victim::Hub,
            1..7 => {
                let chosen = self.index(self.controllers.len());
                Victim::One(self.controllers[chosen].clone())
            }
            _ => {
                let chosen = self.index(self.agents.len());
                Victim::One(self.agents[chosen].clone())
            }
        }
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// SplitMix64 (Steele, Lea, Flood 2014), reduced; the bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
