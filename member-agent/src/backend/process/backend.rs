//! The process backend: folders and shims behind the [`Backend`] trait.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tracing::{error, warn};

use super::changes::ChangeWatch;
use super::containers::named_container;
use super::disk::{self, DiskWatch};
use super::environment::inherited;
use super::gang_ports::{GangPorts, Port};
use super::leftovers;
use super::observation::{Observation, containers, exit_record, observe, settle};
use super::template::{self, ContainerPlan, Machine, PodPlan};
use crate::backend::folder::{PodFolders, system};
use crate::backend::log_stream::{Following, stream_log};
use crate::backend::{
    Backend, BackendError, Capabilities, Exec, ExecOptions, LogOptions, LogStream, ObservedPod, PodId,
    PodSpec, PodState, Started, Stop,
};
use crate::shim::client::{self, ClientError};
use crate::shim::clock::{Clock, SystemClock};
use crate::shim::confidential::Confidential;
use crate::shim::deadline::{Deadline, Due, FenceGrant};
use crate::shim::descriptors::{close_others_on_exec, keep_on_exec};
use crate::shim::durable;
use crate::shim::identity::{Liveness, boot_id};
use crate::shim::isolation::{Isolation, IsolationRequest, probe};
use crate::shim::protocol::{Refusal, Reply, Request, StopReason};
use crate::shim::record::{ExitReason, ShimRecord};
use crate::shim::spec::{
    ContainerSpec, DiskLimits, LOG_FILE, ResourceLimits, RestartPolicy, SHIM_FILE, ShimSpec,
};

/// How long a launcher may take: it waits for one exec.
const LAUNCH_PATIENCE: Duration = Duration::from_secs(30);
/// How long a shim may take to answer.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How long SIGKILL may take to be seen.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// As much as common training programs open; cut to the hard limit in force.
const OPEN_FILES: u64 = 1 << 20;
/// Grace of a pod that uses too much disk.
const EVICTION_GRACE_MS: u64 = 1_000;

/// How to run a shim: `program args... --dir DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its first arguments, for example `shim`.
    pub args: Vec<OsString>,
}

/// What a process backend is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessConfig {
    /// The member's state folder; pods lie in `pods` inside.
    pub state: PathBuf,
    /// How to run a shim.
    pub shim: ShimCommand,
    /// Bytes of log kept per pod.
    pub log_cap_bytes: u64,
    /// How to hold processes together.
    pub isolation: IsolationRequest,
}

impl ProcessConfig {
    /// Log bytes kept per pod unless configured otherwise.
    pub const LOG_CAP_BYTES: u64 = 10 * 1024 * 1024;
}

/// Runs pods as local processes. Clones share everything.
#[derive(Clone)]
pub struct ProcessBackend {
    pub(super) config: ProcessConfig,
    pub(super) folders: PodFolders,
    isolation: Isolation,
    inherited: BTreeMap<String, String>,
    changes: ChangeWatch,
    /// Commands run so far, to tell them apart.
    pub(super) execs: Arc<AtomicU64>,
    gang_ports: GangPorts,
    disk: DiskWatch,
}

impl ProcessBackend {
    /// Opens the state folder and finds out what this machine permits. Pods of earlier agents are adopted as they
    /// are. Blocks for some milliseconds.
    pub fn open(config: ProcessConfig) -> Result<ProcessBackend, BackendError> {
        let folders = PodFolders::open(&config.state)?;
        let isolation = match config.isolation {
            IsolationRequest::Auto => probe(),
            IsolationRequest::Subreaper => Isolation::Subreaper,
        };
        let (changes, disk) = (ChangeWatch::default(), DiskWatch::default());
        let gang_ports = GangPorts::open(&config.state)?;
        Ok(ProcessBackend {
            config,
            folders,
            isolation,
            inherited: inherited(),
            changes,
            gang_ports,
            disk,
            execs: Arc::default(),
        })
    }

    /// Runs `work` where it may block.
    async fn blocking<T, F>(&self, work: F) -> Result<T, BackendError>
    where
        T: Send + 'static,
        F: FnOnce(&ProcessBackend) -> Result<T, BackendError> + Send + 'static,
    {
        let backend = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&backend)).await;
        done.unwrap_or_else(|error| Err(BackendError::System("run on a blocking thread", error.into())))
    }

    async fn start_pod(&self, pod: PodSpec) -> Result<Started, BackendError> {
        let id = pod.id.clone();
        let prepared = self.blocking(move |backend| backend.prepare(pod)).await?;
        let dir = &prepared.dir;
        let started_before = dir.join(SHIM_FILE).exists() || exit_record(dir)?.is_some();
        if !started_before {
            self.launch(&prepared).await?;
        }
        let not_run = exit_record(dir)?.filter(|exit| exit.started_at_ms.is_none());
        match not_run.map(|exit| exit.reason) {
            Some(ExitReason::Fenced) => Err(BackendError::TooLate(id)),
            _ => Ok(Started { warnings: prepared.warnings }),
        }
    }

    /// The folder with its spec. What was written by an earlier start of the same id stays.
    fn prepare(&self, mut pod: PodSpec) -> Result<Prepared, BackendError> {
        let ports = self.reserve_ports(&mut pod)?;
        let pod = &pod;
        let work = self.folders.work(&pod.id);
        let machine =
            Machine { inherited: &self.inherited, work: &work, can_mount: self.isolation.can_fence() };
        let mut plan = template::read(pod, &machine)?;
        let (warnings, confidential) =
            (std::mem::take(&mut plan.warnings), std::mem::take(&mut plan.confidential));
        if let Ok(dir) = self.folders.existing(&pod.id) {
            return Ok(Prepared { dir, warnings, confidential, ports });
        }
        if pod.fence.is_some_and(|grant| is_due(grant, plan.grace_ms)) {
            return Err(BackendError::TooLate(pod.id.clone()));
        }
        for container in plan.containers.iter().filter(|container| container.working_dir.starts_with(&work)) {
            std::fs::create_dir_all(&container.working_dir).map_err(system("make the working folder"))?;
        }
        let dir = self.folders.create(&pod.id, &self.shim_spec(pod, plan, !confidential.is_empty())?)?;
        Ok(Prepared { dir, warnings, confidential, ports })
    }

    /// Gives a pod of a gang the ports of its attempt.
    fn reserve_ports(&self, pod: &mut PodSpec) -> Result<Vec<Port>, BackendError> {
        let Some(gang) = &mut pod.gang else { return Ok(Vec::new()) };
        let ports = self.gang_ports.reserve(&pod.identity.epoch, gang.size, || self.attempts())?;
        gang.ports = ports.iter().map(Port::number).collect();
        Ok(ports)
    }

    /// Attempts with pods, and whether any of them may be alive.
    fn attempts(&self) -> Result<BTreeMap<String, bool>, BackendError> {
        let mut attempts = BTreeMap::new();
        for (pod, _) in self.observe_all()? {
            let is_live = !matches!(pod.state, PodState::Ended(_));
            *attempts.entry(pod.identity.epoch).or_default() |= is_live;
        }
        Ok(attempts)
    }

    fn shim_spec(
        &self,
        pod: &PodSpec,
        plan: PodPlan,
        is_confidential: bool,
    ) -> Result<ShimSpec, BackendError> {
        let is_single = plan.containers.len() == 1;
        let default_limit = || disk::default_limit(&self.config.state).map_err(system("look at the disk"));
        let pod_bytes = plan.limits.pod_bytes.map_or_else(default_limit, Ok)?;
        Ok(ShimSpec {
            version: ShimSpec::VERSION,
            pod: pod.identity.clone(),
            boot_id: boot_id().map_err(system("read the boot id"))?,
            containers: plan
                .containers
                .into_iter()
                .map(|plan| self.container_spec(plan, is_single))
                .collect(),
            grace_ms: plan.grace_ms,
            fence: pod.fence,
            isolation: self.config.isolation,
            restart: plan.restart,
            volumes: plan.volumes,
            is_confidential,
            disk: DiskLimits { pod_bytes: Some(pod_bytes), ..plan.limits },
        })
    }

    fn container_spec(&self, plan: ContainerPlan, is_single: bool) -> ContainerSpec {
        let log = if is_single { LOG_FILE.to_owned() } else { format!("{LOG_FILE}-{}", plan.name) };
        ContainerSpec {
            log: PathBuf::from(log),
            name: plan.name,
            argv: plan.argv,
            env: plan.env,
            working_dir: plan.working_dir,
            limits: ResourceLimits { core_bytes: 0, open_files: OPEN_FILES },
            log_cap_bytes: self.config.log_cap_bytes,
            role: plan.role,
            mounts: plan.mounts,
            input: plan.input,
            tty: plan.tty,
        }
    }

    /// Runs the launcher to its end. It inherits no environment: tokens of the agent stay with the agent. What comes from
    /// Secrets goes over its standard input, so that no disk and no process list shows it. The shim holds the ports of its
    /// gang from here on.
    async fn launch(&self, prepared: &Prepared) -> Result<(), BackendError> {
        let Prepared { dir, confidential, ports, .. } = prepared;
        let confidential =
            serde_json::to_vec(confidential).expect("it has no map with keys that are not text");
        let mut launcher = tokio::process::Command::new(&self.config.shim.program);
        launcher.args(&self.config.shim.args).arg("--dir").arg(dir).env_clear();
        launcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let kept: Vec<RawFd> = ports.iter().map(Port::descriptor).collect();
        // SAFETY: between fork and exec the closure makes system calls on values that were made before; `ports` holds the
        // descriptors open until then.
        unsafe { launcher.pre_exec(move || close_others_on_exec().and_then(|()| keep_on_exec(&kept))) };
        let mut launcher = launcher.spawn().map_err(system("execute the shim"))?;
        let input = launcher.stdin.take();
        let launched = async {
            if let Some(mut input) = input {
                // One that needs nothing, or has given up, does not read.
                let _not_read = input.write_all(&confidential).await;
            }
            launcher.wait_with_output().await
        };
        let Ok(ended) = tokio::time::timeout(LAUNCH_PATIENCE, launched).await else {
            let slow = std::io::ErrorKind::TimedOut.into();
            return Err(BackendError::System("wait for the shim to start", slow));
        };
        let Output { status, stderr, .. } = ended.map_err(system("wait for the shim to start"))?;
        // A refusal (1) is on record in the folder.
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(BackendError::Launch(String::from_utf8_lossy(&stderr).trim().to_owned())),
        }
    }

    async fn stop_pod(&self, pod: PodId, stop: Stop) -> Result<(), BackendError> {
        let asked = self.blocking({
            let pod = pod.clone();
            move |backend| backend.ask_to_stop(&pod, stop)
        });
        match asked.await? {
            Asked::Done => Ok(()),
            Asked::Silent => {
                warn!(%pod, "shim does not answer, waiting for the grace before killing it");
                self.wait_for_end(&pod, Duration::from_millis(stop.grace_ms)).await?;
                self.force(pod, stop.reason.into()).await
            }
            Asked::NoShim => self.force(pod, ExitReason::Lost).await,
        }
    }

    fn ask_to_stop(&self, pod: &PodId, stop: Stop) -> Result<Asked, BackendError> {
        let dir = self.folders.existing(pod)?;
        if exit_record(&dir)?.is_some() {
            return Ok(Asked::Done);
        }
        let request = Request::Stop { grace_ms: stop.grace_ms, reason: stop.reason, message: String::new() };
        match client::request(&dir, &request, ANSWER_PATIENCE) {
            Ok(_done_or_ended) => Ok(Asked::Done),
            Err(ClientError::NotListening(_)) => Ok(Asked::NoShim),
            Err(_) => Ok(Asked::Silent),
        }
    }

    /// Waits until the pod's end is on record; true when it is.
    async fn wait_for_end(&self, pod: &PodId, patience: Duration) -> Result<bool, BackendError> {
        let dir = self.folders.of(pod);
        let until = Instant::now() + patience;
        loop {
            if exit_record(&dir)?.is_some() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Ends a pod without the help of its shim, and puts the end on record when it is certain.
    async fn force(&self, pod: PodId, reason: ExitReason) -> Result<(), BackendError> {
        let until = Instant::now() + KILL_PATIENCE;
        loop {
            let forced = self.blocking({
                let pod = pod.clone();
                move |backend| backend.force_once(&pod, reason)
            });
            if forced.await? {
                return Ok(());
            }
            if Instant::now() >= until {
                let slow = std::io::ErrorKind::TimedOut.into();
                return Err(BackendError::System("wait for killed processes to end", slow));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn force_once(&self, pod: &PodId, reason: ExitReason) -> Result<bool, BackendError> {
        let dir = self.folders.existing(pod)?;
        if exit_record(&dir)?.is_some() {
            return Ok(true);
        }
        let Some(shim) = durable::read_json::<ShimRecord>(&dir, SHIM_FILE)? else {
            let settled = settle(&dir, ExitReason::NotStarted, "stopped before its shim came up")?;
            return Ok(matches!(settled, PodState::Ended(_)));
        };
        shim.shim.kill().map_err(system("kill the shim"))?;
        let left = if shim.isolation == Isolation::Subreaper { leftovers::kill_all(pod) } else { 0 };
        let is_gone = shim.shim.liveness().map_err(system("look at the shim"))? != Liveness::Alive;
        if !is_gone || left > 0 {
            return Ok(false);
        }
        let settled = settle(&dir, reason, "no shim answered; everything that was left was killed")?;
        Ok(matches!(settled, PodState::Ended(_)))
    }

    fn renew_pod(&self, pod: &PodId, grant: FenceGrant) -> Result<(), BackendError> {
        let dir = self.folders.existing(pod)?;
        if let Some(exit) = exit_record(&dir)? {
            let fenced = exit.reason == ExitReason::Fenced;
            return Err(if fenced {
                BackendError::Fenced(pod.clone())
            } else {
                BackendError::Ended(pod.clone())
            });
        }
        match client::request(&dir, &Request::Renew(grant), ANSWER_PATIENCE) {
            Ok(Reply::Refused { reason: Refusal::Fenced, .. }) => Err(BackendError::Fenced(pod.clone())),
            Ok(Reply::Refused { reason: Refusal::NotFenced, .. }) => {
                Err(BackendError::NotFenced(pod.clone()))
            }
            Ok(Reply::Refused { .. }) => Err(BackendError::Ended(pod.clone())),
            Ok(_) => Ok(()),
            Err(error) => Err(BackendError::NoAnswer(pod.clone(), error)),
        }
    }

    fn observe_all(&self) -> Result<Vec<(ObservedPod, Option<ShimRecord>)>, BackendError> {
        let pods = self.folders.list()?;
        let observed = pods.into_iter().filter_map(|id| match observe(&id, &self.folders.of(&id)) {
            Ok(found) => {
                let Observation { spec, shim, state } = found;
                let containers = containers(&self.folders.of(&id), &state);
                let restarts = match spec.restart {
                    RestartPolicy::OnFailure => containers.iter().map(|container| container.restarts).sum(),
                    RestartPolicy::Never => 0,
                };
                Some((ObservedPod { id, identity: spec.pod, state, containers, restarts }, shim))
            }
            Err(reason) => {
                // Left out, not reported as ended: what is missing from a report is unknown.
                error!(pod = %id, error = %reason, "pod folder can not be read");
                None
            }
        });
        Ok(observed.collect())
    }

    /// Ends running pods that use more disk than they may. The shim does not: a slow disk must not delay a deadline.
    fn check_disks(&self, pods: &[PodId]) {
        let began = Instant::now();
        for pod in pods {
            let dir = self.folders.of(pod);
            let Ok(spec) = ShimSpec::read(&dir) else { continue };
            let Some(message) = disk::over_limit(&dir, &spec.disk) else { continue };
            warn!(%pod, %message, "evicted");
            let request = Request::Stop { grace_ms: EVICTION_GRACE_MS, reason: StopReason::Evicted, message };
            if let Err(error) = client::request(&dir, &request, ANSWER_PATIENCE) {
                warn!(%pod, %error, "not evicted yet");
            }
        }
        self.disk.done(began.elapsed());
    }

    fn remove_pod(&self, pod: &PodId) -> Result<(), BackendError> {
        let Ok(dir) = self.folders.existing(pod) else { return self.folders.remove(pod) };
        match observe(pod, &dir)?.state {
            PodState::Ended(_) => self.folders.remove(pod),
            PodState::Running { .. } | PodState::Unknown { .. } => Err(BackendError::NotEnded(pod.clone())),
        }
    }

    pub(super) fn open_log(&self, pod: PodId, options: LogOptions) -> Result<LogStream, BackendError> {
        let dir = self.folders.existing(&pod)?;
        let spec = ShimSpec::read(&dir)?;
        let log = dir.join(&named_container(&pod, &spec, options.container.as_deref())?.log);
        let has_ended = move || {
            !dir.exists() || observe(&pod, &dir).is_ok_and(|found| matches!(found.state, PodState::Ended(_)))
        };
        Ok(stream_log(log, options, Following::new(Box::new(has_ended))))
    }
}

impl Backend for ProcessBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { fence: self.isolation.can_fence(), simulated: false }
    }

    fn start(&self, pod: PodSpec) -> BoxFuture<'_, Result<Started, BackendError>> {
        self.start_pod(pod).boxed()
    }

    fn stop(&self, pod: PodId, stop: Stop) -> BoxFuture<'_, Result<(), BackendError>> {
        self.stop_pod(pod, stop).boxed()
    }

    fn renew(&self, pod: PodId, grant: FenceGrant) -> BoxFuture<'_, Result<(), BackendError>> {
        self.blocking(move |backend| backend.renew_pod(&pod, grant)).boxed()
    }

    fn observe(&self) -> BoxFuture<'_, Result<Vec<ObservedPod>, BackendError>> {
        let observed = self.blocking(ProcessBackend::observe_all);
        async move {
            let (mut pods, mut running) = (Vec::new(), Vec::new());
            for (pod, shim) in observed.await? {
                if let (PodState::Running { .. }, Some(shim)) = (&pod.state, shim) {
                    self.changes.watch(&pod.id, &shim.shim);
                    running.push(pod.id.clone());
                }
                pods.push(pod);
            }
            if self.disk.take_turn() {
                let backend = self.clone();
                tokio::task::spawn_blocking(move || backend.check_disks(&running));
            }
            Ok(pods)
        }
        .boxed()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.changes.changed().boxed()
    }

    fn remove(&self, pod: PodId) -> BoxFuture<'_, Result<(), BackendError>> {
        self.blocking(move |backend| backend.remove_pod(&pod)).boxed()
    }

    fn logs(&self, pod: PodId, options: LogOptions) -> BoxFuture<'_, Result<LogStream, BackendError>> {
        self.blocking(move |backend| backend.open_log(pod, options)).boxed()
    }

    fn exec(&self, pod: PodId, options: ExecOptions) -> BoxFuture<'_, Result<Exec, BackendError>> {
        self.blocking(move |backend| backend.exec_in(pod, options)).boxed()
    }
}

/// A pod that is ready to be launched.
struct Prepared {
    dir: PathBuf,
    warnings: Vec<String>,
    confidential: Confidential,
    /// Those of its gang.
    ports: Vec<Port>,
}

/// What asking a shim came to.
enum Asked {
    Done,
    Silent,
    NoShim,
}

fn is_due(grant: FenceGrant, grace_ms: u64) -> bool {
    Deadline::new(grant, grace_ms).due(SystemClock.now()) != Due::Nothing
}
