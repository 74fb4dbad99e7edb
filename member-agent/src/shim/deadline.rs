//! The fence deadline of one pod, as pure counting: readings in, what is due out.
//!
//! ```text
//!  base ------------------------ terminate ------- kill ---- deadline
//!                                   |<-- grace -->|<-budget->|
//! ```
//!
//! The deadline means *dead*: grace and kill happen before it. Once `terminate` was reached the fence is final;
//! nothing read here later makes it go back. It reads no clock itself.

use serde::{Deserialize, Serialize};

use super::clock::ClockReading;

/// What the agent hands over: `remaining_ms` counted from `base`, when the acknowledged heartbeat was *sent*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceGrant {
    /// When counting began.
    pub base: ClockReading,
    /// Milliseconds from `base` until the last process must be dead.
    pub remaining_ms: u64,
    /// Milliseconds kept free between SIGKILL and the deadline.
    pub kill_budget_ms: u64,
}

/// What the deadline demands at a moment. Ordered: it never goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The grant holds.
    Nothing,
    /// SIGTERM is due; the attempt is fenced from here on.
    Terminate,
    /// SIGKILL is due.
    Kill,
}

/// A renewal that came after the fence had begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fence deadline has passed; it is final for this epoch")]
pub struct Final;

/// The counting itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    base: ClockReading,
    remaining_ms: u64,
    grace_ms: u64,
    kill_budget_ms: u64,
    reached: Due,
}

impl Deadline {
    /// A deadline from its grant and the pod's own grace period.
    pub fn new(grant: FenceGrant, grace_ms: u64) -> Self {
        Deadline {
            base: grant.base,
            remaining_ms: grant.remaining_ms,
            grace_ms,
            kill_budget_ms: grant.kill_budget_ms,
            reached: Due::Nothing,
        }
    }

    /// What is due at `now`, remembered: an answer is never followed by a smaller one.
    pub fn check(&mut self, now: ClockReading) -> Due {
        self.reached = self.reached.max(self.due(now));
        self.reached
    }

    /// What is due at `now` by the clocks alone. Usable between fork and exec.
    pub fn due(&self, now: ClockReading) -> Due {
        let elapsed_ms = now.elapsed_ms(self.base);
        if elapsed_ms >= self.kill_after_ms() {
            Due::Kill
        } else if elapsed_ms >= self.terminate_after_ms() {
            Due::Terminate
        } else {
            Due::Nothing
        }
    }

    /// Takes a later grant. An older or shorter one is ignored, since acks may overtake each other; none is
    /// taken once the fence began.
    pub fn renew(&mut self, grant: FenceGrant, now: ClockReading) -> Result<(), Final> {
        if self.check(now) != Due::Nothing {
            return Err(Final);
        }
        let offered = Deadline { reached: Due::Nothing, ..Deadline::new(grant, self.grace_ms) };
        if offered.left_ms(now) > self.left_ms(now) {
            *self = offered;
        }
        Ok(())
    }

    /// Milliseconds until the deadline at `now`; 0 when it has passed.
    pub fn left_ms(&self, now: ClockReading) -> u64 {
        self.remaining_ms.saturating_sub(now.elapsed_ms(self.base))
    }

    /// The readings at which `check` has to be called next; each clock on its own may bring it on. `None` once
    /// everything is due.
    pub fn next_check(&self) -> Option<ClockReading> {
        match self.reached {
            Due::Nothing => Some(self.base.plus_ms(self.terminate_after_ms())),
            Due::Terminate => Some(self.base.plus_ms(self.kill_after_ms())),
            Due::Kill => None,
        }
    }

    fn terminate_after_ms(&self) -> u64 {
        self.kill_after_ms().saturating_sub(self.grace_ms)
    }

    fn kill_after_ms(&self) -> u64 {
        self.remaining_ms.saturating_sub(self.kill_budget_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: ClockReading = ClockReading { boot_ms: 1_000, real_ms: 500_000 };

    fn at(boot_ms: u64, real_ms: u64) -> ClockReading {
        ClockReading { boot_ms: BASE.boot_ms + boot_ms, real_ms: BASE.real_ms + real_ms }
    }

    /// 10 s, of which 1 s kill budget and 2 s grace: SIGTERM at 7 s, SIGKILL at 9 s.
    fn deadline() -> Deadline {
        Deadline::new(grant(BASE, 10_000), 2_000)
    }

    fn grant(base: ClockReading, remaining_ms: u64) -> FenceGrant {
        FenceGrant { base, remaining_ms, kill_budget_ms: 1_000 }
    }

    #[test]
    fn each_clock_alone_brings_the_deadline_on() {
        let table = [
            (at(0, 0), Due::Nothing),
            (at(6_999, 6_999), Due::Nothing),
            (at(7_000, 0), Due::Terminate),
            (at(0, 7_000), Due::Terminate),
            (at(8_999, 8_999), Due::Terminate),
            (at(9_000, 8_000), Due::Kill),
            (at(0, 9_000), Due::Kill),
            (at(3_600_000, 0), Due::Kill),
            (ClockReading { boot_ms: 0, real_ms: 0 }, Due::Nothing),
            (ClockReading { boot_ms: BASE.boot_ms + 7_000, real_ms: 0 }, Due::Terminate),
        ];
        for (now, want) in table {
            assert_eq!(deadline().check(now), want, "at {now:?}");
        }
    }

    #[test]
    fn a_clock_set_back_does_not_take_back_what_was_due() {
        let mut deadline = deadline();
        assert_eq!(deadline.check(at(0, 7_000)), Due::Terminate);
        assert_eq!(deadline.check(at(1, 1)), Due::Terminate);
        assert_eq!(deadline.renew(grant(at(1, 1), 60_000), at(1, 1)), Err(Final));
        assert_eq!(deadline.check(at(9_000, 1)), Due::Kill);
        assert_eq!(deadline.next_check(), None);
    }

    #[test]
    fn a_renewal_extends_and_never_shortens() {
        let table = [
            ("later base, same length", grant(at(5_000, 5_000), 10_000), 10_000),
            ("an ack that was overtaken", grant(BASE, 5_500), 5_000),
            ("shorter from now", grant(at(5_000, 5_000), 1_000), 5_000),
            ("realtime jumped since its base", grant(at(4_000, 0), 10_000), 5_000),
        ];
        for (case, offered, want_left_ms) in table {
            let mut deadline = deadline();
            assert_eq!(deadline.renew(offered, at(5_000, 5_000)), Ok(()), "{case}");
            assert_eq!(deadline.left_ms(at(5_000, 5_000)), want_left_ms, "{case}");
        }
    }

    #[test]
    fn a_renewal_is_refused_from_the_moment_sigterm_is_due() {
        let offered = grant(at(7_000, 7_000), 10_000);
        assert_eq!(deadline().renew(offered, at(6_999, 6_999)), Ok(()));
        assert_eq!(deadline().renew(offered, at(7_000, 7_000)), Err(Final));
        assert_eq!(deadline().renew(offered, at(20_000, 7_000)), Err(Final));
    }

    #[test]
    fn a_grant_shorter_than_grace_and_budget_is_due_at_once() {
        let mut short = Deadline::new(grant(BASE, 2_500), 2_000);
        assert_eq!(short.check(BASE), Due::Terminate);
        let mut shorter = Deadline::new(grant(BASE, 900), 2_000);
        assert_eq!(shorter.check(BASE), Due::Kill);
    }

    #[test]
    fn the_next_check_is_named_on_both_clocks() {
        let mut deadline = deadline();
        assert_eq!(deadline.next_check(), Some(at(7_000, 7_000)));
        deadline.check(at(7_000, 7_000));
        assert_eq!(deadline.next_check(), Some(at(9_000, 9_000)));
    }
}
