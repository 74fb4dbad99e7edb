//! How faults end.

use muster_consensus::Input as RaftInput;

use super::network::around;
use crate::sim::event::{Event, HOSTS, MEMBERS, REPLICAS};
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
    /// A link that goes on and off: which, and how often still.
    Flap(usize, usize, u32),
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
            Undo::Flap(a, b, left) => self.flap(number, a, b, left),
        }
    }

    /// All faults end; whoever is down starts.
    pub(in crate::sim) fn lift_all(&mut self) {
        self.trace.line(self.now, "fault", "all end", format_args!(""));
        for (_, undo) in std::mem::take(&mut self.active) {
            if let Undo::Release(replica) = undo {
                self.give(replica, RaftInput::HoldBack { held: false });
            }
        }
        self.network.mend();
        (0..HOSTS).for_each(|host| self.resume(host));
        for replica in 0..REPLICAS {
            self.replicas[replica].disk.repair();
            if let Some(process) = &mut self.replicas[replica].process {
                process.dies_in_turn = None;
            } else {
                self.restart_replica_in(replica, 20);
            }
        }
        for member in 0..MEMBERS {
            self.members[member].dies_at_action = None;
            self.members[member].stops_at_beat = None;
            if self.members[member].agent.is_none() {
                self.restart_agent_in(member, 20);
            }
        }
    }
}
