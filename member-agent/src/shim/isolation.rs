//! How the processes of one pod are held together, so that none of them outlives the shim.
//!
//! First choice: a PID namespace with the shim as init, entered directly with CAP_SYS_ADMIN, or through a user
//! namespace that maps the caller to itself. Otherwise: a subreaper, which finds detached children but can not
//! take them along when it is killed itself.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{getgid, getuid};
use serde::{Deserialize, Serialize};

use super::error::ShimError;

/// What the agent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IsolationRequest {
    /// A PID namespace where it is permitted.
    Auto,
    /// Never a PID namespace.
    Subreaper,
}

/// What was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// The shim is init: its death is the death of all.
    PidNamespace,
    /// The shim adopts orphans; its own death may leave some behind.
    Subreaper,
}

impl Isolation {
    /// Whether a fence deadline can be promised.
    pub fn can_fence(self) -> bool {
        self == Isolation::PidNamespace
    }
}

const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWPID.union(CloneFlags::CLONE_NEWNS);

/// Prepares the calling, single-threaded process: its next child is the init of the new namespace.
pub(crate) fn enter(request: IsolationRequest) -> Result<Isolation, ShimError> {
    if request == IsolationRequest::Subreaper {
        return Ok(Isolation::Subreaper);
    }
    if unshare(NAMESPACES).is_ok() {
        return Ok(Isolation::PidNamespace);
    }
    let (uid, gid) = (getuid(), getgid());
    if unshare(NAMESPACES | CloneFlags::CLONE_NEWUSER).is_err() {
        return Ok(Isolation::Subreaper);
    }
    map_to_self("/proc/self/setgroups", "deny")?;
    map_to_self("/proc/self/uid_map", &format!("{uid} {uid} 1"))?;
    map_to_self("/proc/self/gid_map", &format!("{gid} {gid} 1"))?;
    Ok(Isolation::PidNamespace)
}

fn map_to_self(path: &'static str, line: &str) -> Result<(), ShimError> {
    fs::write(path, line).map_err(ShimError::file("write", path))
}

/// The rest, inside the new process.
pub(crate) fn settle(isolation: Isolation) -> Result<(), ShimError> {
    match isolation {
        Isolation::PidNamespace => {
            // Where /proc is partly masked (some containers) the kernel refuses a second one. The job then
            // sees outer pids, which is odd for its tools but breaks none of our promises.
            let _refused = mount_own_proc();
            Ok(())
        }
        Isolation::Subreaper => {
            prctl::set_child_subreaper(true).map_err(ShimError::system("prctl(PR_SET_CHILD_SUBREAPER)"))
        }
    }
}

fn mount_own_proc() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE)
}

/// What [`IsolationRequest::Auto`] would give on this machine. Tried in a child that executes nothing.
pub fn probe() -> Isolation {
    let mut attempt = Command::new("/proc/self/exe");
    // SAFETY: between fork and exec the closure makes system calls only and returns an error that owns no heap
    // memory.
    unsafe {
        attempt.pre_exec(|| {
            let permitted =
                unshare(NAMESPACES).or_else(|_| unshare(NAMESPACES | CloneFlags::CLONE_NEWUSER)).is_ok();
            // Always an error: the answer is its number and nothing is executed.
            let answer = if permitted { nix::libc::EALREADY } else { nix::libc::EPERM };
            Err(io::Error::from_raw_os_error(answer))
        });
    }
    match attempt.spawn() {
        Err(error) if error.raw_os_error() == Some(nix::libc::EALREADY) => Isolation::PidNamespace,
        _ => Isolation::Subreaper,
    }
}
