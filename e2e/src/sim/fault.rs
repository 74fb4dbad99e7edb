//! How each fault strikes and ends.

use muster_consensus::Input as RaftInput;
use muster_consensus::log_store::DiskFault;

use super::client::FOUNDER;
use super::event::{Event, HOSTS, Life, MEMBERS, Part, REPLICAS, member_host};
use super::network::Weather;
use super::random::Random;
use super::schedule::{Fault, FaultKind};
use super::workload::declare_lost;
use super::world::{HOST_NAMES, Pause, World};

/// Between a machine's end and an operator's word, and between that and its restart.
const OPERATOR_WAITS_MS: u64 = 15_000;

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
    /// A planned fault begins, if it can.
    pub(super) fn strike(&mut self, number: usize) {
        let fault = self.plan[number].clone();
        let undo = self.take_effect(number, &fault);
        let Some(undo) = undo else { return };
        self.counts.struck(fault.kind);
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

    fn take_effect(&mut self, number: usize, fault: &Fault) -> Option<Undo> {
        let mut random = Random::new(fault.pick, 2);
        let replica = random.index(REPLICAS);
        let member = random.index(MEMBERS);
        let leader = self.leader();
        use FaultKind::*;
        match fault.kind {
            ReplicaKilled => self.kill_replica(replica, false, fault.lasts),
            ReplicaPower => self.kill_replica(replica, true, fault.lasts),
            LeaderKilled => self.kill_replica(leader?, random.chance(500), fault.lasts),
            AllPower => self.kill_all(fault.lasts),
            ReplicaDiesInTurn => {
                self.replicas[replica].process.as_mut()?.dies_in_turn = Some(random.bits() >> 1);
                Some(Undo::Nothing)
            }
            DiskFull => self.break_disk(replica, DiskFault::Full),
            FsyncFails => self.break_disk(replica, DiskFault::FailedSync),
            Handover => {
                self.tell_consensus(leader?, RaftInput::TransferLeadership { to: None }, Undo::Nothing)
            }
            HeldBack => {
                self.tell_consensus(replica, RaftInput::HoldBack { held: true }, Undo::Release(replica))
            }
            ReplicaPaused => self.pause(replica, false, fault.pick),
            LeaderPaused => self.pause(leader?, false, fault.pick),
            AgentPaused => self.pause(member_host(member), false, fault.pick),
            MemberSuspended => self.pause(member_host(member), true, fault.pick),
            Loss | Delay | Doubling => Some(self.bring_weather(number, fault.kind, &mut random)),
            StreamReset => self.reset_streams(member).then_some(Undo::Nothing),
            AgentKilled => self.kill_agent(member, fault.lasts),
            AgentDiesInStep => {
                self.members[member].agent.as_ref()?;
                self.members[member].dies_at_action = Some(random.bits());
                Some(Undo::Nothing)
            }
            MemberRestarted => self.restart_member(member, fault.lasts),
            MemberLost => self.lose_member(member),
            ClockAhead => self.jump(member_host(member), random.between(500, 40_000) as i64),
            ClockBack => self.jump(member_host(member), -(random.between(500, 40_000) as i64)),
            HubClockJumps => self.jump(replica, random.between(0, 8_000) as i64 - 4_000),
            PausedAtHeartbeat => {
                self.members[member].agent.as_ref()?;
                self.members[member].stops_at_beat = Some(number);
                Some(Undo::Nothing)
            }
            LeaderPausedMemberHeld => self.hold_member_at_paused_leader(leader?, member, fault.pick),
            CutToDeadline => {
                let links = around(&[member_host(member)]);
                self.cut_links(&links);
                self.network.set_weather(number, Weather { late_ms: 1_200, ..Weather::default() });
                Some(Undo::JoinThenClear(links))
            }
            OldOrder => self.repeat_old_order(member, random.bits()).then_some(Undo::Nothing),
            _ => self.cut(fault, &mut random, replica, member),
        }
    }

    fn cut(&mut self, fault: &Fault, random: &mut Random, replica: usize, member: usize) -> Option<Undo> {
        use FaultKind::*;
        let host = member_host(member);
        let hub = 0..REPLICAS;
        let links = match fault.kind {
            ReplicaCut => around(&[replica]),
            LeaderCut => around(&[self.leader()?]),
            LeaderAndMemberCut => around(&[self.leader()?, host]),
            PairCut => both(random.index(HOSTS), random.index(HOSTS)),
            OneWayCut => vec![(random.index(HOSTS), random.index(HOSTS))],
            MemberCut | SuspendedAndCut | PausedAndCut => around(&[host]),
            MemberDeaf => hub.map(|replica| (replica, host)).collect(),
            MemberMute => hub.map(|replica| (host, replica)).collect(),
            Flapping => {
                let (a, b) = (random.index(HOSTS), random.index(HOSTS));
                self.cut_links(&both(a, b));
                return Some(Undo::Flap(a, b, 7));
            }
            _ => return None,
        };
        let pause = match fault.kind {
            SuspendedAndCut => Some(self.pause(host, true, fault.pick)?),
            PausedAndCut => Some(self.pause(host, false, fault.pick)?),
            _ => None,
        };
        self.cut_links(&links);
        Some(if pause.is_some() { Undo::JoinAndResume(links, host) } else { Undo::Join(links) })
    }

    fn cut_links(&mut self, links: &[(usize, usize)]) {
        links.iter().for_each(|(from, to)| self.network.cut(*from, *to));
    }

    fn join_links(&mut self, links: &[(usize, usize)]) {
        links.iter().for_each(|(from, to)| self.network.join(*from, *to));
    }

    /// A planned fault ends.
    pub(super) fn mend(&mut self, number: usize) {
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

    fn flap(&mut self, number: usize, a: usize, b: usize, left: u32) {
        match left % 2 {
            1 => self.join_links(&both(a, b)),
            _ => self.cut_links(&both(a, b)),
        }
        if left > 1 {
            self.active.insert(number, Undo::Flap(a, b, left - 1));
            let wait = self.random.between(30, 900);
            self.queue.push(self.now + wait, Event::Mend { number });
        }
    }

    /// All faults end; whoever is down starts.
    pub(super) fn lift_all(&mut self) {
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

    fn kill_replica(&mut self, replica: usize, power_lost: bool, down_ms: u64) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.stop_replica(replica, power_lost);
        self.restart_replica_in(replica, down_ms);
        Some(Undo::Nothing)
    }

    fn kill_all(&mut self, down_ms: u64) -> Option<Undo> {
        let killed: Vec<_> =
            (0..REPLICAS).filter_map(|r| self.kill_replica(r, true, down_ms.min(5_000))).collect();
        (!killed.is_empty()).then_some(Undo::Nothing)
    }

    fn break_disk(&mut self, replica: usize, fault: DiskFault) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.replicas[replica].disk.inject(fault);
        Some(Undo::Nothing)
    }

    fn tell_consensus(&mut self, replica: usize, input: RaftInput, undo: Undo) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.give(replica, input);
        Some(undo)
    }

    fn kill_agent(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.stop_agent(member);
        self.restart_agent_in(member, down_ms);
        Some(Undo::Nothing)
    }

    fn restart_member(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.power_lost(member);
        self.restart_agent_in(member, down_ms.max(1_000));
        Some(Undo::Nothing)
    }

    /// The machine stays down until the hub took the operator's word. He waits until the hub has noticed, so that nothing
    /// is granted to what is gone.
    fn lose_member(&mut self, member: usize) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.power_lost(member);
        self.members[member].is_declared_lost = false;
        let life = self.members[member].life;
        self.queue.push(self.now + OPERATOR_WAITS_MS, Event::DeclareLost { member, life });
        Some(Undo::Nothing)
    }

    /// The operator declares lost what ran on a machine that is down; it starts a while later.
    pub(super) fn operator_comes(&mut self, member: usize, life: Life) {
        if !std::mem::replace(&mut self.members[member].is_declared_lost, true) {
            self.found(vec![declare_lost(member)]);
        }
        if self.clients[FOUNDER].is_idle() {
            return self.restart_agent_in(member, OPERATOR_WAITS_MS);
        }
        self.queue.push(self.now + 1_000, Event::DeclareLost { member, life });
    }

    fn jump(&mut self, host: usize, by_ms: i64) -> Option<Undo> {
        self.hosts[host].clock.jump(by_ms);
        if let Some(member) = host.checked_sub(REPLICAS) {
            self.wake_shims(member, 400);
        }
        Some(Undo::Nothing)
    }

    fn bring_weather(&mut self, number: usize, kind: FaultKind, random: &mut Random) -> Undo {
        let weather = match kind {
            FaultKind::Loss => Weather { lost_permille: random.between(50, 600), ..Weather::default() },
            FaultKind::Delay => Weather { late_ms: random.between(20, 2_000), ..Weather::default() },
            _ => Weather { doubled_permille: random.between(100, 900), ..Weather::default() },
        };
        self.network.set_weather(number, weather);
        Undo::Clear
    }

    fn hold_member_at_paused_leader(&mut self, leader: usize, member: usize, order: u64) -> Option<Undo> {
        let host = member_host(member);
        self.pause(leader, false, order)?;
        let others = (0..REPLICAS).filter(|replica| *replica != leader);
        let links: Vec<_> = others.flat_map(|replica| both(replica, host)).collect();
        self.cut_links(&links);
        Some(Undo::ResumeThenJoin(leader, links))
    }

    /// The agent has sent a heartbeat: it stands still, and soon nothing more gets through.
    pub(super) fn stand_still_at_beat(&mut self, number: usize, member: usize) {
        let host = member_host(member);
        if self.active.contains_key(&number) || self.pause(host, false, self.plan[number].pick).is_none() {
            return;
        }
        self.active.insert(number, Undo::CutOff(host));
        self.queue.push(self.now + 300, Event::Mend { number });
    }

    /// A host stands still: its processes, or with `whole` everything on it.
    fn pause(&mut self, host: usize, whole: bool, order: u64) -> Option<Undo> {
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
    fn resume(&mut self, host: usize) {
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

impl Pause {
    /// Whether it holds back events of this part of a host.
    pub(super) fn holds(&self, part: Part) -> bool {
        self.whole || part == Part::Process
    }
}

fn both(a: usize, b: usize) -> Vec<(usize, usize)> {
    vec![(a, b), (b, a)]
}

/// All links between these hosts and the others.
fn around(inside: &[usize]) -> Vec<(usize, usize)> {
    let outside = || (0..HOSTS).filter(|host| !inside.contains(host));
    inside.iter().flat_map(|host| outside().flat_map(|other| both(*host, other))).collect()
}
