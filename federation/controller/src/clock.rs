//! The clock that leases are counted by: it never goes back, goes on while the machine is suspended, and is near to the time
//! of day, so that deadlines of jobs can be compared with it.

use std::sync::LazyLock;

use muster_model::TimeMs;
use nix::time::{ClockId, clock_gettime};

/// What lay between the time since boot and the time of day when this process began.
static OFFSET_MS: LazyLock<u64> = LazyLock::new(|| crate::hub::now().0.saturating_sub(since_boot_ms()));

/// Milliseconds since 1970 as they were when this process began, plus the time since then, suspension included.
pub fn monotonic() -> TimeMs {
    TimeMs(*OFFSET_MS + since_boot_ms())
}

fn since_boot_ms() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has CLOCK_BOOTTIME");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let millis = u64::try_from(time.tv_nsec()).unwrap_or_default() / 1_000_000;
    seconds * 1000 + millis
}
