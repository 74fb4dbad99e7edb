//! How a planned fault begins.

use super::Undo;
use super::target::Target;
use crate::sim::event::Event;
use crate::sim::schedule::{Fault, Theme};
use crate::sim::world::World;

impl World {
    /// A planned fault begins, if it can.
    pub(in crate::sim) fn strike(&mut self, number: usize) {
        let fault = self.plan[number].clone();
        let undo = self.take_effect(number, &fault);
        let Some(undo) = undo else { return };
        self.counts.struck(fault.kind, self.now, self.now + fault.lasts);
        self.trace.line(
            self.now,
            "fault",
            fault.kind.name(),
            format_args!("#{number} for {} ms {undo:?}", fault.lasts),
        );
        if !matches!(undo, Undo::Nothing) {
            self.active.insert(number, undo);
            self.queue.push(self.now + fault.lasts, Event::Mend { number });
        }
    }

    /// A fault that waited for its moment took effect.
    pub(super) fn fired(&mut self, number: usize) {
        let (kind, lasts) = (self.plan[number].kind, self.plan[number].lasts);
        self.counts.struck(kind, self.now, self.now + lasts);
        self.trace.line(self.now, "fault", kind.name(), format_args!("#{number} fires"));
    }

    fn take_effect(&mut self, number: usize, fault: &Fault) -> Option<Undo> {
        let target = Target::new(number, fault.pick, self);
        match fault.kind.theme() {
            Theme::Process => self.hurt_process(fault, target),
            Theme::Disk => self.hurt_disk(fault, &target),
            Theme::Network => self.hurt_network(fault, target),
            Theme::Clock => self.hurt_clock(fault, target),
            Theme::Member => self.hurt_member(fault, target),
            Theme::Hardware => self.hurt_hardware(fault, target),
            Theme::Identity => self.hurt_identity(fault, &target),
        }
    }
}
