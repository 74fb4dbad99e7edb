//! The machine itself: what it remembers, and how one input is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{CapacityChange, DesiredAttempt, DurationMs, Epoch, EventSeverity, ToHub, ToMember, Uid};

use crate::action::{Action, Note, Out};
use crate::attempt::{Attempt, Ending, Phase};
use crate::clock::Clock;
use crate::input::{Absent, Input, Observation};
use crate::pod::{EndReason, Pod, PodEnd, PodId, PodState, PodStop, pod_name};
use crate::record::Record;
use crate::reports::Outbox;
use crate::session::Session;

/// Everything a member decides. See the crate's page for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub(crate) capacity: CapacityChange,
    /// GPUs that do not work, by the positions of Node and GPU.
    pub(crate) failed_gpus: BTreeSet<(u32, u32)>,
    pub(crate) attempts: BTreeMap<Epoch, Attempt>,
    /// The greatest epoch seen of each job; older ones are refused.
    pub(crate) newest: BTreeMap<Uid, Epoch>,
    pub(crate) session: Option<Session>,
    /// The permission to start pods: when the heartbeat was sent that the lease counts from.
    pub(crate) authority: Option<Clock>,
    pub(crate) outbox: Outbox,
    /// Attempts to look at in this step.
    pub(crate) dirty: BTreeSet<Epoch>,
    pub(crate) life: Life,
}

/// How far the agent's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// What earlier lives started is not known yet.
    Recovering,
    /// As usual.
    Running,
    /// Going down.
    ShuttingDown,
}

/// A pod with what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct PodView<'a> {
    /// Its id.
    pub id: PodId,
    /// Its attempt.
    pub attempt: &'a Arc<DesiredAttempt>,
    /// The pod.
    pub pod: &'a Pod,
}

impl PodView<'_> {
    /// Its name for people.
    pub fn name(&self) -> String {
        pod_name(&self.attempt.job.name, self.attempt.uid, self.id, self.pod.index)
    }
}

impl Machine {
    /// A machine that remembers nothing, with this capacity.
    pub fn new(capacity: CapacityChange) -> Machine {
        Machine {
            capacity,
            failed_gpus: BTreeSet::new(),
            attempts: BTreeMap::new(),
            newest: BTreeMap::new(),
            session: None,
            authority: None,
            outbox: Outbox::default(),
            dirty: BTreeSet::new(),
            life: Life::Recovering,
        }
    }

    /// Takes one input. Deadlines are looked at before it.
    pub fn step(&mut self, input: Input, now: Clock) -> Vec<Action> {
        let mut out = Out::default();
        self.check_fences(now, &mut out);
        self.check_lease(now, &mut out);
        self.take(input, now, &mut out);
        self.reconcile(now, &mut out);
        self.keep_contact(now, &mut out);
        self.send_reports(now, &mut out);
        out.into_actions()
    }

    /// All pods that are kept, dead ones included.
    pub fn pods(&self) -> impl Iterator<Item = PodView<'_>> {
        self.attempts.values().flat_map(|attempt| {
            attempt.pods.values().map(|pod| PodView {
                id: PodId { epoch: attempt.desired.epoch, serial: pod.serial },
                attempt: &attempt.desired,
                pod,
            })
        })
    }

    /// One pod.
    pub fn pod(&self, id: PodId) -> Option<PodView<'_>> {
        let attempt = self.attempts.get(&id.epoch)?;
        attempt.pods.get(&id.serial).map(|pod| PodView { id, attempt: &attempt.desired, pod })
    }

    /// How far an attempt is, if it is known.
    pub fn phase(&self, epoch: Epoch) -> Option<&Phase> {
        self.attempts.get(&epoch).map(|attempt| &attempt.phase)
    }

    /// Whether nothing is alive and the hub took every end: the agent may go.
    pub fn is_settled(&self) -> bool {
        self.attempts.values().all(|attempt| !attempt.is_live()) && self.outbox.unreported.is_empty()
    }

    /// Whether any pod may be alive.
    pub fn has_live_pods(&self) -> bool {
        self.attempts.values().any(Attempt::is_live)
    }

    fn take(&mut self, input: Input, now: Clock, out: &mut Out) {
        match input {
            Input::Adopted { pods, absent } => self.adopt(pods, absent, now, out),
            Input::SessionOpened { session } => self.open_session(session, now, out),
            Input::SessionLost { session } => self.session = self.session.take().filter(|s| s.id != session),
            Input::FromHub { session, message } => {
                if self.session.as_ref().is_some_and(|open| open.id == session) {
                    self.hear(message, now, out);
                }
            }
            Input::ForgetJobs { uids } => self.forget_jobs(&uids, now, out),
            Input::PodChanged { pod, seen } => self.observe(pod, &seen, now, out),
            Input::PodRestarted { pod, restarts } => self.restarted(pod, restarts),
            Input::CapacityChanged(capacity) => self.change_capacity(capacity, out),
            Input::GpusFailed { gpus } => {
                self.dirty.extend(self.attempts.keys());
                self.failed_gpus = gpus;
            }
            Input::Shutdown { grace_cap_ms } => self.shut_down(grace_cap_ms, now, out),
            Input::Tick => self.dirty.extend(
                self.attempts
                    .iter()
                    .filter_map(|(epoch, attempt)| attempt.ended().is_none().then_some(*epoch)),
            ),
        }
    }

    fn hear(&mut self, message: ToMember, now: Clock, out: &mut Out) {
        match message {
            ToMember::Ack { seq, epochs } => self.acknowledged(seq, &epochs, now, out),
            ToMember::Full { attempts, .. } => self.full(attempts, now, out),
            ToMember::Delta { changed, gone, .. } => self.delta(changed, &gone, now, out),
            ToMember::ReportsTaken { seq } => self.reports_taken(seq, out),
            // Bytes are moved beside the machine: whether a pod may start is the backend's to see.
            ToMember::Transfers { .. } => {}
            ToMember::Close { .. } => {
                if let Some(session) = self.session.take() {
                    out.act(Action::Reconnect { session: session.id });
                }
            }
        }
    }

    fn change_capacity(&mut self, capacity: CapacityChange, out: &mut Out) {
        if self.capacity == capacity {
            return;
        }
        self.capacity = capacity;
        self.dirty.extend(self.attempts.keys());
        if let Some(session) = self.session.as_ref().filter(|_| self.life != Life::Recovering) {
            let message = ToHub::Capacity(self.capacity.clone());
            out.act(Action::Send { session: session.id, message });
        }
    }

    /// Takes what the backend saw of a pod. Its end is recorded before anything follows from it.
    pub(crate) fn observe(&mut self, id: PodId, seen: &Observation, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&id.epoch) else { return };
        let Some(pod) = attempt.pods.get_mut(&id.serial) else { return };
        if !pod.observe(seen, now) {
            return;
        }
        if let PodState::Ended(end) = &pod.state {
            let end = end.clone();
            out.persist(Record::PodEnded { epoch: id.epoch, serial: id.serial, end, seen: now });
            attempt.count_end(id.serial, now);
        }
        self.dirty.insert(id.epoch);
        out.act(Action::ShowPod { pod: id });
    }

    fn restarted(&mut self, id: PodId, restarts: u32) {
        let pod = self.attempts.get_mut(&id.epoch).and_then(|attempt| attempt.pods.get_mut(&id.serial));
        if let Some(pod) = pod {
            pod.restarts = restarts;
            self.dirty.insert(id.epoch);
        }
    }

    /// What the backend found of earlier lives' pods; then the hello may go.
    fn adopt(&mut self, found: Vec<(PodId, Observation)>, absent: Absent, now: Clock, out: &mut Out) {
        let found: BTreeMap<PodId, Observation> = found.into_iter().collect();
        let recorded: Vec<PodId> =
            self.pods().filter(|view| view.pod.is_live()).map(|view| view.id).collect();
        for id in recorded {
            let seen = found.get(&id).cloned().unwrap_or_else(|| match absent {
                Absent::NeverStarted => Observation::Ended(PodEnd::not_started(now.time())),
                Absent::Unknown => Observation::Unknown,
            });
            let seen = self.excuse_reboot(id, seen);
            self.observe(id, &seen, now, out);
        }
        for (id, seen) in found {
            if self.pod(id).is_none() {
                remove_stray(id, &seen, out);
            }
        }
        self.life = Life::Running;
        out.persist(Record::Life(self.capacity.incarnation.clone()));
        self.settle_fences();
        self.check_fences(now, out);
        self.dirty.extend(self.attempts.keys());
        self.reconcile(now, out);
        if let Some(session) = self.session.as_ref().map(|session| session.id) {
            self.send_hello(session, out);
        }
    }

    /// A pod that went down with the machine did not fail: its attempt is lost, and the job runs again.
    fn excuse_reboot(&self, id: PodId, seen: Observation) -> Observation {
        let outlived = self.attempts.get(&id.epoch).is_some_and(|attempt| attempt.outlived_boot);
        match seen {
            Observation::Ended(end) if outlived && end.reason == EndReason::Lost => {
                let message = "the machine restarted".into();
                Observation::Ended(PodEnd { reason: EndReason::Stopped, message, ..end })
            }
            seen => seen,
        }
    }

    fn shut_down(&mut self, grace_cap_ms: u64, now: Clock, out: &mut Out) {
        self.life = Life::ShuttingDown;
        let epochs: Vec<Epoch> = self.attempts.keys().copied().collect();
        for epoch in epochs {
            let Some(attempt) = self.attempts.get_mut(&epoch) else { continue };
            if let Phase::Ending(ending) = &mut attempt.phase {
                ending.grace_ms = ending.grace_ms.min(grace_cap_ms);
            }
            // One without pods was never reported: the hub gives it again.
            if attempt.is_active() && !attempt.pods.is_empty() {
                let grace_ms = attempt.desired.spec.grace.0.min(grace_cap_ms);
                self.end(epoch, Ending { grace_ms, ..Ending::stopped() }, now, out);
            }
            self.dirty.insert(epoch);
        }
    }

    /// Decides how an attempt ends. Final.
    pub(crate) fn end(&mut self, epoch: Epoch, ending: Ending, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        if attempt.phase != Phase::Active {
            return;
        }
        attempt.phase = Phase::Ending(ending.clone());
        self.dirty.insert(epoch);
        out.persist(Record::Ending { epoch, ending });
        self.finish_if_dead(epoch, now, out);
    }

    pub(crate) fn warn(
        &self,
        desired: &DesiredAttempt,
        reason: &'static str,
        message: String,
        out: &mut Out,
    ) {
        out.act(Action::Warn(Note {
            job: desired.job.clone(),
            uid: desired.uid,
            epoch: desired.epoch,
            reason,
            message,
            severity: EventSeverity::Warning,
        }));
    }
}

/// A pod that no record tells of: its journal is gone, so nobody may count on it.
fn remove_stray(id: PodId, seen: &Observation, out: &mut Out) {
    out.act(match seen {
        Observation::Ended(_) | Observation::Refused { .. } => Action::RemovePod { pod: id },
        Observation::Running { .. } | Observation::Unknown => {
            Action::StopPod { pod: id, grace: DurationMs(0), reason: PodStop::Stopped }
        }
    });
}
