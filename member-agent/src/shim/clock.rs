//! The two clocks that a fence deadline is counted on.
//!
//! BOOTTIME goes on while the machine is suspended; REALTIME catches a guest whose boot clock was frozen and
//! that was set right afterwards. Taking the larger of both elapsed times, a jump can only shorten a lease.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// One reading of both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// CLOCK_BOOTTIME.
    pub boot_ms: u64,
    /// CLOCK_REALTIME, milliseconds since the Unix epoch.
    pub real_ms: u64,
}

impl ClockReading {
    /// Milliseconds since `base` on the clock that moved most; a clock that went backwards counts as 0.
    pub fn elapsed_ms(self, base: ClockReading) -> u64 {
        let boot_ms = self.boot_ms.saturating_sub(base.boot_ms);
        let real_ms = self.real_ms.saturating_sub(base.real_ms);
        boot_ms.max(real_ms)
    }

    /// The reading `ms` later on both clocks.
    pub fn plus_ms(self, ms: u64) -> ClockReading {
        ClockReading { boot_ms: self.boot_ms.saturating_add(ms), real_ms: self.real_ms.saturating_add(ms) }
    }
}

/// Where a reading comes from, so that simulated backends and tests can step time.
pub trait Clock: Send + Sync {
    /// Both clocks now.
    fn now(&self) -> ClockReading;
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> ClockReading {
        ClockReading { boot_ms: read_ms(ClockId::CLOCK_BOOTTIME), real_ms: read_ms(ClockId::CLOCK_REALTIME) }
    }
}

fn read_ms(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("BOOTTIME and REALTIME exist on every Linux");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec()).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1_000).saturating_add(millis)
}
