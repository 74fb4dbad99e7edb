//! A member, its backend, a network and a hub, as small as they can be, on one thread and true time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use muster_member_machine::*;
use muster_model::*;

use crate::random::Op;
use crate::rig::{capacity, desired, fenced};

const FENCE_AFTER_MS: u64 = 14_000;
/// Jobs of the world.
pub const JOBS: u64 = 3;

/// A grant as the hub sees it.
#[derive(Clone)]
struct Grant {
    job: u64,
    desired: DesiredAttempt,
    /// When the last heartbeat that renewed it was received, in true time.
    heard_ms: u64,
    /// Whether it is over for the hub.
    over: bool,
}

/// A pod as the backend runs it, with its shim's deadline on the member's clocks.
struct Process {
    start: PodStart,
    base: Option<Clock>,
    /// It ignores SIGTERM: dead only when the grace is over.
    kill_at_ms: Option<u64>,
    state: Observation,
}

pub struct World {
    true_ms: u64,
    jump_ms: i64,
    boot: u128,
    machine: Machine,
    journal: Vec<Record>,
    crash_after: Option<usize>,
    session: u64,
    open: bool,
    to_hub: VecDeque<ToHub>,
    to_member: VecDeque<ToMember>,
    hello_heard: bool,
    grants: BTreeMap<Epoch, Grant>,
    next_epoch: u64,
    done: BTreeSet<u64>,
    processes: BTreeMap<PodId, Process>,
    started: BTreeSet<PodId>,
    observed: BTreeMap<PodId, Observation>,
}

impl World {
    pub fn new() -> World {
        let mut world = World {
            true_ms: 1_000_000,
            jump_ms: 0,
            boot: 1,
            machine: Machine::new(capacity(1)),
            journal: vec![],
            crash_after: None,
            session: 0,
            open: false,
            to_hub: VecDeque::new(),
            to_member: VecDeque::new(),
            hello_heard: false,
            grants: BTreeMap::new(),
            next_epoch: 1,
            done: BTreeSet::new(),
            processes: BTreeMap::new(),
            started: BTreeSet::new(),
            observed: BTreeMap::new(),
        };
        world.adopt();
        world
    }

    fn now(&self) -> Clock {
        Clock { boot_ms: self.true_ms, real_ms: self.true_ms.saturating_add_signed(self.jump_ms) }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Pass { half_seconds, frozen } => self.pass_half_seconds(*half_seconds, *frozen),
            Op::Away { late_half_seconds } => self.go_away(*late_half_seconds),
            Op::Jump { seconds } => self.jump_ms += i64::from(*seconds) * 1000,
            Op::Exchange => self.exchange(),
            Op::ToHub { copies } => self.deliver_to_hub(*copies),
            Op::ToMember { copies } => self.deliver_to_member(*copies),
            Op::Break => self.break_session(),
            Op::Open => self.open_session(),
            Op::Grant { job, fence } => self.grant(*job, *fence),
            Op::Stop { job } => self.stop_job(*job),
            Op::Stale { pick } => self.name_stale(*pick),
            Op::Exit { pick, ok } => self.exit(*pick, *ok),
            Op::Observe => self.observe(),
            Op::Crash { after } => self.crash_after = Some(usize::from(*after)),
            Op::Reboot => self.reboot(),
        }
        self.check();
    }

    fn go_away(&mut self, late_half_seconds: u8) {
        (0..self.to_hub.len()).for_each(|_| self.deliver_to_hub(1));
        self.pass_half_seconds(late_half_seconds, false);
        (0..self.to_member.len()).for_each(|_| self.deliver_to_member(1));
        self.break_session();
        self.pass_half_seconds(32, false);
    }

    fn pass_half_seconds(&mut self, half_seconds: u8, frozen: bool) {
        for _ in 0..half_seconds {
            self.pass(500);
            if !frozen {
                self.step(Input::Tick);
            }
        }
    }

    /// True time passes for backend and hub.
    fn pass(&mut self, ms: u64) {
        self.true_ms += ms;
        self.kill_stopped();
        self.enforce_shims();
        self.lapse();
    }

    /// Every shim kills its pod before the deadline that it holds, whatever the agent does.
    fn enforce_shims(&mut self) {
        let now = self.now();
        for process in self.processes.values_mut() {
            let Some(base) = process.base else { continue };
            let kill_after_ms = FENCE_AFTER_MS - KILL_BUDGET_MS;
            if matches!(process.state, Observation::Running { .. }) && now.since(base) >= kill_after_ms {
                process.state = ended(EndReason::Fenced, now);
            }
        }
    }

    // ---- the agent's edge

    fn step(&mut self, input: Input) {
        let actions = self.machine.step(input, self.now());
        let crash = self.crash_after.take_if(|_| !actions.is_empty());
        for action in actions.into_iter().take(crash.unwrap_or(usize::MAX)) {
            self.act(action);
        }
        if crash.is_some() {
            self.restart();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Persist(records) => self.journal.extend(records),
            Action::Send { session, message } if self.open && session == self.session => {
                self.check_report(&message);
                self.to_hub.push_back(message);
            }
            Action::Reconnect { session } if session == self.session => {
                self.open = false;
                self.to_hub.clear();
                self.to_member.clear();
            }
            Action::StartPod(start) => self.start(*start),
            Action::StopPod { pod, grace, .. } => self.stop(pod, grace.0),
            Action::RenewDeadline { pod, base, .. } => self.renew(pod, base),
            Action::RemovePod { pod } => {
                let removed = self.processes.remove(&pod);
                assert!(removed.is_none_or(|p| !is_live(&p)), "removed a live pod {pod:?}");
            }
            _ => {}
        }
    }

    fn start(&mut self, start: PodStart) {
        assert!(self.started.insert(start.id), "started twice: {:?}", start.id);
        let uid = start.attempt.uid;
        let newer = |p: &&Process| p.start.attempt.uid == uid && p.start.id.epoch > start.id.epoch;
        assert_eq!(self.processes.values().find(newer).map(|p| p.start.id), None, "{:?} is older", start.id);
        let fenced = start.attempt.policy.partition == PartitionPolicy::Fence;
        let base = fenced.then(|| start.fence_base.expect("a fenced pod has a deadline"));
        // The backend would refuse by itself; the machine must not even ask.
        if let Some(base) = base {
            let elapsed_ms = self.now().since(base);
            assert!(elapsed_ms < FENCE_AFTER_MS - KILL_BUDGET_MS, "started after its deadline");
        }
        let state = Observation::Running { since: self.now().time() };
        self.processes.insert(start.id, Process { start, base, kill_at_ms: None, state });
    }

    fn renew(&mut self, pod: PodId, base: Clock) {
        if let Some(process) = self.processes.get_mut(&pod) {
            process.base = process.base.map(|held| held.max(base));
        }
    }

    fn stop(&mut self, pod: PodId, grace_ms: u64) {
        let kill_at_ms = self.true_ms + grace_ms;
        if let Some(process) = self.processes.get_mut(&pod) {
            process.kill_at_ms = Some(process.kill_at_ms.map_or(kill_at_ms, |at| at.min(kill_at_ms)));
        }
        self.kill_stopped();
    }

    fn kill_stopped(&mut self) {
        let due = |process: &Process| process.kill_at_ms.is_some_and(|at| at <= self.true_ms);
        let due: Vec<PodId> = self.processes.iter().filter(|(_, p)| due(p)).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|pod| self.kill(pod, EndReason::Stopped));
    }

    fn kill(&mut self, pod: PodId, reason: EndReason) {
        let now = self.now();
        if let Some(process) = self.processes.get_mut(&pod).filter(|process| is_live(process)) {
            process.state = ended(reason, now);
        }
    }

    fn observe(&mut self) {
        let changed = |(id, p): (&PodId, &Process)| {
            (self.observed.get(id) != Some(&p.state)).then(|| (*id, p.state.clone()))
        };
        let changed: Vec<(PodId, Observation)> = self.processes.iter().filter_map(changed).collect();
        for (pod, seen) in changed {
            self.observed.insert(pod, seen.clone());
            self.step(Input::PodChanged { pod, seen });
        }
    }

    fn exit(&mut self, pick: u8, ok: bool) {
        let live: Vec<PodId> = self.processes.iter().filter(|(_, p)| is_live(p)).map(|(id, _)| *id).collect();
        if let Some(pod) = live.get(usize::from(pick) % live.len().max(1)) {
            self.kill(*pod, if ok { EndReason::Completed } else { EndReason::Error });
        }
    }

    fn restart(&mut self) {
        self.open = false;
        self.to_hub.clear();
        self.to_member.clear();
        self.machine = Machine::recover(capacity(self.boot), self.journal.clone());
        // Every other life compacts its journal.
        if self.journal.len().is_multiple_of(2) {
            self.journal = self.machine.snapshot();
            self.machine = Machine::recover(capacity(self.boot), self.journal.clone());
        }
        self.adopt();
    }

    fn adopt(&mut self) {
        self.observed.clear();
        let pods = self.processes.iter().map(|(id, process)| (*id, process.state.clone())).collect();
        self.step(Input::Adopted { pods, absent: Absent::NeverStarted });
    }

    fn reboot(&mut self) {
        self.boot += 1;
        let live: Vec<PodId> = self.processes.iter().filter(|(_, p)| is_live(p)).map(|(id, _)| *id).collect();
        for pod in live {
            self.kill(pod, EndReason::Lost);
        }
        self.restart();
    }

    // ---- the network

    fn open_session(&mut self) {
        if !self.open {
            self.session += 1;
            self.open = true;
            self.hello_heard = false;
            self.step(Input::SessionOpened { session: self.session });
        }
    }

    fn break_session(&mut self) {
        self.to_hub.clear();
        self.to_member.clear();
        if std::mem::take(&mut self.open) {
            self.step(Input::SessionLost { session: self.session });
        }
    }

    fn exchange(&mut self) {
        while !self.to_hub.is_empty() || !self.to_member.is_empty() {
            self.deliver_to_hub(1);
            self.deliver_to_member(1);
        }
    }

    fn deliver_to_member(&mut self, copies: u8) {
        let Some(message) = self.to_member.pop_front() else { return };
        for _ in 0..copies {
            self.step(Input::FromHub { session: self.session, message: message.clone() });
        }
    }

    fn deliver_to_hub(&mut self, copies: u8) {
        let Some(message) = self.to_hub.pop_front() else { return };
        for _ in 0..copies {
            self.hub_hears(message.clone());
        }
    }

    // ---- the hub

    fn hub_hears(&mut self, message: ToHub) {
        match message {
            ToHub::Hello(hello) => {
                self.take_reports(&hello.attempts);
                self.hello_heard = true;
                self.hub_renews(0);
                self.send_full();
            }
            ToHub::Heartbeat { seq } if self.hello_heard => self.hub_renews(seq),
            ToHub::Reports { seq, reports } => {
                self.take_reports(&reports);
                self.to_member.push_back(ToMember::ReportsTaken { seq });
                self.send_full();
            }
            ToHub::Heartbeat { .. } | ToHub::Capacity(_) | ToHub::Data(_) => {}
        }
    }

    fn hub_renews(&mut self, seq: u64) {
        let mut epochs = Vec::new();
        for (epoch, grant) in self.grants.iter_mut().filter(|(_, grant)| !grant.over) {
            grant.heard_ms = self.true_ms;
            epochs.push(*epoch);
        }
        self.to_member.push_back(ToMember::Ack { seq, epochs });
    }

    fn take_reports(&mut self, reports: &[AttemptReport]) {
        for report in reports {
            let Some(grant) = self.grants.get_mut(&report.epoch).filter(|grant| !grant.over) else {
                continue;
            };
            if let ReportedState::Ended { outcome, .. } = &report.state {
                grant.over = true;
                if matches!(outcome, AttemptOutcome::Succeeded | AttemptOutcome::Failed(_)) {
                    self.done.insert(grant.job);
                }
            }
        }
    }

    fn wanted(&self) -> Vec<Arc<DesiredAttempt>> {
        self.grants.values().filter(|g| !g.over).map(|g| Arc::new(g.desired.clone())).collect()
    }

    fn send_full(&mut self) {
        if self.open && self.hello_heard {
            let full = ToMember::Full { revision: Revision(self.next_epoch), attempts: self.wanted() };
            self.to_member.push_back(full);
        }
    }

    fn grant(&mut self, job: u64, fence: bool) {
        let busy = self.grants.values().any(|grant| grant.job == job && !grant.over);
        if busy || self.done.contains(&job) {
            return;
        }
        self.next_epoch += 1;
        let epoch = self.next_epoch;
        let mut desired = desired(epoch, 2, Some(30));
        desired.uid = Uid(u128::from(job) + 1);
        desired.claims = vec![PodClaim { pod_set: 0, node: (job % 2) as u32, pods: 2 }];
        let spec = Arc::make_mut(&mut desired.spec);
        spec.completion.indexed = true;
        spec.backoff_limit = 1_000;
        let desired = if fence { fenced(desired, FENCE_AFTER_MS) } else { desired };
        // Under `Fence` the hub counts from the grant; the member from an earlier heartbeat.
        self.grants.insert(Epoch(epoch), Grant { job, desired, heard_ms: self.true_ms, over: false });
        if self.open && self.hello_heard {
            let changed = vec![Arc::new(self.grants[&Epoch(epoch)].desired.clone())];
            let delta = ToMember::Delta { revision: Revision(epoch), changed, gone: vec![] };
            self.to_member.push_back(delta);
        }
    }

    fn stop_job(&mut self, job: u64) {
        for grant in self.grants.values_mut().filter(|grant| grant.job == job && !grant.over) {
            grant.desired.stop = Some(StopReason::Evicted);
        }
        self.send_full();
    }

    fn name_stale(&mut self, pick: u8) {
        let over: Vec<&Grant> = self.grants.values().filter(|grant| grant.over).collect();
        let Some(grant) = over.get(usize::from(pick) % over.len().max(1)) else { return };
        let changed = vec![Arc::new(grant.desired.clone())];
        self.to_member.push_back(ToMember::Delta { revision: Revision(0), changed, gone: vec![] });
    }

    /// The hub gives up what was not renewed in time: from then on the next attempt may run anywhere.
    fn lapse(&mut self) {
        for (epoch, grant) in &mut self.grants {
            let fenced = grant.desired.policy.partition == PartitionPolicy::Fence && !grant.over;
            if fenced && self.true_ms >= grant.heard_ms + FENCE_AFTER_MS {
                grant.over = true;
                let alive = self.processes.iter().find(|(id, p)| id.epoch == *epoch && is_live(p));
                assert!(alive.is_none(), "alive at its fence deadline: {:?}", alive.map(|(id, _)| id));
            }
        }
    }

    // ---- what must hold

    /// No end is reported while something is alive.
    fn check_report(&self, message: &ToHub) {
        let reports = match message {
            ToHub::Hello(hello) => &hello.attempts,
            ToHub::Reports { reports, .. } => reports,
            ToHub::Heartbeat { .. } | ToHub::Capacity(_) | ToHub::Data(_) => return,
        };
        for report in reports.iter().filter(|r| matches!(r.state, ReportedState::Ended { .. })) {
            let alive = self.processes.iter().find(|(id, p)| id.epoch == report.epoch && is_live(p));
            assert!(alive.is_none(), "reported as ended while {:?} is alive", alive.map(|(id, _)| id));
        }
    }

    fn check(&self) {
        let mut live = BTreeMap::<(Uid, Option<u32>), PodId>::new();
        let mut gpus = BTreeSet::new();
        for (id, process) in self.processes.iter().filter(|(_, process)| is_live(process)) {
            let other = live.insert((process.start.attempt.uid, process.start.index), *id);
            assert_eq!(other, None, "{id:?} beside another pod of the same index");
            for gpu in &process.start.gpus {
                assert!(gpus.insert((process.start.node, *gpu)), "two pods share GPU {gpu}");
            }
        }
        for (uid, epochs) in self.live_epochs() {
            assert_eq!(epochs.len(), 1, "{uid} is alive under {epochs:?}");
        }
    }

    fn live_epochs(&self) -> BTreeMap<Uid, BTreeSet<Epoch>> {
        let mut epochs = BTreeMap::<Uid, BTreeSet<Epoch>>::new();
        for (id, process) in self.processes.iter().filter(|(_, process)| is_live(process)) {
            epochs.entry(process.start.attempt.uid).or_default().insert(id.epoch);
        }
        epochs
    }

    /// With everything healed every job is done in time.
    pub fn heal(&mut self) {
        self.crash_after = None;
        for _ in 0..2_000 {
            self.open_session();
            (0..JOBS).for_each(|job| self.grant(job, false));
            self.exchange();
            self.exit(0, true);
            self.observe();
            self.pass(500);
            self.step(Input::Tick);
            self.check();
            if self.done.len() as u64 == JOBS {
                return;
            }
        }
        panic!("only {:?} are done", self.done);
    }
}

fn is_live(process: &Process) -> bool {
    matches!(process.state, Observation::Running { .. })
}

fn ended(reason: EndReason, now: Clock) -> Observation {
    let exit_code = Some(i32::from(reason != EndReason::Completed));
    Observation::Ended(PodEnd {
        started: Some(TimeMs(1)),
        finished: now.time(),
        exit_code,
        exits: vec![],
        signal: None,
        reason,
        message: "".into(),
    })
}
