//! Faults of clocks.

use super::Undo;
use super::target::Target;
use crate::sim::event::{REPLICAS, member_host};
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
