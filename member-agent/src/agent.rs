//! The agent: wires state folder, hub, machine and backend together. It decides nothing.
//!
//! ```text
//!  sessions --Event--> +-------+ --Persist--> journal (synced before the next action)
//!  pods     --Event--> | Agent | --Send-----> session
//!  ticks    ---------> +-------+ --Start...-> pods
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use muster_chaos_inject::GuardCommand;
use muster_member_machine::{Absent, Action, Clock, Input, Machine, Note, Observation, Phase, PodId};
use muster_model::{DataReport, EventSeverity, HeldCopy, Incarnation, MemberName, ToHub, Uid};
use muster_proto::federation::{AttemptDocuments, JobNote, MemberMessage, PodRef, PodUpdates};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backend::process::ShimCommand;
use crate::backend::{Backend, ObservedPod, open_backend};
use crate::data::{DataFolder, Datasets};
use crate::execs::{ExecCall, Execs};
use crate::faults::{self, ControlLink};
use crate::gpu_watch::GpuWatch;
use crate::identity::identity;
use crate::inventory::{MemberEntry, capacity, default_spec};
use crate::join::{JoinInfo, Renewal};
use crate::journal::Journal;
use crate::logs::Logs;
use crate::mirror::{CONFIG_ERROR, PodDetail, mirror};
use crate::pods::{Pods, backend_id, observation, watch as watch_pods};
use crate::session::{LogCall, Outbox, Sessions};
use crate::shim::clock::{Clock as _, SystemClock};
use crate::shim::identity::boot_id;
use crate::state_folder::StateFolder;
use crate::tls::Credentials;

const TICK: Duration = Duration::from_millis(100);
/// Grace of pods when the agent goes down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// After the grace: time for SIGKILL to be seen.
const SHUTDOWN_KILL: Duration = Duration::from_secs(2);
/// Time for the hub to take the last reports.
const SHUTDOWN_REPORT: Duration = Duration::from_secs(2);
/// Pods in one message of mirrors.
const MIRRORS: usize = 200;

/// What an agent is started with.
pub struct AgentConfig {
    /// The member's name.
    pub name: String,
    /// Its state folder.
    pub state: PathBuf,
    /// What it is and has; none: this machine as it is found, as a site of its own.
    pub entry: Option<MemberEntry>,
    /// Where to join; needed only until the folder has an identity.
    pub join: Option<JoinInfo>,
    /// Agent ports of the hub, `HOST:PORT`; empty: those that the hub named when the member joined.
    pub hub_addresses: Vec<String>,
    /// How to run a shim.
    pub shim: ShimCommand,
    /// How to run the guard that holds this agent still when that is asked for.
    pub guard: GuardCommand,
}

/// What the agent's loop hears.
pub(crate) enum Event {
    Input(Input),
    Opened(Outbox),
    /// The hub asked for a renewed certificate, and there is one: it is shown by opening a new session.
    Renewed,
    StartWarnings {
        pod: PodId,
        warnings: Vec<String>,
    },
    StartWaits {
        pod: PodId,
        reason: &'static str,
        message: String,
    },
    PodDetail {
        pod: PodId,
        detail: PodDetail,
    },
    Documents(Vec<AttemptDocuments>),
    Log(Box<LogCall>),
    Cancel {
        session: u64,
        request: u64,
    },
    Exec(Box<ExecCall>),
    Data(DataReport),
}

/// The state folder is in use, out of room, or not what an agent left there: a context in the error of [`run`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("state folder {}", .0.display())]
pub struct UnusableFolder(PathBuf);

/// What the agent was started with is not enough, or makes no sense: a cause of the error of [`run`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadFlag(pub(crate) String);

/// Runs the agent until `shutdown` is cancelled; then running attempts are stopped, with at most 5 s of grace. Dropping
/// the future instead leaves them running under their shims, for the next agent to adopt. Needs a runtime with several
/// threads: it blocks in place while it syncs its journal.
pub async fn run(config: AgentConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let unusable = || UnusableFolder(config.state.clone());
    let (folder, _lock) = StateFolder::open(&config.state).with_context(unusable)?;
    let member = MemberName::new(config.name.as_str());
    let spec = config.entry.as_ref().map_or_else(|| default_spec(&config.name), |entry| entry.spec.clone());
    let backend = open_backend(spec.backend, &config.shim, folder.path())?;
    let identity = identity(&folder, config.join.as_ref(), &member, &spec).await?;
    let key = folder.key_pem()?;
    let credentials = Credentials::new(&key, &identity)?;
    let tls = credentials.config()?;
    let addresses = faults::addresses(&config.hub_addresses, &identity);
    if addresses.is_empty() {
        let help = "give HOST:PORT of its agent ports";
        return Err(BadFlag(format!("--hub: no address of the hub is known: {help}")).into());
    }
    let link = ControlLink::new(addresses.clone(), tls.clone());
    let (host, faults) = faults::host(folder.path(), link, &config.guard, &shutdown).await?;
    let boot = boot_id().context("boot id")?.parse::<Uid>().context("boot id")?.0;
    let incarnation = Incarnation { folder: folder.id(), boot };
    let capacity = capacity(&member, incarnation, config.entry.as_ref(), backend.capabilities().fence);
    let (journal, records) = Journal::open(folder.path()).with_context(unusable)?;
    let (events, inbox) = mpsc::unbounded_channel();
    let (give_up, given_up) = watch::channel(0);
    let (look, renew) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let data_folder = DataFolder::of_state(folder.path()).with_context(unusable)?;
    let (keeper, datasets) = Datasets::new(data_folder.clone(), events.clone());
    let gpus = GpuWatch::new(capacity.clone(), folder.path(), events.clone());
    let mut agent = Agent {
        machine: Machine::recover(capacity, records),
        journal,
        pods: Pods::new((backend.clone(), data_folder.clone()), member.clone(), events.clone(), look.clone()),
        backend: backend.clone(),
        folder: folder.clone(),
        member: member.clone(),
        outbox: None,
        give_up,
        logs: Logs::default(),
        execs: Execs::default(),
        details: BTreeMap::new(),
        changed: PodUpdates::default(),
        data: DataReport::default(),
    };
    agent.adopt().await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_pods(backend, look, events.clone()));
    tasks.spawn(keeper.run());
    tasks.spawn(gpus.run());
    tasks.spawn(host.run());
    let (seed, gate) = (folder.id(), faults.gate.clone());
    let sessions = Sessions {
        addresses: addresses.clone(),
        tls: tls.clone(),
        events: events.clone(),
        give_up: given_up,
        renew: renew.clone(),
        seed,
        faults,
        datasets,
    };
    tasks.spawn(sessions.run());
    let renewal = Renewal { folder, name: member, credentials, tls, addresses, gate, asked: renew, events };
    tasks.spawn(renewal.run(identity));
    let result = agent.run(inbox, shutdown).await;
    tasks.shutdown().await;
    result
}

struct Agent {
    machine: Machine,
    journal: Journal,
    pods: Pods,
    backend: Arc<dyn Backend>,
    folder: StateFolder,
    member: MemberName,
    outbox: Option<Outbox>,
    give_up: watch::Sender<u64>,
    logs: Logs,
    execs: Execs,
    /// What people see of pods beside what the machine knows.
    details: BTreeMap<PodId, PodDetail>,
    /// Mirrors to send after this step.
    changed: PodUpdates,
    /// What lies here of datasets, and how transfers are.
    data: DataReport,
}

fn now() -> Clock {
    let reading = SystemClock.now();
    Clock { boot_ms: reading.boot_ms, real_ms: reading.real_ms }
}

impl Agent {
    /// Takes over what earlier agents started.
    async fn adopt(&mut self) -> anyhow::Result<()> {
        let observed = self.backend.observe().await.context("pods of earlier agents")?;
        let mut pods = self.known(&observed);
        // A folder that is there and was not read says nothing: only a missing one says that nothing was started.
        for view in self.machine.pods().filter(|view| view.pod.is_live()) {
            let id = backend_id(view.attempt.uid, view.id, view.pod.index);
            let spec = self.folder.path().join("pods").join(id.as_str()).join(crate::shim::spec::SPEC_FILE);
            if pods.iter().all(|(known, _)| *known != view.id) && spec.try_exists().unwrap_or(true) {
                pods.push((view.id, Observation::Unknown));
            }
        }
        self.step(Input::Adopted { pods, absent: Absent::NeverStarted })
    }

    fn known(&mut self, observed: &[ObservedPod]) -> Vec<(PodId, Observation)> {
        let known = |pod: &ObservedPod| Some((self.pods.know(pod)?, observation(&pod.state)));
        observed.iter().filter_map(known).collect()
    }

    async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Event>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ending: Option<tokio::time::Instant> = None;
        loop {
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.hear(event)?,
                    None => return Ok(()),
                },
                _ = tick.tick() => self.step(Input::Tick)?,
                () = shutdown.cancelled(), if ending.is_none() => {
                    ending = Some(tokio::time::Instant::now());
                    let grace_cap_ms = u64::try_from(SHUTDOWN_GRACE.as_millis()).unwrap_or(u64::MAX);
                    self.step(Input::Shutdown { grace_cap_ms })?;
                }
            }
            if ending.is_some_and(|since| self.may_leave(since.elapsed())) {
                return Ok(());
            }
        }
    }

    /// Whether the agent may go, so long after it was told to.
    fn may_leave(&self, waited: Duration) -> bool {
        let longest = SHUTDOWN_GRACE + SHUTDOWN_KILL;
        self.machine.is_settled()
            || (!self.machine.has_live_pods() && (self.outbox.is_none() || waited > SHUTDOWN_REPORT))
            || waited > longest + SHUTDOWN_REPORT
    }

    fn hear(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Opened(outbox) => {
                let session = outbox.session;
                self.outbox = Some(outbox);
                self.step(Input::SessionOpened { session })?;
                self.send_data();
                self.show_all();
            }
            Event::Renewed => {
                if let Some(session) = self.outbox.as_ref().map(|outbox| outbox.session) {
                    self.reconnect(session);
                }
            }
            Event::Input(input) => {
                if let Input::SessionLost { session } = &input {
                    self.outbox = self.outbox.take().filter(|outbox| outbox.session != *session);
                    self.logs.session_lost(*session);
                    self.execs.session_lost(*session);
                }
                let ended = match &input {
                    Input::PodChanged { pod, seen: Observation::Ended(_) } => Some(*pod),
                    _ => None,
                };
                self.step(input)?;
                if let Some(pod) = ended {
                    self.pods.ended(pod);
                }
            }
            Event::StartWarnings { pod, warnings } => self.warn_of_start(pod, &warnings),
            Event::StartWaits { pod, reason, message } => self.start_waits(pod, reason, message),
            Event::Data(report) => self.take_data(report),
            Event::PodDetail { pod, detail } => self.take_detail(pod, detail)?,
            Event::Documents(attempts) => {
                self.pods.forget_documents(|epoch| {
                    self.machine.phase(epoch).is_none_or(|phase| !matches!(phase, Phase::Ended(_)))
                });
                self.pods.take_documents(attempts);
            }
            Event::Log(call) => {
                let pod = self.pod_named(&call.request.namespace, &call.request.pod);
                self.logs.begin(*call, pod, self.backend.clone());
            }
            Event::Cancel { session, request } => {
                self.logs.cancel(session, request);
                self.execs.cancel(session, request);
            }
            Event::Exec(call) => {
                let pod = self.pod_named(&call.request.namespace, &call.request.pod);
                self.execs.begin(*call, pod, self.backend.clone());
            }
        }
        Ok(())
    }

    /// The backend's name of the pod that people know by this one.
    fn pod_named(&self, namespace: &str, name: &str) -> Option<crate::backend::PodId> {
        let is_it = |view: &muster_member_machine::PodView<'_>| {
            *view.attempt.job.namespace == *namespace && view.name() == name
        };
        self.machine.pods().find(is_it).and_then(|view| self.pods.id(view.id))
    }

    /// One step of the machine, carried out. What is persisted is on disk before the next action: a failure to write is
    /// the end of the agent, never a guess.
    fn step(&mut self, input: Input) -> anyhow::Result<()> {
        for action in self.machine.step(input, now()) {
            self.act(action)?;
        }
        if self.journal.wants_compaction() {
            tokio::task::block_in_place(|| self.journal.compact(&self.machine.snapshot()))?;
        }
        self.send_mirrors();
        Ok(())
    }

    fn act(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Persist(records) => tokio::task::block_in_place(|| self.journal.append(&records))?,
            Action::Send { session, message } => self.send(session, MemberMessage::ToHub(message)),
            Action::Reconnect { session } => self.reconnect(session),
            Action::StartPod(start) => self.pods.start(&start),
            Action::StopPod { pod, grace, reason } => self.pods.stop(pod, grace, reason),
            Action::RenewDeadline { pod, base, fence_after } => self.pods.renew(pod, base, fence_after),
            Action::RemovePod { pod } => {
                self.details.remove(&pod);
                self.pods.remove(pod);
            }
            Action::ShowPod { pod } => self.show(pod),
            Action::HidePod { job_uid, name } => self.changed.removed.push(PodRef { job_uid, name }),
            Action::Warn(note) => self.send_note(note),
        }
        Ok(())
    }

    /// What people shall see of a pod, with the next mirrors.
    fn show(&mut self, pod: PodId) {
        if let Some(view) = self.machine.pod(pod) {
            let detail = self.details.get(&pod).cloned().unwrap_or_default();
            self.changed.pods.push(mirror(&view, &detail, &self.member));
        }
    }

    fn take_detail(&mut self, pod: PodId, detail: PodDetail) -> anyhow::Result<()> {
        if self.machine.pod(pod).is_none() {
            return Ok(());
        }
        let restarts = detail.restarts;
        let before = self.details.insert(pod, detail).unwrap_or_default();
        // Goes out with the next step, at the latest with the next tick: the pod's own change mostly follows at once.
        self.show(pod);
        if restarts != before.restarts {
            self.step(Input::PodRestarted { pod, restarts })?;
        }
        Ok(())
    }

    /// Something that the pod's template names is not there.
    fn start_waits(&mut self, pod: PodId, reason: &'static str, message: String) {
        let Some(attempt) = self.machine.pod(pod).map(|view| view.attempt.clone()) else { return };
        let (job, uid, epoch) = (attempt.job.clone(), attempt.uid, attempt.epoch);
        let known = self.details.get(&pod).and_then(|detail| detail.waits_for.clone());
        let waits_for = Some((reason, message.clone()));
        if known == waits_for {
            return;
        }
        let severity = if reason == CONFIG_ERROR { EventSeverity::Warning } else { EventSeverity::Normal };
        self.send_note(Note { job, uid, epoch, reason, message, severity });
        self.details.insert(pod, PodDetail { waits_for, ..PodDetail::default() });
        self.show(pod);
    }

    /// What lies here of datasets changed: pods may wait for it.
    fn take_data(&mut self, report: DataReport) {
        let whole = |report: &DataReport| -> Vec<HeldCopy> {
            report.copies.iter().filter(|held| held.copy.is_whole()).cloned().collect()
        };
        let gained = whole(&self.data) != whole(&report);
        self.data = report;
        if gained {
            self.pods.data_changed();
        }
        self.send_data();
    }

    fn send_data(&mut self) {
        self.send_now(MemberMessage::ToHub(ToHub::Data(self.data.clone())));
    }

    fn reconnect(&mut self, session: u64) {
        self.outbox = self.outbox.take().filter(|outbox| outbox.session != session);
        self.give_up.send_replace(session);
    }

    /// Queues a message; a hub that does not take any is a lost one.
    fn send(&mut self, session: u64, message: MemberMessage) {
        let Some(outbox) = self.outbox.as_ref().filter(|outbox| outbox.session == session) else { return };
        if outbox.control.try_send(message).is_err() {
            self.give_up.send_replace(session);
        }
    }

    fn send_now(&mut self, message: MemberMessage) {
        if let Some(session) = self.outbox.as_ref().map(|outbox| outbox.session) {
            self.send(session, message);
        }
    }

    fn send_mirrors(&mut self) {
        let updates = std::mem::take(&mut self.changed);
        if updates != PodUpdates::default() {
            self.send_now(MemberMessage::Pods(updates));
        }
    }

    /// After a hello: every pod, so that the hub forgets what is gone.
    fn show_all(&mut self) {
        let all: Vec<_> = self
            .machine
            .pods()
            .map(|view| {
                let detail = self.details.get(&view.id).cloned().unwrap_or_default();
                mirror(&view, &detail, &self.member)
            })
            .collect();
        let mut parts = all.chunks(MIRRORS);
        let first = parts.next().unwrap_or_default().to_vec();
        self.send_now(MemberMessage::Pods(PodUpdates { resync: true, pods: first, removed: vec![] }));
        for part in parts {
            self.send_now(MemberMessage::Pods(PodUpdates { pods: part.to_vec(), ..PodUpdates::default() }));
        }
    }

    fn warn_of_start(&mut self, pod: PodId, warnings: &[String]) {
        let Some(attempt) = self.machine.pod(pod).map(|view| view.attempt.clone()) else { return };
        // Every pod of a template says the same: the first one is enough.
        if pod.serial > 0 {
            return;
        }
        for warning in warnings {
            self.send_note(Note {
                job: attempt.job.clone(),
                uid: attempt.uid,
                epoch: attempt.epoch,
                reason: "NotHonoured",
                message: warning.clone(),
                severity: EventSeverity::Warning,
            });
        }
    }

    fn send_note(&mut self, note: Note) {
        self.send_now(MemberMessage::Note(JobNote {
            job: note.job,
            uid: note.uid,
            epoch: note.epoch,
            reason: note.reason.to_owned(),
            message: note.message,
            severity: note.severity,
        }));
    }
}
