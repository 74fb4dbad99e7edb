//! A process that stands still: SIGSTOP now, SIGCONT at the latest when the guard goes, so that a failed test leaves nothing
//! behind that cannot be stopped.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::federation::Federation;
use super::witness::now_ms;

/// A frozen child of `muster up`.
pub struct Frozen {
    pid: Pid,
    /// When it was stopped, Unix time.
    pub since_ms: u64,
}

impl Frozen {
    /// Stops all threads of a child. Panics if it has no process.
    pub fn freeze(federation: &Federation, name: &str) -> Frozen {
        let pid = Pid::from_raw(federation.pid(name));
        assert!(pid.as_raw() > 0, "{name} has no process");
        kill(pid, Signal::SIGSTOP).expect("it is there");
        Frozen { pid, since_ms: now_ms() }
    }

    /// Lets it go on.
    pub fn thaw(self) {}
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = kill(self.pid, Signal::SIGCONT);
    }
}
