//! How faults end.

use muster_consensus::Input as RaftInput;
use muster_member_machine::PodId;

use super::network::around;
use crate::sim::event::{ALL_HOSTS, Event, MEMBERS, REPLICAS};
use crate::sim::workload::drain;
use crate::sim::world::World;

/// What has to be undone when a fault ends.
#[derive(Clone, Debug)]
pub enum Undo {
    /// Nothing.
    Nothing,
    /// Directed links are whole again.
    Join(Vec<(usize, usize)>),
    /// The weather clears.
    Clear,
    /// A host goes on.
    Resume(usize),
    /// A replica may lead again.
    Release(usize),
    /// Links are whole again, and a host goes on.
    JoinAndResume(Vec<(usize, usize)>, usize),
    /// A member is cut off.
    CutOff(usize),
    /// A host goes on; these links stay cut for a while.
    ResumeThenJoin(usize, Vec<(usize, usize)>),
    /// Directed links are whole again; the weather clears later.
    JoinThenClear(Vec<(usize, usize)>),
    /// Links that go on and off: which, and how often still.
    Flap(Vec<(usize, usize)>, u32),
    /// A host goes on; its clocks stood still since then.
    ResumeStopped(usize, u64),
    /// The next replica is killed.
    Roll(Vec<usize>),
    /// A replica's disk is as fast as before.
    Quicken(usize),
    /// What a fault broke of a member's machines is whole again.
    Repair(usize),
    /// A member's backend tells of pods at once again.
    SeeInTime(usize),
    /// Its pods start at once again.
    StartInTime(usize),
    /// Its backend can tell of a pod again.
    ShowPod(usize, PodId),
    /// A copied agent is switched off.
    EndClone,
}

impl World {
    /// A planned fault ends.
    pub(in crate::sim) fn mend(&mut self, number: usize) {
        let Some(undo) = self.active.remove(&number) else { return };
        self.trace.line(self.now, "fault", "ends", format_args!("#{number}"));
        match undo {
            Undo::Nothing => {}
            Undo::Join(links) => self.join_links(&links),
            Undo::Clear => self.network.clear_weather(number),
            Undo::Resume(host) => self.resume(host),
            Undo::Release(replica) => self.give(replica, RaftInput::HoldBack { held: false }),
            // The host goes on before the network does, or after it: what it does alone shows in between.
            Undo::JoinAndResume(links, host) => {
                if number.is_multiple_of(2) {
                    self.join_links(&links);
                    return self.resume(host);
                }
                self.resume(host);
                self.active.insert(number, Undo::Join(links));
                let alone = self.random.between(1_000, 50_000);
                self.queue.push(self.now + alone, Event::Mend { number });
            }
            Undo::CutOff(host) => {
                let links = around(&[host]);
                self.cut_links(&links);
                self.active.insert(number, Undo::ResumeThenJoin(host, links));
                self.queue.push(self.now + self.plan[number].lasts, Event::Mend { number });
            }
            Undo::ResumeThenJoin(host, links) => {
                self.resume(host);
                self.active.insert(number, Undo::Join(links));
                let alone = self.random.between(10_000, 60_000);
                self.queue.push(self.now + alone, Event::Mend { number });
            }
            Undo::JoinThenClear(links) => {
                self.join_links(&links);
                self.active.insert(number, Undo::Clear);
                self.queue.push(self.now + 6_000, Event::Mend { number });
            }
            Undo::Flap(links, left) => self.flap(number, links, left),
            Undo::ResumeStopped(host, since) => {
                self.hosts[host].clock.stood_still(self.now - since);
                self.resume(host);
            }
            Undo::Roll(left) => self.roll(number, left),
            Undo::Quicken(replica) => self.replicas[replica].slow_ms = 0,
            Undo::Repair(member) => {
                self.members[member].hardware.repair(number);
                self.inventory_changes(member);
            }
            Undo::SeeInTime(member) => self.members[member].seen_late_ms = 0,
            Undo::StartInTime(member) => self.members[member].start_late_ms = 0,
            Undo::ShowPod(member, pod) => self.show_pod(member, pod),
            Undo::EndClone => self.end_clone(),
        }
    }

    /// All faults end; whoever is down starts.
    pub(in crate::sim) fn lift_all(&mut self) {
        self.trace.line(self.now, "fault", "all end", format_args!(""));
        for (number, undo) in std::mem::take(&mut self.active) {
            match undo {
                Undo::Repair(member) => {
                    self.members[member].hardware.repair(number);
                    self.inventory_changes(member);
                }
                Undo::ShowPod(member, pod) => self.show_pod(member, pod),
                Undo::EndClone => self.end_clone(),
                Undo::Release(replica) => self.give(replica, RaftInput::HoldBack { held: false }),
                Undo::ResumeStopped(host, since) => self.hosts[host].clock.stood_still(self.now - since),
                _ => {}
            }
        }
        self.network.mend();
        (0..ALL_HOSTS).for_each(|host| self.resume(host));
        for replica in 0..REPLICAS {
            self.replicas[replica].disk.repair();
            self.replicas[replica].slow_ms = 0;
            if let Some(process) = &mut self.replicas[replica].process {
                process.dies_in_turn = None;
                process.dies_in_snapshot = None;
            } else if self.replicas[replica].care.is_none() {
                self.restart_replica_in(replica, 20);
            }
        }
        for member in 0..MEMBERS {
            if std::mem::take(&mut self.members[member].has_notice) {
                self.found(vec![drain(member, false)]);
            }
            let here = &mut self.members[member];
            here.dies_at_action = None;
            here.dies_at_record = None;
            here.stops_at_beat = None;
            (here.seen_late_ms, here.start_late_ms) = (0, 0);
            // An operator sees to it that nothing runs on the machine that the agent does not know of.
            here.pods.retain(|_, pod| !pod.is_hidden);
            if here.agent.is_none() && !here.rejoins {
                self.restart_agent_in(member, 20);
            }
        }
    }
}
