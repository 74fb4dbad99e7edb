//! Time as the machine counts it: two clocks, and the one that moved more counts.

use muster_model::TimeMs;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock {
    /// CLOCK_BOOTTIME: goes on while the machine is suspended.
    pub boot_ms: u64,
    /// CLOCK_REALTIME, since 1970: catches a guest whose boot clock stood still.
    pub real_ms: u64,
}

impl Clock {
    /// Milliseconds since `earlier`: the larger of both, so that a jump can only shorten a grant. A clock that went
    /// backwards counts as zero.
    pub fn since(self, earlier: Clock) -> u64 {
        let boot_ms = self.boot_ms.saturating_sub(earlier.boot_ms);
        let real_ms = self.real_ms.saturating_sub(earlier.real_ms);
        boot_ms.max(real_ms)
    }

    /// The time to show to people.
    pub fn time(self) -> TimeMs {
        TimeMs(self.real_ms)
    }
}
