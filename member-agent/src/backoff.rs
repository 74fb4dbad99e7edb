//! Waiting between attempts to reach the hub: doubling, with jitter, so that members do not come all at once.

use std::time::Duration;

/// The next delays.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    current: Duration,
    random: u64,
}

impl Backoff {
    /// Delays from `first` to `longest`, spread by `seed`.
    pub(crate) fn new(seed: u128, first: Duration, longest: Duration) -> Backoff {
        let random = (seed ^ (seed >> 64)) as u64 | 1;
        Backoff { first, longest, current: first, random }
    }

    /// The next delay: between half of the current one and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        // xorshift64: only spread is asked of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let delay = self.current / 2 + self.current / 2 * (self.random % 1000) as u32 / 1000;
        self.current = (self.current * 2).min(self.longest);
        delay
    }

    /// It worked: begin anew.
    pub(crate) fn reset(&mut self) {
        self.current = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(7, Duration::from_millis(50), Duration::from_secs(2));
        let delays: Vec<Duration> = (0..10).map(|_| backoff.next()).collect();
        assert!(delays[0] >= Duration::from_millis(25) && delays[0] <= Duration::from_millis(50));
        assert!(delays[9] >= Duration::from_secs(1) && delays[9] <= Duration::from_secs(2));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(50));
    }
}
