//! Carries out on the backend what the machine asks for, and tells the machine what the backend sees.
//!
//! ```text
//!  machine --StartPod, StopPod, ...--> one queue per pod --> Backend
//!     ^                                                         |
//!     +---- PodChanged <---- watch: observe, compare <----------+
//! ```
//!
//! Calls on one pod are made one after the other, those on different pods at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_member_machine::{EndReason, KILL_BUDGET_MS, Observation, PodEnd, PodId, PodStart, PodStop};
use muster_model::{ContainerExit, DurationMs, Epoch, MemberName, TimeMs, Uid};
use muster_proto::federation::AttemptDocuments;
use tokio::sync::{Notify, mpsc};

use crate::agent::Event;
use crate::backend::{
    self, Backend, BackendError, ContainerState, ContainerStatus, Documents, ExitReason, ExitRecord,
    FenceGrant, Gang, ObservedPod, PodIdentity, PodSpec, PodState, Stop, StopReason,
};
use crate::data::DataFolder;
use crate::mirror::{CONFIG_ERROR, DATA_MISSING, PodDetail, node_name, template};
use crate::shim::clock::{Clock as _, ClockReading, SystemClock};

/// The backend is looked at at least so often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A pod is said to be unknown after so many looks: a shim may be slow once.
const UNKNOWN_LOOKS: u32 = 3;

/// One call on a pod.
enum Call {
    Start(Box<PodSpec>),
    Stop(Stop),
    Renew(FenceGrant),
    /// What the template names came, or changed.
    Documents(Documents),
    /// A dataset came.
    Data,
    Remove,
}

/// The machine's hands.
pub(crate) struct Pods {
    backend: Arc<dyn Backend>,
    data: DataFolder,
    member: MemberName,
    ids: BTreeMap<PodId, backend::PodId>,
    queues: BTreeMap<PodId, mpsc::UnboundedSender<Call>>,
    /// What templates name, by attempt. In memory only: Secrets are among it.
    documents: BTreeMap<Epoch, Documents>,
    events: mpsc::UnboundedSender<Event>,
    look: Arc<Notify>,
}

impl Pods {
    pub(crate) fn new(
        (backend, data): (Arc<dyn Backend>, DataFolder),
        member: MemberName,
        events: mpsc::UnboundedSender<Event>,
        look: Arc<Notify>,
    ) -> Pods {
        let (ids, queues, documents) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Pods { backend, data, member, ids, queues, documents, events, look }
    }

    /// Remembers a pod that an earlier life started.
    pub(crate) fn know(&mut self, pod: &ObservedPod) -> Option<PodId> {
        let id = machine_id(&pod.id)?;
        self.ids.insert(id, pod.id.clone());
        Some(id)
    }

    /// The backend's name of a pod.
    pub(crate) fn id(&self, pod: PodId) -> Option<backend::PodId> {
        self.ids.get(&pod).cloned()
    }

    pub(crate) fn start(&mut self, start: &PodStart) {
        let id = backend_id(start.attempt.uid, start.id, start.index);
        self.ids.insert(start.id, id.clone());
        let documents = self.documents.get(&start.id.epoch).cloned().unwrap_or_default();
        match spec(start, id, documents, (&self.member, &self.data)) {
            Ok(spec) => self.call(start.id, Call::Start(Box::new(spec))),
            Err(message) => {
                let refused = Observation::Refused { reason: "InvalidTemplate".into(), message };
                tell(&self.events, start.id, refused);
            }
        }
    }

    pub(crate) fn stop(&mut self, pod: PodId, grace: DurationMs, reason: PodStop) {
        let reason = match reason {
            PodStop::Stopped => StopReason::Stopped,
            PodStop::DeadlineExceeded => StopReason::DeadlineExceeded,
            PodStop::Fenced => StopReason::Fenced,
        };
        self.call(pod, Call::Stop(Stop { grace_ms: grace.0, reason }));
    }

    pub(crate) fn renew(&mut self, pod: PodId, base: muster_member_machine::Clock, fence_after: DurationMs) {
        self.call(pod, Call::Renew(grant(base, fence_after)));
    }

    /// Takes what the templates of attempts name. Pods that wait for it are tried again.
    pub(crate) fn take_documents(&mut self, attempts: Vec<AttemptDocuments>) {
        for AttemptDocuments { epoch, documents } in attempts {
            let documents = Documents::new(documents);
            let last = PodId { epoch, serial: u32::MAX };
            for (_, queue) in self.queues.range(PodId { epoch, serial: 0 }..=last) {
                let _ = queue.send(Call::Documents(documents.clone()));
            }
            self.documents.insert(epoch, documents);
        }
    }

    /// A dataset came. Pods that wait for one are tried again.
    pub(crate) fn data_changed(&mut self) {
        for queue in self.queues.values() {
            let _ = queue.send(Call::Data);
        }
    }

    /// Lets go of what no pod will be started with any more.
    pub(crate) fn forget_documents(&mut self, is_kept: impl Fn(Epoch) -> bool) {
        self.documents.retain(|epoch, _| is_kept(*epoch));
    }

    pub(crate) fn remove(&mut self, pod: PodId) {
        self.call(pod, Call::Remove);
        self.ids.remove(&pod);
        self.queues.remove(&pod);
        self.documents.remove(&pod.epoch);
    }

    /// No more calls but `remove` come for a pod that has ended.
    pub(crate) fn ended(&mut self, pod: PodId) {
        self.queues.remove(&pod);
    }

    fn call(&mut self, pod: PodId, call: Call) {
        let Some(id) = self.ids.get(&pod).cloned() else { return };
        let queue = self.queues.entry(pod).or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let worker = Worker {
                backend: self.backend.clone(),
                pod,
                id,
                waiting: None,
                events: self.events.clone(),
                look: self.look.clone(),
            };
            tokio::spawn(worker.run(receiver));
            sender
        });
        // The worker ends only with its queue.
        let _ = queue.send(call);
    }
}

/// Makes the calls on one pod.
struct Worker {
    backend: Arc<dyn Backend>,
    pod: PodId,
    id: backend::PodId,
    /// The pod, while something that its template names is not there.
    waiting: Option<Box<PodSpec>>,
    events: mpsc::UnboundedSender<Event>,
    look: Arc<Notify>,
}

impl Worker {
    async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Call>) {
        while let Some(call) = calls.recv().await {
            let result = match call {
                Call::Start(spec) => {
                    self.start(spec).await;
                    Ok(())
                }
                call if self.waiting.is_some() => {
                    self.call_waiting(call).await;
                    Ok(())
                }
                Call::Stop(stop) => self.backend.stop(self.id.clone(), stop).await,
                Call::Renew(grant) => self.backend.renew(self.id.clone(), grant).await,
                Call::Documents(_) | Call::Data => Ok(()),
                Call::Remove => self.backend.remove(self.id.clone()).await,
            };
            // The machine asks again, and the watch tells what became of it.
            if let Err(error) = result {
                tracing::debug!(pod = %self.id, %error, "call on a pod not carried out");
            }
            self.look.notify_one();
        }
    }

    async fn start(&mut self, spec: Box<PodSpec>) {
        if let Some(missing) = spec.data.iter().find(|data| !data.is_here()) {
            let message = format!("dataset {} {} is not here yet", missing.name, missing.version);
            let _ = self.events.send(Event::StartWaits { pod: self.pod, reason: DATA_MISSING, message });
            self.waiting = Some(spec);
            return;
        }
        match self.backend.start((*spec).clone()).await {
            Ok(started) if started.warnings.is_empty() => {}
            Ok(started) => {
                let _ = self.events.send(Event::StartWarnings { pod: self.pod, warnings: started.warnings });
            }
            Err(BackendError::Missing { message }) => {
                let _ = self.events.send(Event::StartWaits { pod: self.pod, reason: CONFIG_ERROR, message });
                self.waiting = Some(spec);
            }
            Err(error) => tell(&self.events, self.pod, not_started(&error)),
        }
    }

    /// A call on a pod that waits: the backend does not know of it.
    async fn call_waiting(&mut self, call: Call) {
        let Some(mut spec) = self.waiting.take() else { return };
        match call {
            Call::Documents(documents) => {
                spec.documents = documents;
                self.start(spec).await;
            }
            Call::Data => self.start(spec).await,
            Call::Renew(grant) => {
                spec.fence = spec.fence.map(|_| grant);
                self.waiting = Some(spec);
            }
            Call::Stop(_) | Call::Remove => {
                let end = PodEnd::not_started(TimeMs(SystemClock.now().real_ms));
                tell(&self.events, self.pod, Observation::Ended(end));
            }
            Call::Start(_) => self.waiting = Some(spec),
        }
    }
}

/// What a failed start says of the pod. Where it is not certain that nothing runs, it is unknown.
fn not_started(error: &BackendError) -> Observation {
    let end = |reason| {
        Observation::Ended(PodEnd {
            message: error.to_string().into(),
            reason,
            ..PodEnd::not_started(TimeMs(SystemClock.now().real_ms))
        })
    };
    match error {
        BackendError::Refused { reason, .. } => {
            Observation::Refused { reason: format!("{reason:?}").into(), message: error.to_string().into() }
        }
        BackendError::TooLate(_) => end(EndReason::Fenced),
        BackendError::Launch(_) => end(EndReason::StartError),
        _ => Observation::Unknown,
    }
}

fn tell(events: &mpsc::UnboundedSender<Event>, pod: PodId, seen: Observation) {
    let _ = events.send(Event::Input(muster_member_machine::Input::PodChanged { pod, seen }));
}

/// Looks at the backend whenever something may have changed, and tells what did. Runs until it is dropped.
pub(crate) async fn watch(
    backend: Arc<dyn Backend>,
    look: Arc<Notify>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut told = BTreeMap::<PodId, Observation>::new();
    let mut details = BTreeMap::<PodId, PodDetail>::new();
    let mut unknown = BTreeMap::<PodId, u32>::new();
    loop {
        match backend.observe().await {
            Ok(pods) => {
                // First: the mirror that a change causes tells of containers too.
                tell_details(&pods, &mut details, &events);
                tell_changes(&pods, &mut told, &mut unknown, &events);
            }
            Err(error) => tracing::warn!(%error, "pods cannot be looked at"),
        }
        tokio::select! {
            () = backend.changed() => {}
            () = look.notified() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

fn tell_details(
    pods: &[ObservedPod],
    told: &mut BTreeMap<PodId, PodDetail>,
    events: &mpsc::UnboundedSender<Event>,
) {
    let mut seen_now = BTreeMap::new();
    for pod in pods {
        let Some(id) = machine_id(&pod.id) else { continue };
        let (containers, restarts) = (pod.containers.clone(), pod.restarts);
        let detail = PodDetail { containers, restarts, waits_for: None };
        if told.get(&id) != Some(&detail) {
            let _ = events.send(Event::PodDetail { pod: id, detail: detail.clone() });
        }
        seen_now.insert(id, detail);
    }
    *told = seen_now;
}

fn tell_changes(
    pods: &[ObservedPod],
    told: &mut BTreeMap<PodId, Observation>,
    unknown: &mut BTreeMap<PodId, u32>,
    events: &mpsc::UnboundedSender<Event>,
) {
    let mut seen_now = BTreeMap::new();
    for pod in pods {
        let Some(id) = machine_id(&pod.id) else { continue };
        let seen = observation(&pod.state);
        if seen == Observation::Unknown {
            let looks = unknown.entry(id).or_default();
            *looks += 1;
            if *looks < UNKNOWN_LOOKS {
                seen_now.extend(told.remove_entry(&id));
                continue;
            }
        } else {
            unknown.remove(&id);
        }
        if told.get(&id) != Some(&seen) {
            tell(events, id, seen.clone());
        }
        seen_now.insert(id, seen);
    }
    *told = seen_now;
}

/// A backend's state in the machine's words.
pub(crate) fn observation(state: &PodState) -> Observation {
    match state {
        PodState::Running { started_at_ms } => Observation::Running { since: TimeMs(*started_at_ms) },
        PodState::Ended(record) => Observation::Ended(pod_end(record)),
        PodState::Unknown { .. } => Observation::Unknown,
    }
}

fn pod_end(record: &ExitRecord) -> PodEnd {
    let reason = match record.reason {
        ExitReason::Completed => EndReason::Completed,
        ExitReason::Error => EndReason::Error,
        ExitReason::StartError => EndReason::StartError,
        ExitReason::DeadlineExceeded => EndReason::DeadlineExceeded,
        ExitReason::Fenced => EndReason::Fenced,
        ExitReason::Stopped => EndReason::Stopped,
        ExitReason::Lost => EndReason::Lost,
        ExitReason::NotStarted => EndReason::NotStarted,
        ExitReason::Evicted => EndReason::Evicted,
    };
    PodEnd {
        started: record.started_at_ms.map(TimeMs),
        finished: TimeMs(record.finished_at_ms),
        exit_code: record.code,
        exits: exits(record),
        signal: record.signal,
        reason,
        message: record.message.as_str().into(),
    }
}

/// What the containers of a pod exited with, where that is known: rules of the job may mean one of them.
fn exits(record: &ExitRecord) -> Vec<ContainerExit> {
    let exit = |status: &ContainerStatus| match &status.state {
        ContainerState::Ended(end) => {
            end.code.map(|code| ContainerExit { container: Some(status.name.as_str().into()), code })
        }
        ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
    };
    record.containers.iter().filter_map(exit).collect()
}

/// `UID8-EPOCH-INDEX-SERIAL`.
pub(crate) fn backend_id(uid: Uid, pod: PodId, index: Option<u32>) -> backend::PodId {
    let (epoch, serial) = (pod.epoch.0.to_string(), pod.serial.to_string());
    backend::PodId::new(&uid.to_string(), &epoch, index.unwrap_or(0), &serial)
        .expect("hexadecimal and decimal digits")
}

/// Back from the folder's name.
fn machine_id(id: &backend::PodId) -> Option<PodId> {
    let mut parts = id.as_str().split('-').skip(1);
    let epoch = parts.next()?.parse().ok().map(Epoch)?;
    let serial = parts.nth(1)?.parse().ok()?;
    Some(PodId { epoch, serial })
}

fn spec(
    start: &PodStart,
    id: backend::PodId,
    documents: Documents,
    (member, folder): (&MemberName, &DataFolder),
) -> Result<PodSpec, Arc<str>> {
    let template =
        template(&start.attempt.body).ok_or("spec.template: cannot be read from the job's document")?;
    let identity = PodIdentity {
        name: start.name.clone(),
        namespace: start.attempt.job.namespace.to_string(),
        job: start.attempt.job.name.to_string(),
        job_uid: start.attempt.uid.to_string(),
        epoch: start.id.epoch.0.to_string(),
        index: start.index,
        gpus: start.gpus.iter().map(ToString::to_string).collect(),
    };
    let fence = start.fence_base.map(|base| grant(base, start.attempt.policy.fence_after));
    let gang = start.attempt.spec.completion.gang().map(|size| Gang { size, ports: Vec::new() });
    let namespace = &start.attempt.job.namespace;
    let data = start.attempt.data.iter().map(|data| folder.pod_data(namespace, data));
    let data =
        data.collect::<Option<_>>().ok_or("spec.datasets: a version is not safe as a folder's name")?;
    Ok(PodSpec { id, identity, node: node_name(member, start.node), template, gang, documents, fence, data })
}

fn grant(base: muster_member_machine::Clock, fence_after: DurationMs) -> FenceGrant {
    FenceGrant {
        base: ClockReading { boot_ms: base.boot_ms, real_ms: base.real_ms },
        remaining_ms: fence_after.0,
        kill_budget_ms: KILL_BUDGET_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ContainerEnd;

    #[test]
    fn an_end_tells_what_each_container_exited_with() {
        let end = |code| ContainerEnd {
            started_at_ms: Some(1),
            finished_at_ms: 2,
            code,
            signal: None,
            reason: ExitReason::Error,
            message: String::new(),
        };
        let container = |name: &str, state| ContainerStatus {
            name: name.to_owned(),
            init: false,
            restarts: 0,
            state,
            last: None,
        };
        let record = ExitRecord {
            started_at_ms: Some(1),
            finished_at_ms: 2,
            code: Some(42),
            signal: None,
            reason: ExitReason::Error,
            message: String::new(),
            dropped_log_bytes: 0,
            containers: vec![
                container("main", ContainerState::Ended(end(Some(0)))),
                container("side", ContainerState::Ended(end(Some(42)))),
                container("seen-by-nobody", ContainerState::Ended(end(None))),
                container("late", ContainerState::Waiting { reason: "PodInitializing".to_owned() }),
            ],
        };
        let exit = |name: &str, code| ContainerExit { container: Some(name.into()), code };
        assert_eq!(pod_end(&record).exits, [exit("main", 0), exit("side", 42)]);
    }

    #[test]
    fn a_pods_folder_names_its_attempt_and_serial() {
        let pod = PodId { epoch: Epoch(281_474_976_710_657), serial: 12 };
        let id = backend_id(Uid(0x0d7e_3c1a << 96), pod, Some(3));
        assert_eq!(id.as_str(), "0d7e3c1a-281474976710657-3-12");
        assert_eq!(machine_id(&id), Some(pod));
        assert_eq!(machine_id(&backend::PodId::parse("stray").unwrap()), None);
    }
}
