//! Links between hosts: cut, slow, lossy.

use std::collections::BTreeMap;

use super::event::ALL_HOSTS;
use super::random::Random;

/// A time of bad weather.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Of a thousand datagrams, so many are lost. A stream sends again instead: its data comes late.
    pub lost_permille: u64,
    /// So many arrive twice.
    pub doubled_permille: u64,
    /// Added to the way of each, at most.
    pub late_ms: u64,
    /// So many are overtaken by those that leave within the next second.
    pub overtaken_permille: u64,
    /// Added to the way of each piece of a stream, at most.
    pub streams_late_ms: u64,
    /// Of answers to clients, so many are lost.
    pub answers_lost_permille: u64,
}

/// The network between the hosts.
pub struct Network {
    random: Random,
    /// How many faults cut each directed link.
    cuts: [[u32; ALL_HOSTS]; ALL_HOSTS],
    weather: BTreeMap<usize, Weather>,
    /// How many datagrams were lost, doubled, or held by a cut.
    pub hurt: u64,
}

/// The way of one datagram: when its copies arrive, from now.
pub type Arrivals = [Option<u64>; 2];

impl Network {
    /// All links whole.
    pub fn new(random: Random) -> Network {
        Network { random, cuts: [[0; ALL_HOSTS]; ALL_HOSTS], weather: BTreeMap::new(), hurt: 0 }
    }

    /// One more fault cuts this direction.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts[from][to] += 1;
    }

    /// One less.
    pub fn join(&mut self, from: usize, to: usize) {
        self.cuts[from][to] = self.cuts[from][to].saturating_sub(1);
    }

    /// Whether nothing passes.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts[from][to] > 0
    }

    /// A fault brings this weather.
    pub fn set_weather(&mut self, fault: usize, weather: Weather) {
        self.weather.insert(fault, weather);
    }

    /// And takes it with it.
    pub fn clear_weather(&mut self, fault: usize) {
        self.weather.remove(&fault);
    }

    /// All faults end.
    pub fn mend(&mut self) {
        self.cuts = [[0; ALL_HOSTS]; ALL_HOSTS];
        self.weather.clear();
    }

    /// A datagram leaves. Whether the link is cut is asked when it arrives.
    pub fn datagram(&mut self) -> Arrivals {
        let weather = self.now();
        if self.random.chance(weather.lost_permille) {
            self.hurt += 1;
            return [None, None];
        }
        let mut first = self.delay(weather);
        if self.random.chance(weather.overtaken_permille) {
            self.hurt += 1;
            first += self.random.between(50, 1_000);
        }
        if !self.random.chance(weather.doubled_permille) {
            return [Some(first), None];
        }
        self.hurt += 1;
        [Some(first), Some(self.delay(weather))]
    }

    /// An answer to a client leaves: when it arrives, if it does.
    pub fn answer(&mut self) -> Option<u64> {
        if self.random.chance(self.now().answers_lost_permille) {
            self.hurt += 1;
            return None;
        }
        self.datagram()[0]
    }

    /// A piece of a stream leaves: it arrives, but a lost one only when it was sent again.
    pub fn stream_delay(&mut self) -> u64 {
        let weather = self.now();
        let mut delay = self.delay(weather) + self.random.below(weather.streams_late_ms + 1);
        while self.random.chance(weather.lost_permille.min(900)) {
            self.hurt += 1;
            delay += 200;
        }
        delay
    }

    /// After how long a stream tries again on a cut link.
    pub fn again(&mut self) -> u64 {
        self.random.between(100, 800)
    }

    fn now(&self) -> Weather {
        self.weather.values().fold(Weather::default(), |sum, one| Weather {
            lost_permille: sum.lost_permille + one.lost_permille,
            doubled_permille: sum.doubled_permille + one.doubled_permille,
            late_ms: sum.late_ms.max(one.late_ms),
            overtaken_permille: sum.overtaken_permille + one.overtaken_permille,
            streams_late_ms: sum.streams_late_ms.max(one.streams_late_ms),
            answers_lost_permille: sum.answers_lost_permille + one.answers_lost_permille,
        })
    }

    fn delay(&mut self, weather: Weather) -> u64 {
        self.random.between(1, 3) + self.random.below(weather.late_ms + 1)
    }
}
