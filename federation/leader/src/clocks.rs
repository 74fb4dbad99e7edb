//! Whose time of day may lead: the leader's stamps every entry, and what expires in the state expires by it.
//!
//! ```text
//!  answers of the other replicas: ahead by 5.1 s, by 4.9 s     more than a half of all say that this clock is off
//!                                 ahead by 5.1 s, silent       nobody knows which one is: what was found before stays
//!                                 ahead by 5.1 s, by 0.1 s     a majority, this one included, agrees
//! ```
//!
//! A replica whose clock is off does not campaign, and hands over if it leads; it goes on voting. No clock in here.

use muster_model::mutant;

/// Further from the majority's a clock may not be, in milliseconds.
pub const CLOCK_LIMIT_MS: u64 = 2_000;

/// What the clock of another replica showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSample {
    /// Milliseconds that it is ahead of this replica's; below zero if it is behind.
    pub ahead_ms: i64,
    /// By so much the figure may be wrong: half of the time that the answer took.
    pub error_ms: u64,
}

/// How this replica's clock stands to the others'.
#[derive(Clone, Debug)]
pub struct Clocks {
    replicas: usize,
    off_ms: Option<i64>,
    may_lead: bool,
}

impl Clocks {
    /// In a hub of so many replicas, this one included. Until something else is found its clock is trusted.
    pub fn new(replicas: usize) -> Clocks {
        Clocks { replicas, off_ms: None, may_lead: true }
    }

    /// Takes a round of answers, one of each other replica that gave one.
    pub fn compare(&mut self, others: &[ClockSample]) {
        let mut ahead: Vec<i64> = others.iter().map(ClockSample::at_least).collect();
        let majority = self.replicas / 2 + 1;
        let limit = i64::try_from(CLOCK_LIMIT_MS).unwrap_or(i64::MAX);
        let count = |is_it: &dyn Fn(i64) -> bool| ahead.iter().filter(|ahead| is_it(**ahead)).count();
        let is_off = count(&|ahead| ahead > limit).max(count(&|ahead| ahead < -limit)) >= majority;
        let is_right = 1 + count(&|ahead| (-limit..=limit).contains(&ahead)) >= majority;
        if !is_off && !is_right {
            self.off_ms = None;
            return;
        }
        ahead.push(0);
        ahead.sort_unstable();
        self.off_ms = ahead.get(ahead.len() / 2).map(|median| -median);
        self.may_lead = is_right || mutant!(wrong_clock_leads);
    }

    /// Milliseconds that this clock is ahead of the majority's, as far as that is certain; below zero if it is behind. `None`
    /// if too few answered to tell.
    pub fn off_ms(&self) -> Option<i64> {
        self.off_ms
    }

    /// Whether this replica may lead, by its clock.
    pub fn may_lead(&self) -> bool {
        self.may_lead
    }
}

impl ClockSample {
    /// What is certain of the difference.
    fn at_least(&self) -> i64 {
        let certain = self.ahead_ms.unsigned_abs().saturating_sub(self.error_ms);
        i64::try_from(certain).unwrap_or(i64::MAX) * self.ahead_ms.signum()
    }
}
