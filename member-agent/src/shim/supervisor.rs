//! The loop of a shim: wait for input, deadline first, then everything else, until nothing of the pod is left.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock::{Clock, ClockReading, SystemClock};
use super::confidential::Confidential;
use super::control::ControlServer;
use super::deadline::{Deadline, Due};
use super::durable::{self, Durability};
use super::error::ShimError;
use super::isolation::Isolation;
use super::job::{self, Job, NotStarted};
use super::lifecycle::Lifecycle;
use super::log_pump::LogPump;
use super::log_writer::{DroppedBytes, LogWriter};
use super::processes::{Reaped, Remains, reap_one, signal_all};
use super::protocol::{Refusal, Reply, Request, ShimPhase, ShimStatus, StopReason};
use super::record::{ContainerEnd, ContainerStatus, ExitReason, ExitRecord};
use super::spec::{CONTAINERS_FILE, EXIT_FILE, SOCKET_FILE, SPEC_FILE, ShimSpec};
use super::streams::Input;
use super::wakes::Wakes;

/// How often SIGKILL is repeated while something is left: a fork may have raced the last one.
const KILL_AGAIN_MS: u16 = 20;
/// How often the exit record is tried again when the disk does not take it.
const RECORD_AGAIN_MS: u16 = 250;
/// How long the end waits for the disk to take the last output.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that one shim holds.
pub(crate) struct Supervisor {
    spec: ShimSpec,
    confidential: Confidential,
    isolation: Isolation,
    deadline: Option<Deadline>,
    stop: Option<Stop>,
    life: Lifecycle,
    /// What ended containers left behind while others go on.
    remains: Remains,
    children_left: bool,
    started_at_ms: u64,
    dropped: DroppedBytes,
    /// The log of each container's run, by its position in the spec.
    pumps: Vec<Option<LogPump>>,
    /// What running containers read, likewise.
    inputs: Vec<Option<Input>>,
    /// What `containers.json` says.
    told: Vec<ContainerStatus>,
    control: ControlServer,
    wakes: Wakes,
    /// Held, never read: its release says that the shim is gone.
    _lock: File,
}

/// A stop in progress.
struct Stop {
    /// None: the pod is over by itself, and its sidecars are let go.
    reason: Option<StopReason>,
    message: String,
    kill_at_boot_ms: u64,
    killed: bool,
}

/// The fence deadline came before anything was executed.
pub(crate) struct TooLate;

impl Supervisor {
    /// Everything that can fail, done before anything runs.
    pub(crate) fn new(
        spec: ShimSpec,
        confidential: Confidential,
        isolation: Isolation,
        deadline: Option<Deadline>,
        lock: File,
    ) -> Result<Supervisor, ShimError> {
        let mut supervisor = Supervisor {
            isolation,
            deadline,
            stop: None,
            life: Lifecycle::new(&spec.containers, spec.restart),
            remains: Remains::of(&spec, isolation),
            children_left: false,
            started_at_ms: 0,
            dropped: DroppedBytes::default(),
            pumps: spec.containers.iter().map(|_| None).collect(),
            inputs: spec.containers.iter().map(|_| None).collect(),
            told: Vec::new(),
            control: ControlServer::bind(Path::new(SOCKET_FILE))?,
            wakes: Wakes::new()?,
            spec,
            confidential,
            _lock: lock,
        };
        // Before anything runs: from its first moment on a stop of this process must not delay the fence.
        supervisor.wakes.arm(supervisor.next_check());
        Ok(supervisor)
    }

    /// Starts what is to be started first.
    pub(crate) fn begin(&mut self, now: ClockReading) -> Result<(), TooLate> {
        self.started_at_ms = now.real_ms;
        self.start_due(now)?;
        self.tell_containers();
        // Before anybody hears that it runs: what was set until now was the time of this start.
        self.wakes.arm(self.next_check());
        Ok(())
    }

    /// Whether nothing runs and nothing will.
    pub(crate) fn is_done(&self) -> bool {
        !self.children_left && (self.life.is_over() || self.stop.is_some())
    }

    /// Until nothing of the pod is left and its end is on disk.
    pub(crate) fn run(mut self) {
        while !self.is_done() {
            self.wait();
            let now = SystemClock.now();
            // Before any other input: after a freeze the deadline may have passed, and then neither an exit
            // status nor a renewal that waited meanwhile counts.
            self.enforce_deadline(now);
            self.enforce_grace(now);
            self.collect(now);
            self.take_signals(now);
            self.answer_requests();
            self.let_sidecars_go(now);
            self.sweep();
            // One that comes too late for its deadline is ended by it in the next turn.
            let _too_late = self.start_due(SystemClock.now());
            self.tell_containers();
        }
        // Nothing is due any more but the record: a stop before it is written must not last either.
        self.wakes.arm(Some(in_ms(0)));
        let logged = self.finish_logs();
        let record = self.exit_record(logged);
        self.persist(&record);
    }

    fn wait(&mut self) {
        let busy = self.is_killing() || !self.remains.is_empty();
        let timeout = if busy { PollTimeout::from(KILL_AGAIN_MS) } else { PollTimeout::NONE };
        // While it kills, a stop of this process must not last either.
        self.wakes.arm(if busy { Some(in_ms(KILL_AGAIN_MS)) } else { self.next_check() });
        self.wakes.wait(&self.control, timeout);
    }

    /// When the clocks alone make something due.
    fn next_check(&self) -> Option<ClockReading> {
        let fence = self.deadline.as_ref().and_then(Deadline::next_check);
        let grace = self.stop.as_ref().filter(|stop| !stop.killed).map(|stop| stop.kill_at_boot_ms);
        let start = self.life.next_start().filter(|_| self.stop.is_none() && self.remains.is_empty());
        let boot_ms = [fence.map(|fence| fence.boot_ms), grace, start].into_iter().flatten().min()?;
        Some(ClockReading { boot_ms, real_ms: fence.map_or(u64::MAX, |fence| fence.real_ms) })
    }

    /// Starts what is due, unless the pod is being stopped or an ended container is still being cleared away.
    fn start_due(&mut self, now: ClockReading) -> Result<(), TooLate> {
        while self.stop.is_none() && self.remains.is_empty() {
            let Some(index) = self.life.due(now.boot_ms) else { break };
            self.start(index, now)?;
        }
        Ok(())
    }

    fn start(&mut self, index: usize, now: ClockReading) -> Result<(), TooLate> {
        let container = &self.spec.containers[index];
        let confidential = self.confidential.containers.get(&container.name);
        match job::spawn(container, confidential, self.isolation, self.deadline) {
            Ok(job) => self.adopt(index, job, now),
            Err(NotStarted::TooLate) => return Err(TooLate),
            Err(NotStarted::Refused { code, message }) => {
                let reason = ExitReason::StartError;
                let (code, signal, started_at_ms) = (Some(code), None, None);
                let finished_at_ms = now.real_ms;
                let end = ContainerEnd { started_at_ms, finished_at_ms, code, signal, reason, message };
                self.life.ended(index, end, now.boot_ms, true);
            }
        }
        Ok(())
    }

    fn adopt(&mut self, index: usize, job: Job, now: ClockReading) {
        let container = &self.spec.containers[index];
        let log = LogWriter::new(&container.log, container.log_cap_bytes, DroppedBytes::clone(&self.dropped));
        // Without a thread for it the container runs on and its output is lost, as on a full disk.
        self.pumps[index] = LogPump::start(job.streams.stdout, job.streams.stderr, log).ok();
        self.inputs[index] = job.streams.input;
        self.life.started(index, job.pid, now.boot_ms, now.real_ms);
        self.children_left = true;
    }

    fn enforce_deadline(&mut self, now: ClockReading) {
        let due = self.deadline.as_mut().map_or(Due::Nothing, |deadline| deadline.check(now));
        match due {
            Due::Nothing => {}
            Due::Terminate => self.begin_stop(StopReason::Fenced, "", u64::MAX),
            Due::Kill => self.begin_stop(StopReason::Fenced, "", now.boot_ms),
        }
    }

    fn enforce_grace(&mut self, now: ClockReading) {
        if let Some(stop) = &mut self.stop
            && now.boot_ms >= stop.kill_at_boot_ms
        {
            stop.killed = true;
            signal_all(self.isolation, Signal::SIGKILL);
        }
    }

    /// SIGTERM to everything at the first demand. Later ones may only bring SIGKILL closer, and a fence takes
    /// over whatever was asked before.
    fn begin_stop(&mut self, reason: StopReason, message: &str, kill_at_boot_ms: u64) {
        match &mut self.stop {
            Some(stop) => {
                stop.kill_at_boot_ms = stop.kill_at_boot_ms.min(kill_at_boot_ms);
                if reason == StopReason::Fenced && !self.life.is_over() {
                    stop.reason = Some(reason);
                }
            }
            None if self.life.is_over() => {}
            None => {
                let (reason, message) = (Some(reason), message.to_owned());
                self.stop = Some(Stop { reason, message, kill_at_boot_ms, killed: false });
                signal_all(self.isolation, Signal::SIGTERM);
            }
        }
    }

    /// Once the main containers have ended their sidecars get SIGTERM and the pod's grace.
    fn let_sidecars_go(&mut self, now: ClockReading) {
        if self.stop.is_some() || !self.life.is_over() || self.life.pids().next().is_none() {
            return;
        }
        let kill_at_boot_ms = now.boot_ms.saturating_add(self.spec.grace_ms);
        self.stop = Some(Stop { reason: None, message: String::new(), kill_at_boot_ms, killed: false });
        signal_all(self.isolation, Signal::SIGTERM);
    }

    fn collect(&mut self, now: ClockReading) {
        loop {
            match reap_one() {
                Reaped::Child { pid, status } => self.ended(pid, status, now),
                Reaped::NoneYet => return,
                Reaped::NoChildren => return self.children_left = false,
            }
        }
    }

    fn ended(&mut self, pid: i32, status: std::process::ExitStatus, now: ClockReading) {
        use std::os::unix::process::ExitStatusExt;
        let Some(index) = self.life.by_pid(pid) else { return };
        self.inputs[index] = None;
        self.control.let_go(index);
        let started_at_ms = self.life.since_ms(index).unwrap_or(self.started_at_ms);
        let end = ContainerEnd::of_process(started_at_ms, now.real_ms, status.code(), status.signal());
        self.life.ended(index, end, now.boot_ms, self.stop.is_none());
        if !self.life.is_over() && self.stop.is_none() {
            self.remains.add(index, pid);
        }
    }

    fn take_signals(&mut self, now: ClockReading) {
        while let Some(signal) = self.wakes.take_signal() {
            if signal == Signal::SIGTERM || signal == Signal::SIGINT {
                self.begin_stop(StopReason::Stopped, "", now.boot_ms.saturating_add(self.spec.grace_ms));
            }
        }
    }

    fn answer_requests(&mut self) {
        let mut requests = Vec::new();
        self.control.receive(&mut requests);
        for (connection, request) in requests {
            let reply = match request {
                Ok(Request::Attach { container, input }) => {
                    self.attach(connection, &container, input);
                    continue;
                }
                Ok(request) => self.answer(&request),
                Err(message) => Reply::Refused { reason: Refusal::Malformed, message },
            };
            self.control.send(connection, &reply, None);
        }
        for container in self.control.take_left() {
            self.inputs[container].take_if(|input| input.ends_with_client());
        }
    }

    /// Gives a copy of our end of what a container reads. From then on its client has it: see [`super::streams`].
    fn attach(&mut self, connection: usize, container: &str, wants_input: bool) {
        let index = self.spec.containers.iter().position(|known| known.name == container);
        let Some(index) = index.filter(|index| self.life.since_ms(*index).is_some()) else {
            let why = format!("container {container} does not run");
            return self.control.send(connection, &refused(Refusal::Ended, &why), None);
        };
        if !self.control.has_room() {
            let why = "as many are attached as this pod takes; try again when one of them is gone";
            return self.control.send(connection, &refused(Refusal::TooMany, why), None);
        }
        let input = self.inputs[index].as_ref();
        let takes_bytes = wants_input && input.is_some_and(Input::takes_bytes);
        let end = input.filter(|input| takes_bytes || input.is_terminal()).map(Input::end);
        self.control.send(connection, &Reply::Attached { takes_bytes }, end);
        if takes_bytes {
            self.control.attach(connection, index);
        }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let now = SystemClock.now();
        match request {
            Request::Status => Reply::Status(self.status(now)),
            Request::Renew(_) | Request::Stop { .. } | Request::Signal { .. } if self.life.is_over() => {
                refused(Refusal::Ended, "the pod is over")
            }
            Request::Renew(grant) => match &mut self.deadline {
                None => refused(Refusal::NotFenced, "the pod was started without a fence deadline"),
                Some(deadline) => match deadline.renew(*grant, now) {
                    Ok(()) => Reply::Done,
                    Err(error) => refused(Refusal::Fenced, &error.to_string()),
                },
            },
            Request::Stop { grace_ms, reason, message } => {
                self.begin_stop(*reason, message, now.boot_ms.saturating_add(*grace_ms));
                Reply::Done
            }
            Request::Signal { number } => self.signal_containers(*number),
            Request::Attach { .. } => refused(Refusal::Malformed, "it is answered with a descriptor"),
        }
    }

    fn signal_containers(&self, number: i32) -> Reply {
        let Ok(signal) = Signal::try_from(number) else {
            return refused(Refusal::Malformed, "not the number of a standard signal");
        };
        let sent = self.life.pids().filter(|pid| killpg(Pid::from_raw(*pid), signal).is_ok()).count();
        if sent > 0 { Reply::Done } else { refused(Refusal::Ended, "no container runs") }
    }

    /// What containers left behind goes with them: all of it at the pod's end, else what is known to be theirs.
    fn sweep(&mut self) {
        if self.is_killing() {
            self.remains.clear();
            if self.children_left {
                signal_all(self.isolation, Signal::SIGKILL);
            }
        } else {
            self.remains.kill();
        }
    }

    fn is_killing(&self) -> bool {
        match &self.stop {
            Some(stop) => stop.killed || (self.life.is_over() && self.life.pids().next().is_none()),
            None => self.life.is_over() && self.life.pids().next().is_none(),
        }
    }

    /// How the containers stand, for the agent. A disk that does not take it is tried again at the next change.
    fn tell_containers(&mut self) {
        let statuses = self.life.statuses();
        if statuses != self.told {
            let written =
                durable::write_json(Path::new("."), CONTAINERS_FILE, &statuses, Durability::UntilReboot);
            if written.is_ok() {
                self.told = statuses;
            }
        }
    }

    fn status(&self, now: ClockReading) -> ShimStatus {
        let phase = if self.is_done() {
            ShimPhase::Ended
        } else if self.is_killing() {
            ShimPhase::Ending
        } else if self.stop.is_some() {
            ShimPhase::Stopping
        } else {
            ShimPhase::Running
        };
        ShimStatus {
            phase,
            isolation: self.isolation,
            fence_left_ms: self.deadline.map(|deadline| deadline.left_ms(now)),
            dropped_log_bytes: self.dropped.load(Ordering::Relaxed),
        }
    }

    /// Waits until what was written is stored; false when the disk did not take it in time.
    fn finish_logs(&self) -> bool {
        let until = Instant::now() + LOG_PATIENCE;
        let left = || until.saturating_duration_since(Instant::now());
        self.pumps.iter().flatten().all(|pump| pump.finish(left()))
    }

    fn exit_record(&self, logged: bool) -> ExitRecord {
        let deciding = self.life.deciding_end();
        let asked = self.stop.as_ref().and_then(|stop| Some((stop.reason?, &stop.message)));
        let (reason, said) = match (asked, deciding) {
            (Some((reason, message)), _) => (reason.into(), message.clone()),
            (None, Some(end)) => (end.reason, end.message.clone()),
            (None, None) => (ExitReason::Stopped, String::new()),
        };
        let not_logged = "the disk did not take the last output in time";
        ExitRecord {
            started_at_ms: Some(self.started_at_ms),
            finished_at_ms: deciding.map_or_else(|| SystemClock.now().real_ms, |end| end.finished_at_ms),
            code: deciding.and_then(|end| end.code),
            signal: deciding.and_then(|end| end.signal),
            reason,
            message: if logged || !said.is_empty() { said } else { not_logged.to_owned() },
            dropped_log_bytes: self.dropped.load(Ordering::Relaxed),
            containers: self.life.statuses(),
        }
    }

    /// The record is the only proof of the end: it is tried until the disk takes it or the folder is gone.
    fn persist(&mut self, record: &ExitRecord) {
        while durable::write_json(Path::new("."), EXIT_FILE, record, Durability::Synced).is_err() {
            if !Path::new(SPEC_FILE).exists() {
                return;
            }
            self.wakes.arm(Some(in_ms(RECORD_AGAIN_MS)));
            self.wakes.wait(&self.control, PollTimeout::from(RECORD_AGAIN_MS));
            self.answer_requests();
        }
    }
}

/// So many milliseconds from now.
fn in_ms(ms: u16) -> ClockReading {
    ClockReading { boot_ms: SystemClock.now().boot_ms.saturating_add(ms.into()), real_ms: u64::MAX }
}

fn refused(reason: Refusal, message: &str) -> Reply {
    Reply::Refused { reason, message: message.to_owned() }
}
