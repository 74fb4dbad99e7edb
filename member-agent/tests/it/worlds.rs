//! The worlds that a backend is tested in: where it keeps its state, how its time passes, what its pods do.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use muster_member_agent::backend::process::{ProcessBackend, ProcessConfig, ShimCommand};
use muster_member_agent::backend::simulated::{EXIT_CODE, IGNORES_TERM, OUTPUT, SECONDS, SimulatedBackend};
use muster_member_agent::backend::{
    Backend, Documents, FenceGrant, LogOptions, PodId, PodIdentity, PodSpec, PodState, Stop, StopReason,
};
use muster_member_agent::shim::clock::{Clock, ClockReading, SystemClock};
use muster_member_agent::shim::isolation::IsolationRequest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a backend lives.
pub trait World: Send + Sync {
    /// A backend on this world's state: the first agent, or the one after it.
    fn open(&self) -> Box<dyn Backend>;
    /// The time that deadlines count on.
    fn now(&self) -> ClockReading;
    /// Lets a little time pass.
    fn tick(&self) -> BoxFuture<'_, ()>;
}

/// Real processes in a folder that goes away.
pub struct ProcessWorld {
    pub config: ProcessConfig,
    _state: TempDir,
}

impl ProcessWorld {
    pub fn new() -> ProcessWorld {
        ProcessWorld::with(IsolationRequest::Auto)
    }

    pub fn with(isolation: IsolationRequest) -> ProcessWorld {
        let state = tempfile::tempdir().unwrap();
        let shim =
            ShimCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_muster-shim")), args: Vec::new() };
        let config =
            ProcessConfig { state: state.path().to_owned(), shim, log_cap_bytes: 256 * 1024, isolation };
        ProcessWorld { config, _state: state }
    }

    pub fn backend(&self) -> ProcessBackend {
        ProcessBackend::open(self.config.clone()).unwrap()
    }

    pub fn dir(&self, id: &PodId) -> PathBuf {
        self.config.state.join("pods").join(id.as_str())
    }
}

impl World for ProcessWorld {
    fn open(&self) -> Box<dyn Backend> {
        Box::new(self.backend())
    }

    fn now(&self) -> ClockReading {
        SystemClock.now()
    }

    fn tick(&self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(5)))
    }
}

/// A test that fails leaves no process behind: whatever carries the mark of a pod of this world is killed.
impl Drop for ProcessWorld {
    fn drop(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.config.state.join("pods")) else { return };
        for entry in entries.flatten() {
            let record = std::fs::read(entry.path().join("shim.json")).unwrap_or_default();
            let exited = entry.path().join("exit.json").exists();
            if let (Ok(shim), false) = (serde_json::from_slice::<Value>(&record), exited) {
                kill(shim["shim"]["pid"].as_i64().unwrap(), "KILL");
            }
            if let Some(id) = entry.file_name().to_str().and_then(PodId::parse) {
                marked(&id).into_iter().for_each(|pid| kill(pid, "KILL"));
            }
        }
    }
}

/// Played pods on a clock that moves only when told.
pub struct SimulatedWorld {
    state: TempDir,
    clock: Arc<ManualClock>,
}

struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn now(&self) -> ClockReading {
        let ms = self.0.load(Ordering::SeqCst);
        ClockReading { boot_ms: ms, real_ms: 1_800_000_000_000 + ms }
    }
}

impl SimulatedWorld {
    pub fn new() -> SimulatedWorld {
        SimulatedWorld {
            state: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock(AtomicU64::new(0))),
        }
    }
}

impl World for SimulatedWorld {
    fn open(&self) -> Box<dyn Backend> {
        Box::new(
            SimulatedBackend::open(self.state.path(), Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap(),
        )
    }

    fn now(&self) -> ClockReading {
        self.clock.now()
    }

    fn tick(&self) -> BoxFuture<'_, ()> {
        self.clock.0.fetch_add(50, Ordering::SeqCst);
        Box::pin(tokio::task::yield_now())
    }
}

/// What a pod does, told to both kinds of backend: as a command and as annotations.
pub struct Script {
    pub command: String,
    pub seconds: u64,
    pub exit_code: i32,
    pub ignores_term: bool,
    pub output: &'static str,
}

impl Script {
    /// Writes `output` and exits.
    pub fn exits(exit_code: i32, output: &'static str) -> Script {
        let command = format!("printf '{output}\\n'; exit {exit_code}");
        Script { command, seconds: 0, exit_code, ignores_term: false, output }
    }

    /// Runs until it is stopped.
    pub fn sleeps() -> Script {
        let command = "exec sleep 3600".to_owned();
        Script { command, seconds: 3_600, exit_code: 0, ignores_term: false, output: "" }
    }

    /// Runs until it is killed, with a detached child that wants to survive it.
    pub fn ignores_term() -> Script {
        let command =
            "trap '' TERM; (setsid sleep 3600 &); echo ready; while :; do sleep 3600; done".to_owned();
        Script { command, seconds: 3_600, exit_code: 0, ignores_term: true, output: "ready" }
    }

    pub fn template(&self) -> Value {
        template_of(&["sh", "-c", &self.command], self)
    }
}

fn template_of(command: &[&str], script: &Script) -> Value {
    json!({
        "metadata": {"annotations": {
            SECONDS: script.seconds.to_string(),
            EXIT_CODE: script.exit_code.to_string(),
            IGNORES_TERM: script.ignores_term.to_string(),
            OUTPUT: script.output,
        }},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "command": command}],
        },
    })
}

/// A pod of the name that does what `template` says.
pub fn pod(name: &str, template: Value) -> PodSpec {
    let identity = PodIdentity {
        name: format!("job-{name}"),
        namespace: "team".to_owned(),
        job: "job".to_owned(),
        job_uid: "0d7e3c1a-5b2f".to_owned(),
        epoch: "281474976710657".to_owned(),
        index: Some(2),
        gpus: vec!["GPU-0".to_owned(), "GPU-3".to_owned()],
    };
    // Unique on this machine: tests that run beside this one look for their own pods' processes only.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let id = PodId::new(&identity.job_uid, &identity.epoch, 2, &unique).unwrap();
    PodSpec {
        id,
        identity,
        node: "node-1".to_owned(),
        template,
        gang: None,
        documents: Documents::default(),
        fence: None,
        data: Vec::new(),
    }
}

pub fn shell(name: &str, command: &str) -> PodSpec {
    pod(
        name,
        json!({"spec": {"terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "command": ["sh", "-c", command]}]}}),
    )
}

/// A grant from now on. Grace is 1 s and the budget 0.5 s, so SIGTERM goes out 1.5 s before its end.
pub fn grant(now: ClockReading, remaining_ms: u64) -> FenceGrant {
    FenceGrant { base: now, remaining_ms, kill_budget_ms: 500 }
}

pub fn stop(grace_ms: u64) -> Stop {
    Stop { grace_ms, reason: StopReason::Stopped }
}

/// Where the pod stands; none when the backend does not know it.
pub async fn state(backend: &dyn Backend, id: &PodId) -> Option<PodState> {
    backend.observe().await.unwrap().into_iter().find(|pod| pod.id == *id).map(|pod| pod.state)
}

/// Lets time pass until `wanted` finds what it looks for.
pub async fn await_state<T>(
    world: &dyn World,
    backend: &dyn Backend,
    id: &PodId,
    wanted: impl Fn(&PodState) -> Option<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = state(backend, id).await;
        if let Some(answer) = found.as_ref().and_then(&wanted) {
            return answer;
        }
        assert!(Instant::now() < until, "{id} stays {found:?}");
        world.tick().await;
    }
}

pub async fn await_end(
    world: &dyn World,
    backend: &dyn Backend,
    id: &PodId,
) -> muster_member_agent::backend::ExitRecord {
    await_state(world, backend, id, |state| match state {
        PodState::Ended(exit) => Some(exit.clone()),
        PodState::Running { .. } | PodState::Unknown { .. } => None,
    })
    .await
}

/// The whole log that `options` select.
pub async fn read_log(backend: &dyn Backend, id: &PodId, options: LogOptions) -> String {
    let chunks = backend.logs(id.clone(), options).await.unwrap().collect::<Vec<_>>().await;
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

/// Waits until the log holds `text`.
pub async fn await_log(world: &dyn World, backend: &dyn Backend, id: &PodId, text: &str) {
    let until = Instant::now() + PATIENCE;
    while !read_log(backend, id, LogOptions::default()).await.contains(text) {
        assert!(Instant::now() < until, "the log of {id} never holds {text:?}");
        world.tick().await;
    }
}

/// Waits until `condition` holds.
pub async fn await_condition(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "{what} never became true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Living processes that carry the pod's mark in their environment, wherever they detached to.
pub fn marked(id: &PodId) -> Vec<i64> {
    let mark = format!("MUSTER_POD={id}");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok());
    // The environment of a zombie is empty.
    let is_marked = |pid: &i64| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(is_marked).collect()
}

/// The shim's pid as recorded.
pub fn shim_pid(world: &ProcessWorld, id: &PodId) -> i64 {
    let record = std::fs::read(world.dir(id).join("shim.json")).unwrap();
    serde_json::from_slice::<Value>(&record).unwrap()["shim"]["pid"].as_i64().unwrap()
}

pub fn kill(pid: i64, signal: &str) {
    let signal: nix::sys::signal::Signal = format!("SIG{signal}").parse().unwrap();
    let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()), signal);
}
