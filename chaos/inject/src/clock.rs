//! When a fault is over, by clocks of this machine: a jump or a reboot can only shorten it.

use std::io;

use muster_model::{DurationMs, TimeMs};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A reading of both clocks of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// CLOCK_BOOTTIME.
    pub boot_ms: u64,
    /// CLOCK_REALTIME, since 1970.
    pub real_ms: u64,
}

/// When a fault is over, as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The boot in which `boot_ms` means something.
    pub boot_id: String,
    /// On CLOCK_BOOTTIME.
    pub boot_ms: u64,
    /// On CLOCK_REALTIME, since 1970.
    pub real_ms: u64,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn now() -> io::Result<Moment> {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Moment {
            boot_id,
            boot_ms: read_ms(ClockId::CLOCK_BOOTTIME),
            real_ms: read_ms(ClockId::CLOCK_REALTIME),
        })
    }

    /// The time of day.
    pub fn time(&self) -> TimeMs {
        TimeMs(self.real_ms)
    }
}

fn read_ms(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("BOOTTIME and REALTIME exist on every Linux");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0) / 1_000_000)
}

impl Deadline {
    /// So long after `now`, and not after `expires` if this machine's time of day is ahead of the hub's.
    pub fn after(now: &Moment, left: DurationMs, expires: TimeMs) -> Deadline {
        let left_ms = if expires.0 > now.real_ms { left.0.min(expires.0 - now.real_ms) } else { left.0 };
        Deadline {
            boot_id: now.boot_id.clone(),
            boot_ms: now.boot_ms.saturating_add(left_ms),
            real_ms: now.real_ms.saturating_add(left_ms),
        }
    }

    /// Whether it has passed on either clock; after a reboot only the time of day counts.
    pub fn is_over(&self, now: &Moment) -> bool {
        now.real_ms >= self.real_ms || (now.boot_id == self.boot_id && now.boot_ms >= self.boot_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, boot_ms: u64, real_ms: u64) -> Moment {
        Moment { boot_id: boot.to_owned(), boot_ms, real_ms }
    }

    #[test]
    fn a_jump_or_a_reboot_only_shortens_it() {
        let deadline = Deadline::after(&moment("a", 1_000, 500_000), DurationMs(60_000), TimeMs(560_000));
        for (now, over) in [
            (moment("a", 60_999, 559_999), false),
            (moment("a", 61_000, 400_000), true),
            (moment("a", 2_000, 560_000), true),
            (moment("b", 900_000, 559_999), false),
            (moment("b", 10, 560_000), true),
        ] {
            assert_eq!(deadline.is_over(&now), over, "{now:?}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_shortens_it_and_one_that_is_behind_does_not_stretch_it() {
        let ahead = Deadline::after(&moment("a", 0, 550_000), DurationMs(60_000), TimeMs(560_000));
        assert_eq!(ahead.boot_ms, 10_000);
        let behind = Deadline::after(&moment("a", 0, 100_000), DurationMs(60_000), TimeMs(560_000));
        assert_eq!(behind.boot_ms, 60_000);
    }
}
