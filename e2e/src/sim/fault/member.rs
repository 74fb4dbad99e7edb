//! Faults of members: agents that die, machines that restart or are gone, orders of the past.

use muster_member_machine::Input as AgentInput;

use super::Undo;
use super::network::around;
use super::target::Target;
use crate::sim::client::FOUNDER;
use crate::sim::event::{Event, Life, member_host};
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::workload::declare_lost;
use crate::sim::world::World;

/// Between a machine's end and an operator's word, and between that and its restart.
const OPERATOR_WAITS_MS: u64 = 15_000;
/// An agent that goes down waits so long at most for the end of what runs, and for the hub to hear of it.
const LEAVES_AFTER_MS: u64 = 9_000;

impl World {
    pub(super) fn hurt_member(&mut self, fault: &Fault, mut target: Target) -> Option<Undo> {
        use FaultKind::*;
        let member = target.member;
        let host = member_host(member);
        match fault.kind {
            AgentKilled => self.kill_agent(member, fault.lasts),
            AgentDiesInStep => {
                self.members[member].agent.as_ref()?;
                self.members[member].dies_at_action = Some(target.random.bits());
                Some(Undo::Nothing)
            }
            AgentPaused => self.pause(host, false, fault.pick),
            MemberSuspended => self.pause(host, true, fault.pick),
            SuspendedAndCut => self.pause_and_cut(host, true, fault.pick),
            PausedAndCut => self.pause_and_cut(host, false, fault.pick),
            PausedAtHeartbeat => {
                self.members[member].agent.as_ref()?;
                self.members[member].stops_at_beat = Some(target.number);
                Some(Undo::Nothing)
            }
            MemberRestarted => self.restart_member(member, fault.lasts),
            MemberLost => self.lose_member(member),
            JournalFull => {
                // Counted when it happens.
                self.members[member].agent.as_ref()?;
                self.members[member].dies_at_record = Some(target.number);
                None
            }
            AgentShutDown => self.shut_agent_down(member, fault.lasts),
            OldOrder => self.repeat_old_order(member, target.random.bits()).then_some(Undo::Nothing),
            _ => None,
        }
    }

    fn pause_and_cut(&mut self, host: usize, whole: bool, order: u64) -> Option<Undo> {
        self.pause(host, whole, order)?;
        let links = around(&[host]);
        self.cut_links(&links);
        Some(Undo::JoinAndResume(links, host))
    }

    pub(super) fn kill_agent(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.stop_agent(member);
        self.restart_agent_in(member, down_ms);
        Some(Undo::Nothing)
    }

    pub(super) fn restart_member(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.power_lost(member);
        self.restart_agent_in(member, down_ms.max(1_000));
        Some(Undo::Nothing)
    }

    /// It ends what runs, as far as that goes in time, then leaves and comes back.
    fn shut_agent_down(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.members[member].leaves = Some((self.now + LEAVES_AFTER_MS, down_ms));
        self.agent_step(member, AgentInput::Shutdown { grace_cap_ms: 5_000 });
        Some(Undo::Nothing)
    }

    /// The disk had no room for a record: that is the end of the agent.
    pub(in crate::sim) fn journal_is_full(&mut self, member: usize) -> bool {
        let Some(number) = self.members[member].dies_at_record.take() else { return false };
        self.fired(number);
        let down = self.plan[number].lasts.min(4_000);
        self.stop_agent(member);
        self.restart_agent_in(member, down);
        true
    }

    /// The machine stays down until the hub took the operator's word. He waits until the hub has noticed, so that nothing
    /// is granted to what is gone.
    pub(super) fn lose_member(&mut self, member: usize) -> Option<Undo> {
        if self.members[member].agent.is_none() || self.members[member].rejoins {
            return None;
        }
        self.power_lost(member);
        self.members[member].is_declared_lost = false;
        let life = self.members[member].life;
        self.queue.push(self.now + OPERATOR_WAITS_MS, Event::DeclareLost { member, life });
        Some(Undo::Nothing)
    }

    /// The operator declares lost what ran on a machine that is down; it starts a while later.
    pub(in crate::sim) fn operator_comes(&mut self, member: usize, life: Life) {
        if !std::mem::replace(&mut self.members[member].is_declared_lost, true) {
            self.found(vec![declare_lost(member)]);
        }
        if self.clients[FOUNDER].is_idle() {
            return self.restart_agent_in(member, OPERATOR_WAITS_MS);
        }
        self.queue.push(self.now + 1_000, Event::DeclareLost { member, life });
    }
}
