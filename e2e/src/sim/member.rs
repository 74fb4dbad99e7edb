//! A member: the real machine of its agent, its journal, its clocks, and the pods that its shims hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_member_machine::{Absent, Action, Input as AgentInput, Machine, PodId, Record, capacity_without};
use muster_model::{
    CapacityChange, DesiredAttempt, GpuSource, Incarnation, MemberName, PartitionPolicy, Revision, TimeMs,
    ToHub, ToMember,
};

use super::clock::EPOCH_MS;
use super::coverage::agent_input_name;
use super::event::{Event, Life, MEMBERS, REPLICAS, SPARE, member_host};
use super::hardware::Hardware;
use super::pod::Pod;
use super::random::Random;
use super::world::World;

/// For the trace, and their names in the federation.
pub const MEMBER_NAMES: [&str; MEMBERS + 1] = ["member-a", "member-b", "clone"];
/// How long certificates are good.
pub const CERTIFICATE_MS: u64 = 48 * 3_600_000;
/// Between two looks of an agent at its clock.
const TICK_MS: u64 = 250;

/// One member's host.
pub struct Member {
    pub(super) name: MemberName,
    pub(super) life: Life,
    pub(super) boot: u128,
    /// The id of its data folder.
    folder: u128,
    pub(super) certificate: Certificate,
    /// It waits for an operator to let it join again.
    pub(super) rejoins: bool,
    pub(super) hardware: Hardware,
    pub(super) agent: Option<Machine>,
    journal: Vec<Record>,
    pub(super) stream: Option<u64>,
    pub(super) hint: Option<usize>,
    in_turn: usize,
    pub(super) pods: BTreeMap<PodId, Pod>,
    /// What happens to pods is seen so late, at most.
    pub(super) seen_late_ms: u64,
    /// Pods start so late, at most.
    pub(super) start_late_ms: u64,
    /// The agent dies at this one of the next actions it takes.
    pub(super) dies_at_action: Option<u64>,
    /// The fault that waits for the agent's next record.
    pub(super) dies_at_record: Option<usize>,
    /// It goes down in good order: by then, and for how long.
    pub(super) leaves: Option<(u64, u64)>,
    /// Its provider said that it goes.
    pub(super) has_notice: bool,
    /// The fault that waits for the agent's next heartbeat.
    pub(super) stops_at_beat: Option<usize>,
    /// Whether an operator gave his word that it is gone.
    pub(super) is_declared_lost: bool,
    /// Orders heard, for a fault that says them again.
    orders: Vec<Arc<DesiredAttempt>>,
}

/// What a member shows to the hub.
#[derive(Clone, Copy, Debug)]
pub struct Certificate {
    /// When it was issued.
    pub(super) from: TimeMs,
    /// When it ends.
    pub(super) until: TimeMs,
}

impl Certificate {
    pub(super) fn issued(from: TimeMs) -> Certificate {
        Certificate { from, until: TimeMs(from.0 + CERTIFICATE_MS) }
    }
}

impl Member {
    pub(super) fn new(index: usize) -> Member {
        Member {
            name: MemberName::new(MEMBER_NAMES[index]),
            life: 0,
            boot: 1,
            folder: index as u128 + 1,
            certificate: Certificate::issued(TimeMs(EPOCH_MS)),
            rejoins: false,
            hardware: Hardware::default(),
            agent: None,
            journal: Vec::new(),
            stream: None,
            hint: None,
            in_turn: index,
            pods: BTreeMap::new(),
            seen_late_ms: 0,
            start_late_ms: 0,
            dies_at_action: None,
            dies_at_record: None,
            leaves: None,
            has_notice: false,
            stops_at_beat: None,
            is_declared_lost: false,
            orders: Vec::new(),
        }
    }

    /// An agent of the same folder on another machine, where nothing runs.
    pub(super) fn copy_of(original: &Member, life: Life, boot: u128) -> Member {
        Member {
            name: original.name.clone(),
            life: life + 1,
            boot,
            folder: original.folder,
            certificate: original.certificate,
            journal: original.journal.clone(),
            ..Member::new(SPARE)
        }
    }

    /// The folder is gone, and with it all that the member knew. Its pods run on.
    pub(super) fn wipe(&mut self, folder: u128) {
        self.folder = folder;
        self.journal.clear();
        self.orders.clear();
        self.pods.values_mut().for_each(|pod| pod.is_hidden = true);
    }

    /// Whom to dial.
    pub(super) fn next_replica(&mut self, random: &mut Random) -> usize {
        self.in_turn = (self.in_turn + 1) % REPLICAS;
        self.hint.take().filter(|_| random.chance(900)).unwrap_or(self.in_turn)
    }

    fn incarnation(&self) -> Incarnation {
        Incarnation { folder: self.folder, boot: self.boot }
    }

    /// What the agent finds at its start: that GPUs of it fail it learns a little later.
    fn whole_capacity(&self) -> CapacityChange {
        CapacityChange {
            member: self.name.clone(),
            incarnation: self.incarnation(),
            shapes: self.hardware.shapes(),
            agent_version: "0.1.0".into(),
            gpu_source: GpuSource::Simulated,
            can_fence: true,
        }
    }

    fn capacity(&self) -> CapacityChange {
        capacity_without(&self.whole_capacity(), &self.hardware.failed_gpus())
    }
}

impl World {
    pub(super) fn start_agent(&mut self, member: usize) {
        let here = &mut self.members[member];
        here.life += 1;
        (here.dies_at_action, here.leaves) = (None, None);
        let capacity = here.whole_capacity();
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
        self.queue.push(self.now + look, Event::Inventory { member });
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
        let found = self.members[member].pods.iter().filter(|(_, pod)| !pod.is_hidden);
        let pods = found.map(|(id, pod)| (*id, pod.observation(clock))).collect();
        self.agent_step(member, AgentInput::Adopted { pods, absent: Absent::NeverStarted });
    }

    pub(super) fn agent_tick(&mut self, member: usize, life: Life) {
        let next = self.hosts[member_host(member)].clock.true_ms_of(TICK_MS).max(1);
        self.queue.push(self.now + next, Event::AgentTick { member, life });
        self.agent_step(member, AgentInput::Tick);
        if let Some((by, down_ms)) = self.members[member].leaves {
            let settled = self.members[member].agent.as_ref().is_some_and(Machine::is_settled);
            if settled || self.now >= by {
                self.stop_agent(member);
                self.restart_agent_in(member, down_ms);
            }
        }
    }

    /// The agent reads what its machines have.
    pub(super) fn read_inventory(&mut self, member: usize) {
        let (gpus, capacity) = (self.members[member].hardware.failed_gpus(), self.members[member].capacity());
        self.agent_step(member, AgentInput::GpusFailed { gpus });
        self.agent_step(member, AgentInput::CapacityChanged(capacity));
    }

    /// The machine takes an input; its actions are done in order, up to the one at which the agent dies.
    pub(super) fn agent_step(&mut self, member: usize, input: AgentInput) {
        let now = self.hosts[member_host(member)].clock.read(self.now);
        let here = &mut self.members[member];
        let Some(agent) = &mut here.agent else { return };
        let heard = agent_input_name(&input);
        let actions = agent.step(input, now);
        self.counts.coverage.agent(heard, &actions);
        let dies_at = match actions.is_empty() {
            true => None,
            false => here.dies_at_action.take().map(|pick| pick as usize % (actions.len() + 1)),
        };
        for (position, action) in actions.into_iter().enumerate() {
            if dies_at == Some(position) {
                self.tear_journal(member, action);
                break;
            }
            if matches!(action, Action::Persist(_)) && self.journal_is_full(member) {
                return;
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
                // What a clone writes binds nobody else.
                if member != SPARE {
                    records.iter().for_each(|record| self.checks.fences.recorded(record));
                }
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

    /// Who the members are now.
    pub(super) fn incarnations(&self) -> BTreeMap<MemberName, Incarnation> {
        let named = |member: &Member| (member.name.clone(), member.incarnation());
        self.members[..MEMBERS].iter().map(named).collect()
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
