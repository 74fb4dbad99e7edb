//! Faults of processes: killed, frozen, told to hand over.

use muster_consensus::Input as RaftInput;

use super::Undo;
use super::network::both;
use super::target::Target;
use crate::sim::event::{Event, REPLICAS, member_host};
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::world::{HOST_NAMES, Pause, World};

impl World {
    pub(super) fn hurt_process(&mut self, fault: &Fault, mut target: Target) -> Option<Undo> {
        use FaultKind::*;
        let (leader, replica) = (target.leader, target.replica);
        match fault.kind {
            ReplicaKilled => self.kill_replica(replica, false, fault.lasts),
            LeaderKilled => self.kill_replica(leader?, target.random.chance(500), fault.lasts),
            ReplicaDiesInTurn => {
                self.replicas[replica].process.as_mut()?.dies_in_turn = Some(target.random.bits() >> 1);
                Some(Undo::Nothing)
            }
            ReplicaPaused => self.pause(replica, false, fault.pick),
            LeaderPaused => self.pause(leader?, false, fault.pick),
            Handover => {
                self.tell_consensus(leader?, RaftInput::TransferLeadership { to: None }, Undo::Nothing)
            }
            HeldBack => {
                self.tell_consensus(replica, RaftInput::HoldBack { held: true }, Undo::Release(replica))
            }
            QuorumKilled => {
                let other = (replica + 1 + target.random.index(REPLICAS - 1)) % REPLICAS;
                let killed = [replica, other].map(|r| self.kill_replica(r, false, fault.lasts).is_some());
                killed.contains(&true).then_some(Undo::Nothing)
            }
            RollingRestart => {
                self.kill_replica(replica, false, fault.lasts.min(1_500))?;
                Some(Undo::Roll((0..REPLICAS).filter(|other| *other != replica).collect()))
            }
            HubSuspended => self.pause(replica, true, fault.pick),
            DiesInSnapshot => {
                // Counted when it does.
                self.replicas[replica].process.as_mut()?.dies_in_snapshot = Some(target.number);
                None
            }
            _ => None,
        }
    }

    /// The next one of a rolling restart.
    pub(super) fn roll(&mut self, number: usize, mut left: Vec<usize>) {
        let Some(next) = left.pop() else { return };
        let down = self.plan[number].lasts.min(1_500);
        self.kill_replica(next, false, down);
        self.active.insert(number, Undo::Roll(left));
        let wait = down + self.random.between(200, 4_000);
        self.queue.push(self.now + wait, Event::Mend { number });
    }

    /// A snapshot is to be written, and somebody waits for that.
    pub(in crate::sim) fn dies_in_snapshot(&mut self, replica: usize) -> bool {
        let armed =
            self.replicas[replica].process.as_mut().and_then(|process| process.dies_in_snapshot.take());
        let Some(number) = armed else { return false };
        self.fired(number);
        let (power_lost, down) = (self.random.chance(500), self.random.between(20, 3_000));
        self.stop_replica(replica, power_lost);
        self.restart_replica_in(replica, down);
        true
    }

    pub(super) fn kill_replica(&mut self, replica: usize, power_lost: bool, down_ms: u64) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.stop_replica(replica, power_lost);
        self.restart_replica_in(replica, down_ms);
        Some(Undo::Nothing)
    }

    pub(super) fn kill_all(&mut self, down_ms: u64) -> Option<Undo> {
        let killed: Vec<_> =
            (0..REPLICAS).filter_map(|r| self.kill_replica(r, true, down_ms.min(5_000))).collect();
        (!killed.is_empty()).then_some(Undo::Nothing)
    }

    pub(super) fn tell_consensus(&mut self, replica: usize, input: RaftInput, undo: Undo) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.give(replica, input);
        Some(undo)
    }

    pub(super) fn hold_member_at_paused_leader(
        &mut self,
        leader: usize,
        member: usize,
        order: u64,
    ) -> Option<Undo> {
        let host = member_host(member);
        self.pause(leader, false, order)?;
        let others = (0..REPLICAS).filter(|replica| *replica != leader);
        let links: Vec<_> = others.flat_map(|replica| both(replica, host)).collect();
        self.cut_links(&links);
        Some(Undo::ResumeThenJoin(leader, links))
    }

    /// The agent has sent a heartbeat: it stands still, and soon nothing more gets through.
    pub(in crate::sim) fn stand_still_at_beat(&mut self, number: usize, member: usize) {
        let host = member_host(member);
        if self.active.contains_key(&number) || self.pause(host, false, self.plan[number].pick).is_none() {
            return;
        }
        self.active.insert(number, Undo::CutOff(host));
        self.queue.push(self.now + 300, Event::Mend { number });
    }

    /// A host stands still: its processes, or with `whole` everything on it.
    pub(super) fn pause(&mut self, host: usize, whole: bool, order: u64) -> Option<Undo> {
        if self.hosts[host].pause.is_some() {
            return None;
        }
        self.hosts[host].pause = Some(Pause { whole, order });
        if let Some(member) = host.checked_sub(REPLICAS).filter(|_| whole) {
            self.members[member].pods.values_mut().for_each(|pod| pod.is_unchecked = true);
        }
        Some(Undo::Resume(host))
    }

    /// A host goes on. What waited for it comes at once, in an order that the fault chose: messages before timers, timers
    /// before messages, or as it came.
    pub(super) fn resume(&mut self, host: usize) {
        let Some(pause) = self.hosts[host].pause.take() else { return };
        self.trace.line(self.now, HOST_NAMES[host], "goes on", format_args!(""));
        let mut waited = std::mem::take(&mut self.hosts[host].waiting);
        match pause.order % 3 {
            0 => waited.sort_by_key(Event::is_timer),
            1 => waited.sort_by_key(|event| !event.is_timer()),
            _ => {}
        }
        for event in waited {
            self.queue.push(self.now, event);
        }
        if let Some(member) = host.checked_sub(REPLICAS).filter(|_| pause.whole) {
            self.wake_shims(member, 50);
        }
    }
}
