//! A member: the real machine of its agent, its journal, its clocks, and the pods that its shims hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_member_machine::{
    Absent, Action, EndReason, Input as AgentInput, Machine, Observation, PodId, PodStart, Record,
};
use muster_model::{
    CapacityChange, DesiredAttempt, GpuModel, GpuSource, Incarnation, MemberName, NodeShape, PartitionPolicy,
    Resources, Revision, ToHub, ToMember,
};

use super::event::{Event, Life, MEMBERS, REPLICAS, member_host};
use super::pod::{Nature, Pod, PodLife};
use super::random::Random;
use super::world::World;
use crate::invariants::{LivePod, check_one_live_attempt};

/// For the trace, and their names in the federation.
pub const MEMBER_NAMES: [&str; MEMBERS] = ["member-a", "member-b"];
/// Between two looks of an agent at its clock.
const TICK_MS: u64 = 250;
/// A shim is late by so much at most; the kill budget covers it.
const SHIM_LATE_MS: u64 = 400;

/// One member's host.
pub struct Member {
    pub(super) name: MemberName,
    pub(super) life: Life,
    pub(super) boot: u128,
    pub(super) agent: Option<Machine>,
    journal: Vec<Record>,
    pub(super) stream: Option<u64>,
    pub(super) hint: Option<usize>,
    in_turn: usize,
    pub(super) pods: BTreeMap<PodId, Pod>,
    /// The agent dies at this one of the next actions it takes.
    pub(super) dies_at_action: Option<u64>,
    /// The fault that waits for the agent's next heartbeat.
    pub(super) stops_at_beat: Option<usize>,
    /// Whether an operator gave his word that it is gone.
    pub(super) is_declared_lost: bool,
    /// Orders heard, for a fault that says them again.
    orders: Vec<Arc<DesiredAttempt>>,
}

impl Member {
    pub(super) fn new(index: usize) -> Member {
        Member {
            name: MemberName::new(MEMBER_NAMES[index]),
            life: 0,
            boot: 1,
            agent: None,
            journal: Vec::new(),
            stream: None,
            hint: None,
            in_turn: index,
            pods: BTreeMap::new(),
            dies_at_action: None,
            stops_at_beat: None,
            is_declared_lost: false,
            orders: Vec::new(),
        }
    }

    /// Whom to dial.
    pub(super) fn next_replica(&mut self, random: &mut Random) -> usize {
        self.in_turn = (self.in_turn + 1) % REPLICAS;
        self.hint.take().filter(|_| random.chance(900)).unwrap_or(self.in_turn)
    }

    fn incarnation(&self, index: usize) -> Incarnation {
        Incarnation { folder: index as u128 + 1, boot: self.boot }
    }

    fn capacity(&self, index: usize) -> CapacityChange {
        let allocatable = Resources { gpu_milli: 8_000, cpu_milli: 96_000, memory_bytes: 1 << 40 };
        CapacityChange {
            member: self.name.clone(),
            incarnation: self.incarnation(index),
            shapes: vec![NodeShape { gpu_model: Some(GpuModel::new("A100")), allocatable, nodes: 3 }],
            agent_version: "0.1.0".into(),
            gpu_source: GpuSource::Simulated,
            can_fence: true,
        }
    }
}

impl World {
    pub(super) fn start_agent(&mut self, member: usize) {
        let here = &mut self.members[member];
        here.life += 1;
        here.dies_at_action = None;
        let capacity = here.capacity(member);
        let mut machine = Machine::recover(capacity.clone(), here.journal.iter().cloned());
        // Every other life compacts its journal.
        if here.life.is_multiple_of(2) {
            here.journal = machine.snapshot();
            machine = Machine::recover(capacity, here.journal.iter().cloned());
        }
        here.agent = Some(machine);
        let life = here.life;
        self.trace.line(self.now, MEMBER_NAMES[member], "starts", format_args!("life {life}"));
        let (look, tick) = (self.random.between(1, 300), self.random.below(TICK_MS));
        self.queue.push(self.now + look, Event::Adopt { member, life });
        self.queue.push(self.now + look + tick, Event::AgentTick { member, life });
        self.redial(member);
    }

    /// The agent is gone. Its pods run on under their shims.
    pub(super) fn stop_agent(&mut self, member: usize) {
        self.members[member].life += 1;
        if self.members[member].agent.take().is_none() {
            return;
        }
        self.trace.line(self.now, MEMBER_NAMES[member], "dies", format_args!("agent"));
        if let Some(stream) = self.members[member].stream {
            self.close_at_agent(stream);
        }
    }

    pub(super) fn restart_agent_in(&mut self, member: usize, ms: u64) {
        let life = self.members[member].life;
        self.queue.push(self.now + ms, Event::StartAgent { member, life });
    }

    /// The machine goes down with everything on it.
    pub(super) fn power_lost(&mut self, member: usize) {
        self.stop_agent(member);
        let clock = &self.hosts[member_host(member)].clock;
        for pod in self.members[member].pods.values_mut() {
            pod.power_lost(self.now, clock);
        }
        self.members[member].boot += 1;
        let now = self.now;
        self.hosts[member_host(member)].clock.reboot(now);
    }

    pub(super) fn redial(&mut self, member: usize) {
        let life = self.members[member].life;
        let wait = self.random.between(50, 600);
        self.queue.push(self.now + wait, Event::Redial { member, life });
    }

    /// The agent's first look at its backend.
    pub(super) fn adopt(&mut self, member: usize) {
        let clock = &self.hosts[member_host(member)].clock;
        let pods = self.members[member].pods.iter().map(|(id, pod)| (*id, pod.observation(clock))).collect();
        self.agent_step(member, AgentInput::Adopted { pods, absent: Absent::NeverStarted });
    }

    pub(super) fn agent_tick(&mut self, member: usize, life: Life) {
        let next = self.hosts[member_host(member)].clock.true_ms_of(TICK_MS).max(1);
        self.queue.push(self.now + next, Event::AgentTick { member, life });
        self.agent_step(member, AgentInput::Tick);
    }

    /// The machine takes an input; its actions are done in order, up to the one at which the agent dies.
    pub(super) fn agent_step(&mut self, member: usize, input: AgentInput) {
        let now = self.hosts[member_host(member)].clock.read(self.now);
        let here = &mut self.members[member];
        let Some(agent) = &mut here.agent else { return };
        let actions = agent.step(input, now);
        let dies_at = match actions.is_empty() {
            true => None,
            false => here.dies_at_action.take().map(|pick| pick as usize % (actions.len() + 1)),
        };
        for (position, action) in actions.into_iter().enumerate() {
            if dies_at == Some(position) {
                self.tear_journal(member, action);
                break;
            }
            self.act_for_agent(member, action);
        }
        if dies_at.is_some() {
            self.stop_agent(member);
            let down = self.random.between(20, 4_000);
            self.restart_agent_in(member, down);
        }
    }

    /// Of records that were being written, the first ones may have reached the disk.
    fn tear_journal(&mut self, member: usize, action: Action) {
        if let Action::Persist(records) = action {
            let kept = self.random.index(records.len() + 1);
            self.members[member].journal.extend(records.into_iter().take(kept));
        }
    }

    fn act_for_agent(&mut self, member: usize, action: Action) {
        match action {
            Action::Persist(records) => {
                records.iter().for_each(|record| self.checks.fences.recorded(record));
                self.members[member].journal.extend(records);
            }
            Action::Send { session, message } => {
                let is_beat = matches!(message, ToHub::Heartbeat { .. });
                if self.members[member].stream == Some(session) {
                    self.send_up(session, message);
                }
                if is_beat && let Some(number) = self.members[member].stops_at_beat.take() {
                    self.stand_still_at_beat(number, member);
                }
            }
            Action::Reconnect { session } => {
                self.close_at_agent(session);
                self.redial(member);
            }
            Action::StartPod(start) => self.start_pod(member, *start),
            Action::StopPod { pod, grace, reason } => {
                let now = self.now;
                if let Some(pod) = self.members[member].pods.get_mut(&pod) {
                    pod.stop(now, grace.0, reason);
                }
                self.schedule_shim(member, pod);
            }
            Action::RenewDeadline { pod, base, .. } => {
                let (now, clock) = (self.now, &self.hosts[member_host(member)].clock);
                if let Some(pod) = self.members[member].pods.get_mut(&pod) {
                    pod.renew(base, now, clock);
                }
                self.schedule_shim(member, pod);
            }
            Action::RemovePod { pod } => self.remove_pod(member, pod),
            Action::Warn(note) => {
                let (who, now) = (MEMBER_NAMES[member], self.now);
                self.trace.line(now, who, "warns", format_args!("{} {}", note.job.name, note.reason));
            }
            Action::ShowPod { .. } | Action::HidePod { .. } => {}
        }
    }

    fn start_pod(&mut self, member: usize, start: PodStart) {
        let (id, name) = (start.id, start.name.clone());
        let serial = u64::from(id.serial);
        let nature = self.nature(serial < 2);
        let pod = Pod::new(start, self.now, nature);
        self.trace.line(
            self.now,
            MEMBER_NAMES[member],
            "starts pod",
            format_args!("{name} {:x}/{serial} for {} ms", id.epoch.0, nature.runs_ms),
        );
        self.checks.fences.asked_for(member, id.epoch, &mut self.checks.found);
        let now = self.hosts[member_host(member)].clock.read(self.now);
        if pod.is_too_late(now) {
            self.checks
                .fail("S5", format!("{} is asked to start {name} after its deadline", MEMBER_NAMES[member]));
        }
        if self.members[member].pods.insert(id, pod).is_some() {
            self.checks.fail("S4", format!("{} starts {name} twice", MEMBER_NAMES[member]));
        }
        self.schedule_shim(member, id);
    }

    /// How a new pod behaves. One that fails does so soon; a retry does not fail for ever.
    fn nature(&mut self, may_fail: bool) -> Nature {
        let fails_permille = if self.scenario.is_about_fences() { 400 } else { 100 };
        let fails = may_fail && self.random.chance(fails_permille);
        let runs_ms = match self.random.below(100) {
            _ if fails => self.random.between(500, 6_000),
            0..15 => self.random.between(40_000, 100_000),
            _ => self.random.between(2_000, 25_000),
        };
        let follows_term_ms = self.random.chance(700).then(|| self.random.between(10, 900));
        Nature { launch_ms: self.random.between(5, 60), runs_ms, fails, follows_term_ms }
    }

    fn remove_pod(&mut self, member: usize, id: PodId) {
        let removed = self.members[member].pods.remove(&id);
        if removed.is_some_and(|pod| pod.runs()) {
            let seen =
                format!("{} removes pod {:x}/{} while it runs", MEMBER_NAMES[member], id.epoch.0, id.serial);
            self.checks.fail("S4", seen);
        }
    }

    /// Lets the shim look at the clock when something is due.
    fn schedule_shim(&mut self, member: usize, id: PodId) {
        let now = self.now;
        let (boot, clock) = (self.members[member].boot, &self.hosts[member_host(member)].clock);
        let Some(pod) = self.members[member].pods.get_mut(&id) else { return };
        let Some(due) = pod.next_due(now, clock) else { return };
        if pod.next_look > now && pod.next_look <= due {
            return;
        }
        pod.next_look = due;
        let late = self.random.below(SHIM_LATE_MS);
        self.queue.push(due + late, Event::Shim { member, boot, pod: id });
    }

    /// All shims look soon: the clock jumped, or the host goes on.
    pub(super) fn wake_shims(&mut self, member: usize, within_ms: u64) {
        let boot = self.members[member].boot;
        let live: Vec<PodId> = self.members[member]
            .pods
            .iter()
            .filter(|(_, pod)| !matches!(pod.life, PodLife::Ended(_)))
            .map(|(id, _)| *id)
            .collect();
        for pod in live {
            let late = self.random.below(within_ms + 1);
            self.queue.push(self.now + late, Event::Shim { member, boot, pod });
        }
    }

    pub(super) fn shim_looks(&mut self, member: usize, id: PodId) {
        let (now, clock) = (self.now, &self.hosts[member_host(member)].clock);
        let Some(pod) = self.members[member].pods.get_mut(&id) else { return };
        if matches!(pod.life, PodLife::Ended(_)) {
            return;
        }
        let was_unchecked = pod.is_unchecked;
        let changed = pod.look(now, clock);
        let began = pod.runs() && (changed || was_unchecked);
        pod.next_look = 0;
        if changed {
            let (seen, ended) = (Box::new(pod.observation(clock)), ended_as(pod));
            let what = if ended.is_some() { "pod ends" } else { "pod runs" };
            let rest = format_args!("{} {:x}/{} {ended:?}", pod.start.name, id.epoch.0, id.serial);
            self.trace.line(now, MEMBER_NAMES[member], what, rest);
            let (life, late) = (self.members[member].life, self.random.between(1, 100));
            self.queue.push(now + late, Event::Observe { member, life, pod: id, seen });
        }
        if began {
            self.check_started(member, id, changed);
        }
        self.schedule_shim(member, id);
    }

    fn check_started(&mut self, member: usize, id: PodId, is_new: bool) {
        let live = self.live_pods();
        let Some(pod) = live.iter().find(|pod| pod.member == member && pod.id == id) else { return };
        check_one_live_attempt(pod, &live, &mut self.checks.found);
        if is_new {
            self.checks.fences.started(pod, &mut self.checks.found);
            self.checks.epochs.started(pod, &mut self.checks.found);
        }
    }

    pub(super) fn observed(&mut self, member: usize, pod: PodId, seen: Observation) {
        self.agent_step(member, AgentInput::PodChanged { pod, seen });
    }

    /// Pods whose processes run by true time: not those of a suspended host, nor those whose shim has not looked at the
    /// clock since it went on.
    pub(super) fn live_pods(&self) -> Vec<LivePod> {
        let mut live = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            if self.hosts[member_host(index)].is_suspended() {
                continue;
            }
            let running = member.pods.iter().filter(|(_, pod)| pod.runs() && !pod.is_unchecked);
            live.extend(running.map(|(id, pod)| LivePod {
                member: index,
                id: *id,
                uid: pod.start.attempt.uid,
                policy: pod.start.attempt.policy.partition,
            }));
        }
        live
    }

    /// Who the members are now.
    pub(super) fn incarnations(&self) -> BTreeMap<MemberName, Incarnation> {
        let named = |(index, member): (usize, &Member)| (member.name.clone(), member.incarnation(index));
        self.members.iter().enumerate().map(named).collect()
    }

    /// Remembers what a member was told to run.
    pub(super) fn note_orders(&mut self, member: usize, message: &ToMember) {
        let orders = match message {
            ToMember::Full { attempts, .. } => attempts,
            ToMember::Delta { changed, .. } => changed,
            _ => return,
        };
        self.members[member].orders.extend(orders.iter().cloned());
    }

    /// Tells a member once more to run something that is over, as a hub that lost its memory would.
    pub(super) fn repeat_old_order(&mut self, member: usize, pick: u64) -> bool {
        let Some(session) = self.members[member].stream else { return false };
        let is_old = |order: &&Arc<DesiredAttempt>| {
            self.checks.fences.is_over(order.epoch) && order.policy.partition != PartitionPolicy::DuplicateOk
        };
        let old: Vec<_> = self.members[member].orders.iter().filter(is_old).cloned().collect();
        if old.is_empty() {
            return false;
        }
        let changed = vec![Arc::clone(&old[pick as usize % old.len()])];
        let message = ToMember::Delta { revision: Revision(0), changed, gone: Vec::new() };
        self.agent_step(member, AgentInput::FromHub { session, message });
        true
    }
}

fn ended_as(pod: &Pod) -> Option<EndReason> {
    match &pod.life {
        PodLife::Ended(end) => Some(end.reason),
        PodLife::Launching | PodLife::Running { .. } => None,
    }
}
