//! The first process of the pod: from spec to exec.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::setsid;

use super::clock::{Clock, SystemClock};
use super::deadline::{Deadline, Due};
use super::descriptors::close_others_on_exec;
use super::isolation::Isolation;
use super::spec::{ContainerSpec, ResourceLimits};

/// The main process and its output.
pub(crate) struct Job {
    pub(crate) pid: i32,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

/// Why nothing runs.
pub(crate) enum NotStarted {
    /// The fence deadline came first.
    TooLate,
    /// The system refused, most often because the program does not exist.
    Refused(io::Error),
}

/// Executes the container's command, unless `deadline` is due by then: it is looked at once more between fork
/// and exec, so that a shim that was frozen in between executes nothing either.
pub(crate) fn spawn(
    container: &ContainerSpec,
    isolation: Isolation,
    deadline: Option<Deadline>,
) -> Result<Job, NotStarted> {
    let mut command = command(container);
    let limits = container.limits;
    // SAFETY: between fork and exec the closure makes system calls on copied values only; it allocates nothing
    // and takes no lock.
    unsafe {
        command.pre_exec(move || {
            reset_signals()?;
            close_others_on_exec()?;
            enter_own_session(isolation)?;
            apply(limits)?;
            refuse_when_due(deadline)
        });
    }
    let mut child = command.spawn().map_err(|error| match error.raw_os_error() {
        Some(libc::ETIME) => NotStarted::TooLate,
        _ => NotStarted::Refused(error),
    })?;
    let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
    let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
    let pid = i32::try_from(child.id()).expect("Linux pids fit");
    Ok(Job { pid, stdout: File::from(OwnedFd::from(stdout)), stderr: File::from(OwnedFd::from(stderr)) })
}

fn command(container: &ContainerSpec) -> Command {
    let mut command = Command::new(&container.argv[0]);
    command
        .args(&container.argv[1..])
        .env_clear()
        .envs(&container.env)
        .current_dir(&container.working_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The shim blocks what it reads from a descriptor, and whoever started the agent may ignore some (nohup, a shell's
/// background jobs): both would be inherited.
pub(crate) fn reset_signals() -> io::Result<()> {
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default disposition runs no code of ours.
        unsafe { sigaction(signal, &SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())) }?;
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

fn enter_own_session(isolation: Isolation) -> io::Result<()> {
    setsid()?;
    if isolation == Isolation::Subreaper {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
    }
    Ok(())
}

pub(crate) fn apply(limits: ResourceLimits) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, limits.core_bytes, limits.core_bytes)?;
    let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, limits.open_files.min(hard), hard)?;
    Ok(())
}

fn refuse_when_due(deadline: Option<Deadline>) -> io::Result<()> {
    match deadline {
        Some(deadline) if deadline.due(SystemClock.now()) != Due::Nothing => {
            Err(io::Error::from_raw_os_error(libc::ETIME))
        }
        _ => Ok(()),
    }
}

/// As shells answer: 127 for a command that does not exist, 126 for one that can not be executed.
pub(crate) fn start_error_code(error: &io::Error) -> i32 {
    if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}
