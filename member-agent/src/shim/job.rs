//! The first process of a container: from spec to exec.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{pipe2, setsid};

use super::clock::{Clock, SystemClock};
use super::confidential::ConfidentialContainer;
use super::deadline::{Deadline, Due};
use super::descriptors::close_others_on_exec;
use super::isolation::Isolation;
use super::mounts::MountPlan;
use super::spec::{ContainerSpec, ResourceLimits};
use super::streams::{Kept, Streams, take_terminal};

/// The main process and our ends of its streams.
pub(crate) struct Job {
    pub(crate) pid: i32,
    pub(crate) streams: Kept,
}

/// Why nothing runs.
pub(crate) enum NotStarted {
    /// The fence deadline came first.
    TooLate,
    /// The system refused, most often because the program does not exist.
    Refused {
        /// As shells answer: 127 for a command that does not exist, 126 for one that can not be executed; 128 for
        /// mounts that can not be had, as container runtimes do.
        code: i32,
        /// What was tried, and the system's reason.
        message: String,
    },
}

/// Executes the container's command, unless `deadline` is due by then: it is looked at once more between fork
/// and exec, so that a shim that was frozen in between executes nothing either.
pub(crate) fn spawn(
    container: &ContainerSpec,
    confidential: Option<&ConfidentialContainer>,
    isolation: Isolation,
    deadline: Option<Deadline>,
) -> Result<Job, NotStarted> {
    let argv = confidential.and_then(|own| own.argv.as_ref()).unwrap_or(&container.argv);
    let mounts = MountPlan::new(container).map_err(|error| not_mounted(&error.to_string()))?;
    let (failed, failed_writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .map_err(|error| not_mounted(&format!("make a pipe: {error}")))?;
    let mut command = command(container, argv, confidential);
    let streams = Streams::open(container, &mut command)
        .map_err(|error| refused(128, format!("open its standard streams: {error}")))?;
    let has_terminal = streams.is_terminal();
    let mounts = mounts.map(std::sync::Arc::new);
    let limits = container.limits;
    let planned = mounts.clone();
    // SAFETY: between fork and exec the closure makes system calls on values that were prepared before; it allocates
    // nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            reset_signals()?;
            close_others_on_exec()?;
            enter_own_session(isolation)?;
            if has_terminal {
                take_terminal()?;
            }
            if let Some(planned) = &planned {
                planned.perform(failed_writer.as_raw_fd())?;
            }
            apply(limits)?;
            refuse_when_due(deadline)
        });
    }
    let spawned = command.spawn();
    // Holds the other end of the pipe.
    drop(command);
    let mut child = spawned.map_err(|error| match error.raw_os_error() {
        Some(libc::ETIME) => NotStarted::TooLate,
        _ => match failed_step(failed).zip(mounts) {
            Some((number, plan)) => not_mounted(&format!("{}: {error}", plan.describe(number))),
            None => refused(start_error_code(&error), format!("{}: {error}", argv[0])),
        },
    })?;
    let pid = i32::try_from(child.id()).expect("Linux pids fit");
    Ok(Job { pid, streams: streams.keep(&mut child) })
}

fn command(
    container: &ContainerSpec,
    argv: &[String],
    confidential: Option<&ConfidentialContainer>,
) -> Command {
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env_clear()
        .envs(&container.env)
        .envs(confidential.iter().flat_map(|own| &own.env));
    // With mounts the folder may be there only after them: then it is their last step.
    if container.mounts.is_empty() {
        command.current_dir(&container.working_dir);
    }
    command
}

fn refused(code: i32, message: String) -> NotStarted {
    NotStarted::Refused { code, message }
}

fn not_mounted(message: &str) -> NotStarted {
    refused(128, format!("volumeMounts: {message}"))
}

/// The step of the mounts that failed, if one did.
fn failed_step(pipe: OwnedFd) -> Option<u64> {
    let mut number = [0; 8];
    File::from(pipe).read_exact(&mut number).ok()?;
    Some(u64::from_ne_bytes(number))
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
