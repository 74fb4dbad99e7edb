//! Finds and ends what a dead shim without a PID namespace may have left behind.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::backend::pod::PodId;
use crate::shim::processes::{all_processes, has_environment};
use crate::shim::spec::POD_VARIABLE;

/// Processes that carry the mark of `pod`. One that cleared its own environment is not found: that is why this
/// isolation offers no fencing.
pub(crate) fn find(pod: &PodId) -> Vec<i32> {
    let mark = format!("{POD_VARIABLE}={pod}");
    let alive = all_processes().into_iter().filter(|(_, stat)| !stat.is_dead()).map(|(pid, _)| pid);
    alive.filter(|pid| has_environment(*pid, &mark).unwrap_or(false)).collect()
}

/// SIGKILL to all of them, once; how many there were.
pub(crate) fn kill_all(pod: &PodId) -> usize {
    let found = find(pod);
    for pid in &found {
        let _gone_meanwhile = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    found.len()
}
