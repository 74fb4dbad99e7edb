//! The simulated backend: folders and plays behind the [`Backend`] trait.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use jiff::Timestamp;

use super::play::{Demand, Play, Script};
use crate::backend::folder::{PodFolders, system};
use crate::backend::log_stream::{Following, stream_log};
use crate::backend::{
    Backend, BackendError, Capabilities, Exec, ExecOptions, ExitReason, ExitRecord, FenceGrant, LogOptions,
    LogStream, ObservedPod, PodId, PodSpec, PodState, Started, Stop, StopReason,
};
use crate::shim::clock::Clock;
use crate::shim::deadline::{Deadline, Due};
use crate::shim::durable::{self, Durability};
use crate::shim::error::ShimError;
use crate::shim::log_line::{LogLine, Piece, Stream, stamp};
use crate::shim::spec::{EXIT_FILE, LOG_FILE, SPEC_FILE};

/// How often a waiter looks at the clock.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Plays pods on `clock`. Clones share everything.
#[derive(Clone)]
pub struct SimulatedBackend {
    folders: PodFolders,
    clock: Arc<dyn Clock>,
    /// Pods are read, changed and written back; one at a time.
    turn: Arc<Mutex<()>>,
}

impl SimulatedBackend {
    /// Opens the member's state folder. Pods played before go on.
    pub fn open(state: &Path, clock: Arc<dyn Clock>) -> Result<SimulatedBackend, BackendError> {
        Ok(SimulatedBackend { folders: PodFolders::open(state)?, clock, turn: Arc::default() })
    }

    /// Runs `work` alone.
    fn alone<T>(&self, work: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    fn start_pod(&self, pod: &PodSpec) -> Result<Started, BackendError> {
        let script = Script::read(&pod.template)?;
        let warnings = vec!["this member is simulated: the pod is played, no process runs".to_owned()];
        if self.folders.existing(&pod.id).is_ok() {
            return Ok(Started { warnings });
        }
        let started = self.clock.now();
        let deadline = pod.fence.map(|grant| Deadline::new(grant, script.grace_ms));
        if deadline.is_some_and(|deadline| deadline.due(started) != Due::Nothing) {
            return Err(BackendError::TooLate(pod.id.clone()));
        }
        let output = format!("simulated: no process runs\n{}", script.output);
        let play = Play { pod: pod.identity.clone(), script, started, fence: pod.fence, demand: None };
        let dir = self.folders.create(&pod.id, &play)?;
        write_log(&dir, &output, started.real_ms).map_err(system("write the log"))?;
        Ok(Started { warnings })
    }

    fn stop_pod(&self, pod: &PodId, stop: Stop) -> Result<(), BackendError> {
        let (dir, mut play) = self.play(pod)?;
        if self.end(&dir, &play)?.is_some() {
            return Ok(());
        }
        let reason = match stop.reason {
            StopReason::Stopped => ExitReason::Stopped,
            StopReason::DeadlineExceeded => ExitReason::DeadlineExceeded,
            StopReason::Fenced => ExitReason::Fenced,
            StopReason::Evicted => ExitReason::Evicted,
        };
        let demand = Demand { at: self.clock.now(), grace_ms: stop.grace_ms, reason };
        play.demand.get_or_insert(demand);
        rewrite(&dir, &play)
    }

    fn renew_pod(&self, pod: &PodId, grant: FenceGrant) -> Result<(), BackendError> {
        let (dir, mut play) = self.play(pod)?;
        if let Some(end) = self.end(&dir, &play)? {
            let fenced = end.reason == ExitReason::Fenced;
            return Err(if fenced {
                BackendError::Fenced(pod.clone())
            } else {
                BackendError::Ended(pod.clone())
            });
        }
        let Some(mut deadline) = play.deadline() else { return Err(BackendError::NotFenced(pod.clone())) };
        let now = self.clock.now();
        let left_ms = deadline.left_ms(now);
        deadline.renew(grant, now).map_err(|_| BackendError::Fenced(pod.clone()))?;
        if deadline.left_ms(now) > left_ms {
            play.fence = Some(grant);
            rewrite(&dir, &play)?;
        }
        Ok(())
    }

    fn observe_all(&self) -> Result<Vec<ObservedPod>, BackendError> {
        let observe = |id: PodId| {
            let (dir, play) = self.play(&id)?;
            let running = PodState::Running { started_at_ms: play.started.real_ms };
            let state = self.end(&dir, &play)?.map_or(running, PodState::Ended);
            Ok(ObservedPod { id, identity: play.pod, state, containers: Vec::new(), restarts: 0 })
        };
        self.folders.list()?.into_iter().map(observe).collect()
    }

    fn remove_pod(&self, pod: &PodId) -> Result<(), BackendError> {
        match self.play(pod) {
            Ok((dir, play)) if self.end(&dir, &play)?.is_none() => Err(BackendError::NotEnded(pod.clone())),
            Ok(_) | Err(BackendError::NotFound(_)) => self.folders.remove(pod),
            Err(error) => Err(error),
        }
    }

    fn open_log(&self, pod: PodId, options: LogOptions) -> Result<LogStream, BackendError> {
        let (dir, play) = self.play(&pod)?;
        if let Some(wanted) = &options.container
            && *wanted != play.script.container
        {
            let (container, known) = (wanted.clone(), play.script.container);
            return Err(BackendError::NoSuchContainer { pod, container, known });
        }
        let backend = self.clone();
        let log = dir.join(LOG_FILE);
        let has_ended = move || {
            let ended = backend.alone(|| {
                let (dir, play) = backend.play(&pod)?;
                backend.end(&dir, &play)
            });
            !matches!(ended, Ok(None))
        };
        Ok(stream_log(log, options, Following::new(Box::new(has_ended))))
    }

    fn play(&self, pod: &PodId) -> Result<(std::path::PathBuf, Play), BackendError> {
        let dir = self.folders.existing(pod)?;
        let play = durable::read_json(&dir, SPEC_FILE)?.ok_or_else(|| BackendError::NotFound(pod.clone()))?;
        Ok((dir, play))
    }

    /// How the pod ended; put on record when it is first seen, and final from then on.
    fn end(&self, dir: &Path, play: &Play) -> Result<Option<ExitRecord>, BackendError> {
        if let Some(exit) = durable::read_json(dir, EXIT_FILE)? {
            return Ok(Some(exit));
        }
        let Some(exit) = play.end(self.clock.now()) else { return Ok(None) };
        durable::write_json(dir, EXIT_FILE, &exit, Durability::Synced)
            .map_err(ShimError::file("write", EXIT_FILE))?;
        Ok(Some(exit))
    }
}

fn rewrite(dir: &Path, play: &Play) -> Result<(), BackendError> {
    durable::write_json(dir, SPEC_FILE, play, Durability::Synced).map_err(system("write spec.json"))
}

fn write_log(dir: &Path, output: &str, real_ms: u64) -> std::io::Result<()> {
    let millis = i64::try_from(real_ms).unwrap_or(i64::MAX);
    let stamp = stamp(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX));
    let mut log = Vec::new();
    for text in output.lines() {
        let line =
            LogLine { stamp: &stamp, stream: Stream::Stdout, piece: Piece::Full, text: text.as_bytes() };
        line.append_to(&mut log);
    }
    std::fs::write(dir.join(LOG_FILE), log)
}

impl Backend for SimulatedBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { fence: true, simulated: true }
    }

    fn start(&self, pod: PodSpec) -> BoxFuture<'_, Result<Started, BackendError>> {
        ready(self.alone(|| self.start_pod(&pod))).boxed()
    }

    fn stop(&self, pod: PodId, stop: Stop) -> BoxFuture<'_, Result<(), BackendError>> {
        ready(self.alone(|| self.stop_pod(&pod, stop))).boxed()
    }

    fn renew(&self, pod: PodId, grant: FenceGrant) -> BoxFuture<'_, Result<(), BackendError>> {
        ready(self.alone(|| self.renew_pod(&pod, grant))).boxed()
    }

    fn observe(&self) -> BoxFuture<'_, Result<Vec<ObservedPod>, BackendError>> {
        ready(self.alone(|| self.observe_all())).boxed()
    }

    /// The clock tells no one when it moves, so this is a beat rather than a change.
    fn changed(&self) -> BoxFuture<'_, ()> {
        tokio::time::sleep(LOOK_AGAIN).boxed()
    }

    fn remove(&self, pod: PodId) -> BoxFuture<'_, Result<(), BackendError>> {
        ready(self.alone(|| self.remove_pod(&pod))).boxed()
    }

    fn logs(&self, pod: PodId, options: LogOptions) -> BoxFuture<'_, Result<LogStream, BackendError>> {
        ready(self.alone(|| self.open_log(pod, options))).boxed()
    }

    fn exec(&self, pod: PodId, _: ExecOptions) -> BoxFuture<'_, Result<Exec, BackendError>> {
        let why = "this member is simulated: no process runs that a command could be put beside";
        let known = self.alone(|| self.play(&pod).map(|_| ()));
        ready(known.and(Err(BackendError::NoExec(why.to_owned())))).boxed()
    }
}
