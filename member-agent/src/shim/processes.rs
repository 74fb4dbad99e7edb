//! Signalling and collecting every process of the pod, detached ones included.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::identity::ProcessStat;
use super::isolation::Isolation;

/// Sends `signal` to every process of the pod, but not to the shim.
///
/// In a PID namespace `kill(-1)` from init reaches everything inside and nothing outside. It is used only as
/// pid 1: anywhere else it would reach the whole machine.
pub(crate) fn signal_all(isolation: Isolation, signal: Signal) {
    if isolation == Isolation::PidNamespace && getpid() == Pid::from_raw(1) {
        // ESRCH: nobody is left.
        let _nobody_left = kill(Pid::from_raw(-1), signal);
        return;
    }
    for pid in descendants(getpid().as_raw()) {
        let _gone_meanwhile = kill(Pid::from_raw(pid), signal);
    }
}

/// Collects one ended child, whichever it is.
pub(crate) fn reap_one() -> Reaped {
    let mut status = 0;
    // SAFETY: the only pointer is to a local integer that outlives the call.
    // Used instead of nix's wrapper, which loses the pid of a child killed by a real-time signal.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    match pid {
        0 => Reaped::NoneYet,
        pid if pid > 0 => Reaped::Child { pid, status: ExitStatus::from_raw(status) },
        _ if Errno::last() == Errno::EINTR => Reaped::NoneYet,
        _ => Reaped::NoChildren,
    }
}

/// What [`reap_one`] found.
pub(crate) enum Reaped {
    /// This one ended.
    Child { pid: i32, status: ExitStatus },
    /// All children still run.
    NoneYet,
    /// There are none.
    NoChildren,
}

/// All descendants of `ancestor`, by `/proc`. Complete when the ancestor is a subreaper: a detached process hangs
/// under it. A process that forks meanwhile is found by the next call, so callers repeat until none is left.
fn descendants(ancestor: i32) -> Vec<i32> {
    let edges: Vec<(i32, i32)> = all_processes().into_iter().map(|(pid, stat)| (pid, stat.parent)).collect();
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(edges.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Every process that `/proc` shows.
pub(crate) fn all_processes() -> Vec<(i32, ProcessStat)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, ProcessStat::read(pid).ok()?))).collect()
}

/// Whether the environment that `pid` was executed with holds `NAME=value`.
pub(crate) fn has_environment(pid: i32, entry: &str) -> io::Result<bool> {
    let bytes = fs::read(format!("/proc/{pid}/environ"))?;
    Ok(bytes.split(|byte| *byte == 0).any(|found| found == entry.as_bytes()))
}
