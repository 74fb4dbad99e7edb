//! Faults of GPUs, Nodes and whole machines: what a member has shrinks, and grows again.

use muster_member_machine::{EndReason, PodId};

use super::Undo;
use super::target::Target;
use crate::sim::event::Event;
use crate::sim::hardware::{GPUS, NODES};
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::workload::drain;
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_hardware(&mut self, fault: &Fault, mut target: Target) -> Option<Undo> {
        use FaultKind::*;
        let member = target.member;
        match fault.kind {
            GpuFails => self.break_gpu(&mut target),
            NodeLost => self.lose_node(&mut target),
            SpotNotice120 => self.give_notice(member, 120_000),
            SpotNotice30 => self.give_notice(member, 30_000),
            SpotNotice0 => self.lose_member(member),
            PodKilled => self.hurt_pod(&mut target, EndReason::Error),
            ShimKilled => self.hurt_pod(&mut target, EndReason::Lost),
            PodUnknown => self.lose_sight(&mut target),
            PodsSeenLate => {
                self.members[member].seen_late_ms = target.random.between(500, 9_000);
                Some(Undo::SeeInTime(member))
            }
            SlowStarts => {
                self.members[member].start_late_ms = target.random.between(1_000, 20_000);
                Some(Undo::StartInTime(member))
            }
            _ => None,
        }
    }

    /// XID, ECC, or off the bus: what computes on it fails at once, the inventory is read a while later.
    fn break_gpu(&mut self, target: &mut Target) -> Option<Undo> {
        let (node, gpu) =
            (target.random.index(NODES as usize) as u32, target.random.index(GPUS as usize) as u32);
        let here = &mut self.members[target.member];
        if here.agent.is_none() || !here.hardware.break_gpu(target.number, node, gpu) {
            return None;
        }
        let on_it = |id: &PodId| {
            here.pods.get(id).is_some_and(|pod| pod.is_on(node) && pod.start.gpus.contains(&gpu))
        };
        let struck: Vec<PodId> = here.pods.keys().copied().filter(on_it).collect();
        struck.into_iter().for_each(|pod| self.crash_pod(target.member, pod, EndReason::Error));
        self.inventory_changes(target.member);
        Some(Undo::Repair(target.member))
    }

    fn lose_node(&mut self, target: &mut Target) -> Option<Undo> {
        let node = target.random.index(NODES as usize) as u32;
        let here = &mut self.members[target.member];
        if here.agent.is_none() || !here.hardware.lose_node(target.number, node) {
            return None;
        }
        let on_it = |id: &PodId| here.pods.get(id).is_some_and(|pod| pod.is_on(node));
        let struck: Vec<PodId> = here.pods.keys().copied().filter(on_it).collect();
        struck.into_iter().for_each(|pod| self.crash_pod(target.member, pod, EndReason::Lost));
        self.inventory_changes(target.member);
        Some(Undo::Repair(target.member))
    }

    /// The agent reads its inventory now and then.
    pub(super) fn inventory_changes(&mut self, member: usize) {
        let late = self.random.between(100, 2_500);
        self.queue.push(self.now + late, Event::Inventory { member });
    }

    /// A provider says that the machine goes. The product has no notices of its own: whoever hears of one drains the
    /// member, and then it is gone, until it comes back after an operator's word.
    fn give_notice(&mut self, member: usize, in_ms: u64) -> Option<Undo> {
        if self.members[member].agent.is_none() || self.members[member].has_notice {
            return None;
        }
        self.members[member].has_notice = true;
        self.found(vec![drain(member, true)]);
        self.queue.push(self.now + in_ms, Event::Vanish { member });
        Some(Undo::Nothing)
    }

    /// The time of a notice is up.
    pub(in crate::sim) fn vanish(&mut self, member: usize) {
        if !std::mem::take(&mut self.members[member].has_notice) {
            return;
        }
        self.found(vec![drain(member, false)]);
        self.lose_member(member);
    }

    fn hurt_pod(&mut self, target: &mut Target, reason: EndReason) -> Option<Undo> {
        let pod = self.running_pod(target)?;
        self.crash_pod(target.member, pod, reason);
        Some(Undo::Nothing)
    }

    fn running_pod(&self, target: &mut Target) -> Option<PodId> {
        let running = self.members[target.member].pods.iter().filter(|(_, pod)| pod.runs());
        let running: Vec<PodId> = running.map(|(id, _)| *id).collect();
        (!running.is_empty()).then(|| *target.random.pick(&running))
    }

    /// The backend cannot tell of a pod for a while; it runs on.
    fn lose_sight(&mut self, target: &mut Target) -> Option<Undo> {
        let pod = self.running_pod(target)?;
        let (member, life) = (target.member, self.members[target.member].life);
        let seen = Box::new(muster_member_machine::Observation::Unknown);
        self.queue.push(self.now + 1, Event::Observe { member, life, pod, seen });
        Some(Undo::ShowPod(member, pod))
    }
}
