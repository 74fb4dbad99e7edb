//! The pods of a member's host: started by its agent, held by their shims, told of by the backend.

use muster_member_machine::{EndReason, Input as AgentInput, Observation, PodId, PodStart};

use super::event::{Event, member_host};
use super::member::MEMBER_NAMES;
use super::pod::{Nature, Pod, PodLife};
use super::world::World;
use crate::invariants::{LivePod, check_one_live_attempt};

/// A shim is late by so much at most; the kill budget covers it.
const SHIM_LATE_MS: u64 = 400;

impl World {
    pub(super) fn start_pod(&mut self, member: usize, start: PodStart) {
        let (id, name) = (start.id, start.name.clone());
        let serial = u64::from(id.serial);
        let late_ms = self.members[member].start_late_ms;
        let mut nature = self.nature(serial < 2);
        nature.launch_ms += self.random.below(late_ms + 1);
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

    pub(super) fn remove_pod(&mut self, member: usize, id: PodId) {
        let removed = self.members[member].pods.remove(&id);
        if removed.is_some_and(|pod| pod.runs()) {
            let seen =
                format!("{} removes pod {:x}/{} while it runs", MEMBER_NAMES[member], id.epoch.0, id.serial);
            self.checks.fail("S4", seen);
        }
    }

    /// Lets the shim look at the clock when something is due.
    pub(super) fn schedule_shim(&mut self, member: usize, id: PodId) {
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
            self.pod_changed(member, id);
        }
        if began {
            self.check_started(member, id, changed);
        }
        self.schedule_shim(member, id);
    }

    /// The backend will tell of a pod.
    fn pod_changed(&mut self, member: usize, id: PodId) {
        let (now, clock) = (self.now, &self.hosts[member_host(member)].clock);
        let Some(pod) = self.members[member].pods.get_mut(&id) else { return };
        let (seen, ended) = (Box::new(pod.observation(clock)), ended_as(pod));
        let what = if ended.is_some() { "pod ends" } else { "pod runs" };
        let rest = format_args!("{} {:x}/{} {ended:?}", pod.start.name, id.epoch.0, id.serial);
        self.trace.line(now, MEMBER_NAMES[member], what, rest);
        let late_ms = self.members[member].seen_late_ms;
        let (life, late) = (self.members[member].life, self.random.between(1, 100 + late_ms));
        self.queue.push(now + late, Event::Observe { member, life, pod: id, seen });
    }

    /// A pod that runs is dead at once, not by its own doing.
    pub(super) fn crash_pod(&mut self, member: usize, id: PodId, reason: EndReason) {
        let (now, clock) = (self.now, &self.hosts[member_host(member)].clock);
        let Some(pod) = self.members[member].pods.get_mut(&id) else { return };
        let PodLife::Running { since } = pod.life else { return };
        pod.end(reason, Some(since), now, clock);
        self.pod_changed(member, id);
    }

    /// The backend can tell of a pod again.
    pub(super) fn show_pod(&mut self, member: usize, id: PodId) {
        if self.members[member].pods.contains_key(&id) {
            self.pod_changed(member, id);
        }
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
}

fn ended_as(pod: &Pod) -> Option<EndReason> {
    match &pod.life {
        PodLife::Ended(end) => Some(end.reason),
        PodLife::Launching | PodLife::Running { .. } => None,
    }
}
