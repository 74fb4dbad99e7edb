//! Faults of clocks.

use super::Undo;
use super::target::Target;
use crate::sim::clock::DRIFT_PPM;
use crate::sim::event::{HOSTS, REPLICAS, member_host};
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_clock(&mut self, fault: &Fault, mut target: Target) -> Option<Undo> {
        let member = member_host(target.member);
        let random = &mut target.random;
        match fault.kind {
            FaultKind::ClockAhead => self.jump(member, random.between(500, 40_000) as i64),
            FaultKind::ClockBack => self.jump(member, -(random.between(500, 40_000) as i64)),
            FaultKind::HubClockJumps => self.jump(target.replica, random.between(0, 8_000) as i64 - 4_000),
            FaultKind::HubClocksStep => {
                let by_ms = random.between(0, 16_000) as i64 - 8_000;
                (0..REPLICAS).for_each(|replica| self.hosts[replica].clock.jump(by_ms));
                Some(Undo::Nothing)
            }
            FaultKind::HubClockStops => {
                self.pause(target.replica, true, fault.pick)?;
                Some(Undo::ResumeStopped(target.replica, self.now))
            }
            FaultKind::DriftChanges => {
                let (host, ppm) = (random.index(HOSTS), random.between(0, 2 * DRIFT_PPM));
                let now = self.now;
                self.hosts[host].clock.drift(now, ppm as i64 - DRIFT_PPM as i64);
                Some(Undo::Nothing)
            }
            _ => None,
        }
    }

    pub(super) fn jump(&mut self, host: usize, by_ms: i64) -> Option<Undo> {
        self.hosts[host].clock.jump(by_ms);
        if let Some(member) = host.checked_sub(REPLICAS) {
            self.wake_shims(member, 400);
        }
        Some(Undo::Nothing)
    }
}
