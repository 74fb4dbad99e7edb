//! The process that a fault is done to. A pid alone is never trusted: it is used again.

use std::io;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its pid.
    pub pid: i32,
    /// Clock ticks between boot and its start: proc(5), stat field 22.
    pub start_ticks: u64,
}

impl Target {
    /// The calling process.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn of_self() -> io::Result<Target> {
        let pid = Pid::this().as_raw();
        Target::of(pid)
    }

    /// The process that has this pid now.
    ///
    /// # Errors
    /// There is none, or `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Target> {
        let fields = stat(pid)?;
        let start = fields.get(19).and_then(|text| text.parse().ok());
        start.map(|start_ticks| Target { pid, start_ticks }).ok_or_else(|| io::Error::other("/proc/PID/stat"))
    }

    /// Whether that very process still runs, or stands still.
    pub fn is_there(&self) -> bool {
        let is_dead = |fields: &[String]| fields.first().is_none_or(|state| matches!(&**state, "Z" | "X"));
        Target::of(self.pid).is_ok_and(|now| now == *self) && stat(self.pid).is_ok_and(|f| !is_dead(&f))
    }

    /// Whether it stands still.
    pub fn is_stopped(&self) -> bool {
        stat(self.pid).is_ok_and(|fields| fields.first().is_some_and(|state| state == "T"))
    }

    /// Whether it was asked to end and has not heard it.
    pub fn is_asked_to_end(&self) -> bool {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{}/status", self.pid)) else { return false };
        let pending = text.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let mask = pending.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
        let bit = |signal: Signal| 1_u64 << (signal as u32 - 1);
        mask & (bit(Signal::SIGTERM) | bit(Signal::SIGINT)) != 0
    }

    /// Makes it stand still.
    ///
    /// # Errors
    /// It may not be signalled, or is gone.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on; one that is gone needs nothing.
    pub fn go_on(&self) {
        if let Err(error) = self.signal(Signal::SIGCONT) {
            tracing::debug!(pid = self.pid, %error, "not continued");
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        if !self.is_there() {
            return Err(io::ErrorKind::NotFound.into());
        }
        kill(Pid::from_raw(self.pid), signal).map_err(io::Error::from)
    }
}

/// The fields of `/proc/PID/stat` behind the name, which may hold anything: the state comes first.
fn stat(pid: i32) -> io::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind = text.rsplit_once(')').ok_or_else(|| io::Error::other("/proc/PID/stat"))?.1;
    Ok(behind.split_whitespace().map(str::to_owned).collect())
}
