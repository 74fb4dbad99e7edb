//! How long things may take.

use muster_model::DurationMs;

/// How long things may take. Members count with the same heartbeat and lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Members send a heartbeat this often.
    pub heartbeat: DurationMs,
    /// A member silent for so long is not ready: it gets no new jobs.
    pub suspect_after: DurationMs,
    /// A member silent for so long holds no lease: another incarnation may take its name, and attempts under
    /// `DuplicateOk` are replaced.
    pub lease: DurationMs,
    /// How much slower or faster than true any clock may run, in millionths.
    pub clock_drift_ppm: u64,
    /// Added to every wait for a fence deadline.
    pub fence_margin: DurationMs,
    /// A round that is not done by then is started anew: raft drops some reads silently.
    pub read_timeout: DurationMs,
    /// The breaker looks at members that fell silent within this time.
    pub breaker_window: DurationMs,
    /// The breaker opens when more than this share of members fell silent, in hundredths.
    pub breaker_share_percent: u64,
    /// The breaker closes when so few have been silent for this long.
    pub breaker_calm: DurationMs,
    /// The breaker does not judge fleets below this size.
    pub breaker_min_members: usize,
    /// Capacity that did not shrink is committed at most this often per member.
    pub capacity_interval: DurationMs,
    /// Jobs that apply refused to place, and proposals that came to nothing, are tried again after this.
    pub retry: DurationMs,
    /// A session that has not said hello by then is closed. An agent that starts looks at what runs before it says hello.
    pub hello_timeout: DurationMs,
    /// Objects that one housekeeping entry removes at most.
    pub housekeeping_limit: u32,
    /// Burst pools are looked at this often.
    pub burst_look: DurationMs,
    /// A queue must justify one more member for so long before it is asked for.
    pub burst_settle: DurationMs,
    /// After a member that came to nothing its pool waits so long, and twice as long after each further one.
    pub burst_backoff: DurationMs,
    /// At most so long.
    pub burst_backoff_max: DurationMs,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            heartbeat: DurationMs::from_secs(2),
            suspect_after: DurationMs::from_secs(9),
            lease: DurationMs::from_secs(18),
            clock_drift_ppm: 200,
            fence_margin: DurationMs::from_secs(2),
            read_timeout: DurationMs::from_secs(1),
            breaker_window: DurationMs::from_secs(10),
            breaker_share_percent: 50,
            breaker_calm: DurationMs::from_secs(20),
            breaker_min_members: 4,
            capacity_interval: DurationMs::from_secs(1),
            retry: DurationMs::from_secs(1),
            hello_timeout: DurationMs::from_secs(30),
            housekeeping_limit: 1_000,
            burst_look: DurationMs(200),
            burst_settle: DurationMs::from_secs(2),
            burst_backoff: DurationMs::from_secs(10),
            burst_backoff_max: DurationMs::from_secs(600),
        }
    }
}

impl Config {
    /// How long the hub waits before an attempt under `Fence` counts as dead, from when it received the heartbeat whose
    /// acknowledgement renewed it last: `fence_after x (1 + rho) / (1 - rho) + margin`, rounded up. By then the member,
    /// which counts from when it sent that heartbeat and on a clock that may be slow, has ended it (S5).
    pub fn fence_wait(&self, fence_after: DurationMs) -> DurationMs {
        let million = 1_000_000;
        let drift = u128::from(self.clock_drift_ppm.min(million - 1));
        let million = u128::from(million);
        let wait = (u128::from(fence_after.0) * (million + drift)).div_ceil(million - drift);
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        DurationMs(wait.saturating_add(self.fence_margin.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_covers_two_drifting_clocks_to_the_millisecond() {
        let config = Config::default();
        // 600,000 x 1,000,200 / 999,800 = 600,240.05, rounded up, and 2,000.
        assert_eq!(config.fence_wait(DurationMs(600_000)), DurationMs(602_241));
        assert_eq!(config.fence_wait(DurationMs(0)), DurationMs(2_000));
        assert_eq!(config.fence_wait(DurationMs(1)), DurationMs(2_002));
        assert_eq!(config.fence_wait(DurationMs(u64::MAX)), DurationMs(u64::MAX));
        let exact = Config { clock_drift_ppm: 0, ..config };
        assert_eq!(exact.fence_wait(DurationMs(600_000)), DurationMs(602_000));
    }
}
