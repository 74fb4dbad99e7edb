//! Signalling and collecting every process of the pod, detached ones included.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};

use super::identity::ProcessStat;
use super::isolation::Isolation;
use super::spec::{CONTAINER_VARIABLE, ContainerSpec, POD_VARIABLE, ShimSpec};

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

/// What ended containers left behind while others of the pod go on: their process groups, and processes that carry
/// their mark, wherever they detached to.
pub(crate) struct Remains {
    marks: Vec<[String; 2]>,
    /// Whether `/proc` numbers processes as this one does; if not, marks can not be looked for.
    can_look: bool,
    ended: Vec<(usize, i32)>,
}

impl Remains {
    /// Of the containers of a pod; nothing yet.
    pub(crate) fn of(spec: &ShimSpec, isolation: Isolation) -> Remains {
        let own_proc =
            || fs::read_link("/proc/self").is_ok_and(|link| link.to_str() == Some(&getpid().to_string()));
        let entry = |name: &str, env: &BTreeMap<String, String>| {
            env.get(name).map(|value| format!("{name}={value}")).unwrap_or_default()
        };
        let marks = |container: &ContainerSpec| {
            [entry(POD_VARIABLE, &container.env), entry(CONTAINER_VARIABLE, &container.env)]
        };
        Remains {
            marks: spec.containers.iter().map(marks).collect(),
            can_look: isolation == Isolation::Subreaper || own_proc(),
            ended: Vec::new(),
        }
    }

    /// The container at this position ended; its first process was `pid`.
    pub(crate) fn add(&mut self, container: usize, pid: i32) {
        self.ended.push((container, pid));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.ended.clear();
    }

    /// SIGKILL to all of it; what has none left is done.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let alive = if self.can_look { all_processes() } else { Vec::new() };
        let Remains { marks, ended, .. } = self;
        ended.retain(|(container, pid)| {
            let _nobody_left = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
            let is_marked = |process: &i32| {
                marks[*container]
                    .iter()
                    .all(|mark| !mark.is_empty() && has_environment(*process, mark).unwrap_or(false))
            };
            let left = alive.iter().filter(|(_, stat)| !stat.is_dead()).map(|(process, _)| *process);
            let left: Vec<i32> = left.filter(is_marked).collect();
            for process in &left {
                let _gone_meanwhile = kill(Pid::from_raw(*process), Signal::SIGKILL);
            }
            !left.is_empty()
        });
    }
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
