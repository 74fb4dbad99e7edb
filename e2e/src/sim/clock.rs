//! The clocks of one host: true time, bent by the host's drift, restarted by a reboot, moved by a jump.

use muster_member_machine::Clock;

/// The greatest drift of any clock, in millionths: the bound that fence deadlines are made for.
pub const DRIFT_PPM: u64 = 200;

const MILLION: i64 = 1_000_000;
/// 2026-11-20T10:44:05Z, what a clock that is right shows at true time 0.
pub const EPOCH_MS: u64 = 1_795_171_445_000;

/// Both clocks of a host.
#[derive(Clone, Debug)]
pub struct HostClock {
    /// How much faster than true it runs, in millionths.
    ppm: i64,
    /// What CLOCK_BOOTTIME showed at true time `boot_from`.
    boot_base: u64,
    boot_from: u64,
    /// How far CLOCK_REALTIME is off, apart from drift.
    real_offset: i64,
}

impl HostClock {
    /// A clock with this drift, whose host booted so long ago, and that is so far off.
    pub fn new(ppm: i64, up_ms: u64, real_offset: i64) -> HostClock {
        HostClock { ppm, boot_base: up_ms, boot_from: 0, real_offset }
    }

    /// Both readings at a true time.
    pub fn read(&self, true_ms: u64) -> Clock {
        Clock { boot_ms: self.boot(true_ms), real_ms: self.real(true_ms) }
    }

    /// CLOCK_BOOTTIME.
    pub fn boot(&self, true_ms: u64) -> u64 {
        self.boot_base + self.bent(true_ms) - self.bent(self.boot_from)
    }

    /// CLOCK_REALTIME.
    pub fn real(&self, true_ms: u64) -> u64 {
        (EPOCH_MS + self.bent(true_ms)).saturating_add_signed(self.real_offset)
    }

    /// The host restarts: CLOCK_BOOTTIME begins anew.
    pub fn reboot(&mut self, true_ms: u64) {
        self.boot_base = 1_000;
        self.boot_from = true_ms;
    }

    /// CLOCK_REALTIME is set.
    pub fn jump(&mut self, by_ms: i64) {
        self.real_offset += by_ms;
    }

    /// It runs at another speed from now on; what it shows does not jump.
    pub fn drift(&mut self, true_ms: u64, ppm: i64) {
        let (boot, real) = (self.boot(true_ms), self.real(true_ms));
        self.ppm = ppm;
        (self.boot_base, self.boot_from) = (boot, true_ms);
        self.real_offset += real as i64 - self.real(true_ms) as i64;
    }

    /// Both stood still for so long.
    pub fn stood_still(&mut self, ms: u64) {
        self.boot_base = self.boot_base.saturating_sub(ms);
        self.real_offset -= ms as i64;
    }

    /// The least true time that shows so many milliseconds on this host.
    pub fn true_ms_of(&self, local_ms: u64) -> u64 {
        let per_million = (MILLION + self.ppm) as u64;
        (local_ms * MILLION as u64).div_ceil(per_million)
    }

    fn bent(&self, true_ms: u64) -> u64 {
        true_ms.saturating_add_signed(true_ms as i64 * self.ppm / MILLION)
    }
}
