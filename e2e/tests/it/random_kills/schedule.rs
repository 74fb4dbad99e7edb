//! Whom to kill and when, from a seed.

use std::time::Duration;

use muster_e2e::splitmix::SplitMix64;

/// Whom to kill.
pub enum Victim {
    /// A process.
    One(String),
    /// All controllers.
    Hub,
}

/// An endless schedule.
pub struct Schedule {
    numbers: SplitMix64,
    controllers: Vec<String>,
    agents: Vec<String>,
}

impl Schedule {
    pub fn new(seed: u64, controllers: Vec<String>, agents: Vec<String>) -> Schedule {
        Schedule { numbers: SplitMix64(seed), controllers, agents }
    }

    /// Before the next kill: now and then so short that what was killed before is just coming back; on average long
    /// enough that the supervisor's back-off, meant for what dies by itself, does not keep the hub away.
    pub fn pause(&mut self) -> Duration {
        let longest = if self.numbers.below(4) == 0 { 100 } else { 3_500 };
        Duration::from_millis(self.numbers.below(longest))
    }

    /// The next one: now and then the whole hub, else controllers and agents alike.
    pub fn victim(&mut self) -> Victim {
        match self.numbers.below(12) {
            0 => Victim::Hub,
            1..7 => {
                let chosen = self.numbers.index(self.controllers.len());
                Victim::One(self.controllers[chosen].clone())
            }
            _ => {
                let chosen = self.numbers.index(self.agents.len());
                Victim::One(self.agents[chosen].clone())
            }
        }
    }
}
