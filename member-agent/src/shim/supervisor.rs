//! The loop of a shim: wait for input, deadline first, then everything else, until nothing of the pod is left.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigEvent, SigHandler, SigSet, SigevNotify, Signal, killpg, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timer::Timer;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::ClockId as Clocks;
use nix::unistd::Pid;

use super::clock::{Clock, ClockReading, SystemClock};
use super::control::ControlServer;
use super::deadline::{Deadline, Due};
use super::durable::{self, Durability};
use super::error::ShimError;
use super::isolation::Isolation;
use super::job::Job;
use super::log_pump::LogPump;
use super::log_writer::{DroppedBytes, LogWriter};
use super::processes::{Reaped, reap_one, signal_all};
use super::protocol::{Refusal, Reply, Request, ShimPhase, ShimStatus, StopReason};
use super::record::{ExitReason, ExitRecord};
use super::spec::{EXIT_FILE, SPEC_FILE, ShimSpec};

/// How often SIGKILL is repeated while something is left: a fork may have raced the last one.
const KILL_AGAIN_MS: u16 = 20;
/// How often the exit record is tried again when the disk does not take it.
const RECORD_AGAIN_MS: u16 = 250;
/// How long the end waits for the disk to take the last output.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that one shim holds.
pub(crate) struct Supervisor {
    isolation: Isolation,
    deadline: Option<Deadline>,
    stop: Option<Stop>,
    main: Main,
    children_left: bool,
    started_at_ms: u64,
    grace_ms: u64,
    dropped: DroppedBytes,
    pump: Option<LogPump>,
    control: ControlServer,
    wakes: Wakes,
    /// Held, never read: its release says that the shim is gone.
    _lock: File,
}

/// A stop in progress.
struct Stop {
    reason: StopReason,
    kill_at_boot_ms: u64,
    killed: bool,
}

/// The process whose end is the pod's end.
enum Main {
    NotYet,
    Running { pid: i32 },
    Ended { status: ExitStatus, at_ms: u64 },
}

impl Supervisor {
    /// Everything that can fail, done before the job exists.
    pub(crate) fn new(
        isolation: Isolation,
        deadline: Option<Deadline>,
        lock: File,
        socket: &Path,
    ) -> Result<Supervisor, ShimError> {
        let mut supervisor = Supervisor {
            isolation,
            deadline,
            stop: None,
            main: Main::NotYet,
            children_left: true,
            started_at_ms: 0,
            grace_ms: 0,
            dropped: DroppedBytes::default(),
            pump: None,
            control: ControlServer::bind(socket)?,
            wakes: Wakes::new()?,
            _lock: lock,
        };
        // Before the job exists: from its first moment on a stop of this process must not delay the fence.
        supervisor.wakes.arm(supervisor.next_check());
        Ok(supervisor)
    }

    /// Takes over the job that was just executed.
    pub(crate) fn adopt(&mut self, job: Job, spec: &ShimSpec, started_at_ms: u64) -> Result<(), ShimError> {
        let container = spec.container();
        let log = LogWriter::new(&container.log, container.log_cap_bytes, DroppedBytes::clone(&self.dropped));
        self.main = Main::Running { pid: job.pid };
        self.started_at_ms = started_at_ms;
        self.grace_ms = spec.grace_ms;
        self.pump = Some(LogPump::start(job.stdout, job.stderr, log).map_err(ShimError::system("thread"))?);
        Ok(())
    }

    /// Until nothing of the pod is left and its end is on disk.
    pub(crate) fn run(mut self) {
        while self.children_left {
            self.wait();
            let now = SystemClock.now();
            // Before any other input: after a freeze the deadline may have passed, and then neither an exit
            // status nor a renewal that waited meanwhile counts.
            self.enforce_deadline(now);
            self.enforce_grace(now);
            self.collect(now);
            self.take_signals(now);
            self.answer_requests();
            self.sweep();
        }
        let logged = self.pump.as_ref().is_none_or(|pump| pump.finish(LOG_PATIENCE));
        let record = self.exit_record(logged);
        self.persist(&record);
    }

    fn wait(&mut self) {
        let timeout = if self.is_killing() { PollTimeout::from(KILL_AGAIN_MS) } else { PollTimeout::NONE };
        self.wakes.arm(self.next_check());
        self.wakes.wait(&self.control, timeout);
    }

    /// When the clocks alone make something due.
    fn next_check(&self) -> Option<ClockReading> {
        let fence = self.deadline.as_ref().and_then(Deadline::next_check);
        let grace = self.stop.as_ref().filter(|stop| !stop.killed).map(|stop| stop.kill_at_boot_ms);
        match (fence, grace) {
            (Some(fence), Some(boot_ms)) => {
                Some(ClockReading { boot_ms: boot_ms.min(fence.boot_ms), ..fence })
            }
            (Some(fence), None) => Some(fence),
            (None, Some(boot_ms)) => Some(ClockReading { boot_ms, real_ms: u64::MAX }),
            (None, None) => None,
        }
    }

    fn enforce_deadline(&mut self, now: ClockReading) {
        let due = self.deadline.as_mut().map_or(Due::Nothing, |deadline| deadline.check(now));
        match due {
            Due::Nothing => {}
            Due::Terminate => self.begin_stop(StopReason::Fenced, u64::MAX),
            Due::Kill => self.begin_stop(StopReason::Fenced, now.boot_ms),
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
    fn begin_stop(&mut self, reason: StopReason, kill_at_boot_ms: u64) {
        if !matches!(self.main, Main::Running { .. }) {
            return;
        }
        match &mut self.stop {
            Some(stop) => {
                stop.kill_at_boot_ms = stop.kill_at_boot_ms.min(kill_at_boot_ms);
                if reason == StopReason::Fenced {
                    stop.reason = reason;
                }
            }
            None => {
                self.stop = Some(Stop { reason, kill_at_boot_ms, killed: false });
                signal_all(self.isolation, Signal::SIGTERM);
            }
        }
    }

    fn collect(&mut self, now: ClockReading) {
        loop {
            match reap_one() {
                Reaped::Child { pid, status } => {
                    if matches!(self.main, Main::Running { pid: main } if main == pid) {
                        self.main = Main::Ended { status, at_ms: now.real_ms };
                    }
                }
                Reaped::NoneYet => return,
                Reaped::NoChildren => return self.children_left = false,
            }
        }
    }

    fn take_signals(&mut self, now: ClockReading) {
        while let Some(signal) = self.wakes.take_signal() {
            if signal == Signal::SIGTERM || signal == Signal::SIGINT {
                self.begin_stop(StopReason::Stopped, now.boot_ms.saturating_add(self.grace_ms));
            }
        }
    }

    fn answer_requests(&mut self) {
        let mut requests = Vec::new();
        self.control.receive(&mut requests);
        for (connection, request) in requests {
            let reply = match request {
                Ok(request) => self.answer(&request),
                Err(message) => Reply::Refused { reason: Refusal::Malformed, message },
            };
            self.control.send(connection, &reply);
        }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let now = SystemClock.now();
        match *request {
            Request::Status => Reply::Status(self.status(now)),
            Request::Renew(_) | Request::Stop { .. } | Request::Signal { .. }
                if self.main_pid().is_none() =>
            {
                refused(Refusal::Ended, "the main process has ended")
            }
            Request::Renew(grant) => match &mut self.deadline {
                None => refused(Refusal::NotFenced, "the pod was started without a fence deadline"),
                Some(deadline) => match deadline.renew(grant, now) {
                    Ok(()) => Reply::Done,
                    Err(error) => refused(Refusal::Fenced, &error.to_string()),
                },
            },
            Request::Stop { grace_ms, reason } => {
                self.begin_stop(reason, now.boot_ms.saturating_add(grace_ms));
                Reply::Done
            }
            Request::Signal { number } => self.signal_main(number),
        }
    }

    fn signal_main(&self, number: i32) -> Reply {
        let Ok(signal) = Signal::try_from(number) else {
            return refused(Refusal::Malformed, "not the number of a standard signal");
        };
        let sent = self.main_pid().map(|pid| killpg(Pid::from_raw(pid), signal));
        if sent == Some(Ok(())) { Reply::Done } else { refused(Refusal::Ended, "the main process has ended") }
    }

    /// What the main process left behind goes with it, as in a container.
    fn sweep(&self) {
        if self.children_left && self.is_killing() {
            signal_all(self.isolation, Signal::SIGKILL);
        }
    }

    fn is_killing(&self) -> bool {
        matches!(self.main, Main::Ended { .. }) || self.stop.as_ref().is_some_and(|stop| stop.killed)
    }

    fn main_pid(&self) -> Option<i32> {
        if let Main::Running { pid } = self.main { Some(pid) } else { None }
    }

    fn status(&self, now: ClockReading) -> ShimStatus {
        let phase = if !self.children_left {
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

    fn exit_record(&self, logged: bool) -> ExitRecord {
        let Main::Ended { status, at_ms } = &self.main else {
            unreachable!("children are left until the main process was collected")
        };
        let signal = status.signal();
        let code = status.code().or(signal.map(|signal| 128 + signal));
        let reason = match &self.stop {
            Some(stop) => stopped_reason(stop.reason),
            None if code == Some(0) => ExitReason::Completed,
            None => ExitReason::Error,
        };
        let message = if logged { "" } else { "the disk did not take the last output in time" };
        ExitRecord {
            started_at_ms: Some(self.started_at_ms),
            finished_at_ms: *at_ms,
            code,
            signal,
            reason,
            message: message.to_owned(),
            dropped_log_bytes: self.dropped.load(Ordering::Relaxed),
        }
    }

    /// The record is the only proof of the end: it is tried until the disk takes it or the folder is gone.
    fn persist(&mut self, record: &ExitRecord) {
        while durable::write_json(Path::new("."), EXIT_FILE, record, Durability::Synced).is_err() {
            if !Path::new(SPEC_FILE).exists() {
                return;
            }
            self.wakes.arm(None);
            self.wakes.wait(&self.control, PollTimeout::from(RECORD_AGAIN_MS));
            self.answer_requests();
        }
    }
}

fn refused(reason: Refusal, message: &str) -> Reply {
    Reply::Refused { reason, message: message.to_owned() }
}

fn stopped_reason(reason: StopReason) -> ExitReason {
    match reason {
        StopReason::Stopped => ExitReason::Stopped,
        StopReason::DeadlineExceeded => ExitReason::DeadlineExceeded,
        StopReason::Fenced => ExitReason::Fenced,
    }
}

/// What ends a wait, besides the control socket.
struct Wakes {
    signals: SignalFd,
    boot: TimerFd,
    real: TimerFd,
    thaw: Timer,
}

impl Wakes {
    fn new() -> Result<Wakes, ShimError> {
        let mask = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
        // Blocked, not ignored: an ignored signal would stay ignored in the job.
        mask.thread_block().map_err(ShimError::system("pthread_sigmask"))?;
        // SAFETY: the default disposition runs no code of ours. It may have been inherited as ignored, and then
        // the kernel would collect children without telling their status.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map_err(ShimError::system("sigaction"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Wakes {
            signals: SignalFd::with_flags(&mask, flags).map_err(ShimError::system("signalfd"))?,
            boot: timer(ClockId::CLOCK_BOOTTIME)?,
            real: timer(ClockId::CLOCK_REALTIME)?,
            thaw: thaw_timer()?,
        })
    }

    /// Wakes at `at` on either clock, and when somebody sets the realtime clock.
    fn arm(&mut self, at: Option<ClockReading>) {
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        // There is no unset for the third: nothing is ever due in the far future.
        let at = at.unwrap_or(ClockReading { boot_ms: u64::MAX, real_ms: u64::MAX });
        let boot = self.boot.set(Expiration::OneShot(instant(at.boot_ms)), absolute);
        let on_set = absolute | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        let real = self.real.set(Expiration::OneShot(instant(at.real_ms)), on_set);
        let thaw = self.thaw.set(Expiration::OneShot(instant(at.boot_ms)), absolute);
        boot.and(real).and(thaw).expect("an absolute time on an open timer is always accepted");
    }

    fn wait(&self, control: &ControlServer, timeout: PollTimeout) {
        let own = [self.signals.as_fd(), self.boot.as_fd(), self.real.as_fd()];
        let all = own.into_iter().chain(control.descriptors());
        let mut descriptors: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted wait is a wake like any other: whoever waits looks at everything.
        let _interrupted = poll(&mut descriptors, timeout);
    }

    fn take_signal(&self) -> Option<Signal> {
        let taken = self.signals.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(taken.ssi_signo).ok()?).ok()
    }
}

fn timer(clock: ClockId) -> Result<TimerFd, ShimError> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    TimerFd::new(clock, flags).map_err(ShimError::system("timerfd_create"))
}

/// A process that somebody stopped reads no clock, while its job runs on. So the kernel sends it SIGCONT when
/// something is due: that continues a stopped process and does nothing to a running one.
fn thaw_timer() -> Result<Timer, ShimError> {
    let event = SigEvent::new(SigevNotify::SigevSignal { signal: Signal::SIGCONT, si_value: 0 });
    Timer::new(Clocks::CLOCK_BOOTTIME, event).map_err(ShimError::system("timer_create"))
}

/// A zero would disarm the timer, and a far future overflow it.
fn instant(ms: u64) -> TimeSpec {
    const FAR_MS: u64 = 1 << 50;
    TimeSpec::from(Duration::from_millis(ms.clamp(1, FAR_MS)))
}
