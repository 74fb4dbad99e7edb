//! What ends a wait of the shim, besides the control socket: signals, and times on either clock.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigEvent, SigHandler, SigSet, SigevNotify, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timer::Timer;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::ClockId as Clocks;

use super::clock::{Clock, ClockReading, SystemClock};
use super::control::ControlServer;
use super::error::ShimError;

/// When a shim that stands still though something is due is signalled, in milliseconds after it is: at once, and again in
/// case somebody stops it before it has done what is due and set the next time.
const THAWS_MS: [u64; 8] = [0, 100, 200, 400, 800, 1_600, 3_200, 6_400];

/// The open descriptors.
pub(crate) struct Wakes {
    signals: SignalFd,
    boot: TimerFd,
    real: TimerFd,
    /// One for each of [`THAWS_MS`].
    thaws: Vec<Timer>,
}

impl Wakes {
    /// Blocks the signals that it listens to.
    pub(crate) fn new() -> Result<Wakes, ShimError> {
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
            thaws: thaw_timers()?,
        })
    }

    /// Wakes at `at` on either clock, and when somebody sets the realtime clock.
    pub(crate) fn arm(&mut self, at: Option<ClockReading>) {
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        // There is no unset for the third: nothing is ever due in the far future.
        let at = at.unwrap_or(ClockReading { boot_ms: u64::MAX, real_ms: u64::MAX });
        let boot = self.boot.set(Expiration::OneShot(instant(at.boot_ms)), absolute);
        let on_set = absolute | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        let real = self.real.set(Expiration::OneShot(instant(at.real_ms)), on_set);
        // What was due long ago is as good as due now: none of the signals may be spent already.
        let due_ms = at.boot_ms.max(SystemClock.now().boot_ms);
        let thaws = self.thaws.iter_mut().zip(THAWS_MS).try_for_each(|(thaw, after_ms)| {
            thaw.set(Expiration::OneShot(instant(due_ms.saturating_add(after_ms))), absolute)
        });
        boot.and(real).and(thaws).expect("an absolute time on an open timer is always accepted");
    }

    /// Until something comes, or the timeout passed.
    pub(crate) fn wait(&self, control: &ControlServer, timeout: PollTimeout) {
        let own = [self.signals.as_fd(), self.boot.as_fd(), self.real.as_fd()];
        let all = own.into_iter().chain(control.descriptors());
        let mut descriptors: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted wait is a wake like any other: whoever waits looks at everything.
        let _interrupted = poll(&mut descriptors, timeout);
    }

    /// A signal that arrived, if any.
    pub(crate) fn take_signal(&self) -> Option<Signal> {
        let taken = self.signals.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(taken.ssi_signo).ok()?).ok()
    }
}

fn timer(clock: ClockId) -> Result<TimerFd, ShimError> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    TimerFd::new(clock, flags).map_err(ShimError::system("timerfd_create"))
}

/// A process that somebody stopped reads no clock, while its job runs on. So the kernel sends it SIGCONT when
/// something is due: that continues a stopped process and does nothing to a running one. A timer with an interval would
/// not do: it is set anew when its signal is taken, and a stop takes SIGCONT out of the queue (and Linux 6.13 sets none
/// anew whose signal has no handler).
fn thaw_timers() -> Result<Vec<Timer>, ShimError> {
    let event = || SigEvent::new(SigevNotify::SigevSignal { signal: Signal::SIGCONT, si_value: 0 });
    let timers = THAWS_MS.iter().map(|_| Timer::new(Clocks::CLOCK_BOOTTIME, event()));
    timers.collect::<nix::Result<_>>().map_err(ShimError::system("timer_create"))
}

/// A zero would disarm the timer, and a far future overflow it.
fn instant(ms: u64) -> TimeSpec {
    const FAR_MS: u64 = 1 << 50;
    TimeSpec::from(Duration::from_millis(ms.clamp(1, FAR_MS)))
}
