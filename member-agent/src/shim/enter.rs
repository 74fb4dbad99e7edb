//! One more command inside a running pod, for `exec`: from `muster shim --dir DIR --enter` to a process beside the job's own.
//!
//! ```text
//!  agent --descriptor 3: what to run--> helper --fork, into the pod's namespaces--> command
//!    ^   <-how it ended, one line------   |  waits; kills the command when descriptor 3 closes, when the pod
//!    +----standard streams or a terminal--+  ends, or when it dies itself
//! ```
//!
//! The shim has no part in it: what runs in its PID namespace dies with it, and where there is none the helper watches it.
//! The command has the container's environment, working folder and limits. It must not outlive whoever asked for it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use serde::{Deserialize, Serialize};

use super::descriptors::close_others_on_exec;
use super::durable;
use super::error::ShimError;
use super::job::{apply, reset_signals, start_error_code};
use super::processes::{all_processes, has_environment};
use super::record::ShimRecord;
use super::spec::{CONTAINER_VARIABLE, ContainerSpec, SHIM_FILE, ShimSpec};
use super::streams::take_terminal;

/// Where the helper finds the agent.
pub(crate) const CONTROL_FD: RawFd = 3;
/// Marks every process of one command, so that those that left its process group are found too.
const MARK_VARIABLE: &str = "MUSTER_EXEC";
/// Looks for processes that a kill left behind: each may have forked meanwhile.
const KILL_ROUNDS: usize = 8;

/// What to run, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EnterSpec {
    /// Name of the container.
    pub(crate) container: String,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Whether the standard streams are a terminal.
    pub(crate) tty: bool,
    /// Unique on this machine.
    pub(crate) mark: String,
}

/// How it ended, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EnterEnd {
    /// Its exit code, 128 + signal if it was killed.
    Exited(i32),
    /// It was not run: why.
    Failed(String),
}

/// Runs the command that the agent names on descriptor 3 in the pod of the folder `dir`, and stays until it has ended.
///
/// Must be called while the process has one thread.
pub fn enter(dir: &Path) -> ExitCode {
    // SAFETY: whoever starts the helper hands it this descriptor, and nothing else in this process uses it.
    let control = UnixStream::from(unsafe { OwnedFd::from_raw_fd(CONTROL_FD) });
    let end = match run(dir, &control) {
        Ok(Some(end)) => end,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => EnterEnd::Failed(error.with_causes()),
    };
    let mut line = serde_json::to_vec(&end).expect("an end has no map");
    line.push(b'\n');
    // Nobody waits for the answer when the agent is gone.
    let _agent_gone = (&control).write_all(&line);
    ExitCode::SUCCESS
}

/// `None`: the agent went before it said what to run.
fn run(dir: &Path, control: &UnixStream) -> Result<Option<EnterEnd>, ShimError> {
    let mut line = String::new();
    let mut reader = BufReader::new(control);
    if reader.read_line(&mut line).map_err(ShimError::system("read what to run"))? == 0 {
        return Ok(None);
    }
    let ask: EnterSpec = serde_json::from_str(&line)
        .map_err(|error| ShimError::Spec { field: "enter", reason: error.to_string() })?;
    let spec = ShimSpec::read(dir)?;
    let Some(container) = spec.containers.iter().find(|container| container.name == ask.container) else {
        return Ok(Some(EnterEnd::Failed(format!("container {} is not in this pod", ask.container))));
    };
    let ended = || Some(EnterEnd::Failed("the pod has ended".to_owned()));
    let Some(record) = durable::read_json::<ShimRecord>(dir, SHIM_FILE)? else { return Ok(ended()) };
    let Some(shim) = record.shim.open().map_err(ShimError::system("pidfd_open"))? else { return Ok(ended()) };
    let alone = spec.containers.len() == 1;
    let Some(place) =
        Place::of(record.shim.pid, &ask.container, alone).map_err(ShimError::system("look at the pod"))?
    else {
        return Ok(Some(EnterEnd::Failed(format!("container {} does not run", ask.container))));
    };
    place.join()?;
    let child = match spawn(&ask, container, &place) {
        Ok(child) => child,
        Err(error) => return Ok(Some(not_executed(&ask, &error))),
    };
    leave_streams()?;
    let command = Entered { child, mark: format!("{MARK_VARIABLE}={}", ask.mark) };
    Ok(command.attend(control, &shim))
}

/// As shells and container runtimes answer: 127 for a program that does not exist, 126 for one that can not be executed.
fn not_executed(ask: &EnterSpec, error: &io::Error) -> EnterEnd {
    let program = ask.argv.first().map(String::as_str).unwrap_or_default();
    // The streams are still the asker's: what it reads is what a shell would have said.
    let _nobody_reads = writeln!(io::stderr(), "{program}: {error}");
    EnterEnd::Exited(start_error_code(error))
}

/// The container as the kernel knows it: its first process.
struct Place {
    process: OwnedFd,
    /// What it was executed with.
    env: Vec<(OsString, OsString)>,
    /// Namespaces of it that this process is not in.
    namespaces: CloneFlags,
}

impl Place {
    /// The container of this name below a shim, if its first process runs. Where it is `alone` it needs no mark.
    fn of(shim: i32, container: &str, alone: bool) -> io::Result<Option<Place>> {
        let mark = format!("{CONTAINER_VARIABLE}={container}");
        let children = all_processes().into_iter().filter(|(_, stat)| stat.parent == shim && !stat.is_dead());
        let is_it = |pid: i32| alone || has_environment(pid, &mark).unwrap_or(false);
        // What a container left behind hangs under the shim too, and began later.
        let first =
            children.filter(|(pid, _)| is_it(*pid)).min_by_key(|(pid, stat)| (stat.start_ticks, *pid));
        let Some((pid, _)) = first else { return Ok(None) };
        let process = pidfd(pid)?;
        let mut namespaces = CloneFlags::empty();
        for (name, flag) in [
            ("user", CloneFlags::CLONE_NEWUSER),
            ("pid", CloneFlags::CLONE_NEWPID),
            ("mnt", CloneFlags::CLONE_NEWNS),
        ] {
            let own = fs::read_link(format!("/proc/self/ns/{name}"))?;
            namespaces.set(flag, fs::read_link(format!("/proc/{pid}/ns/{name}"))? != own);
        }
        Ok(Some(Place { process, env: environment_of(pid)?, namespaces }))
    }

    /// Prepares this process: its next child begins in the pod's PID namespace.
    fn join(&self) -> Result<(), ShimError> {
        let now = self.namespaces.difference(CloneFlags::CLONE_NEWNS);
        if now.is_empty() {
            return Ok(());
        }
        setns(&self.process, now).map_err(ShimError::system("setns into the pod"))
    }
}

/// What a process was executed with. One that overwrote it has told what it wanted to tell.
fn environment_of(pid: i32) -> io::Result<Vec<(OsString, OsString)>> {
    let bytes = fs::read(format!("/proc/{pid}/environ"))?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let equals = entry.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let text = |part: &[u8]| OsStr::from_bytes(part).to_owned();
        Some((text(&entry[..equals]), text(&entry[equals + 1..])))
    });
    Ok(pairs.collect())
}

fn spawn(ask: &EnterSpec, container: &ContainerSpec, place: &Place) -> io::Result<Child> {
    let program = ask.argv.first().ok_or_else(|| io::Error::other("a command is needed"))?;
    let mut command = Command::new(program);
    // What is in no spec, because it comes from Secrets, is known by the container's process only.
    command.args(&ask.argv[1..]).env_clear().envs(place.env.iter().map(|(name, value)| (name, value)));
    command.envs(&container.env).env(MARK_VARIABLE, &ask.mark);
    if ask.tty && !container.env.contains_key("TERM") {
        command.env("TERM", "xterm");
    }
    let (limits, tty) = (container.limits, ask.tty);
    let folder = container.working_dir.clone();
    let mounts = place.namespaces.contains(CloneFlags::CLONE_NEWNS).then(|| place.process.as_raw_fd());
    // SAFETY: between fork and exec the closure makes system calls on values that were made before; nix makes the folder's
    // path a C string on the stack, or fails.
    unsafe {
        command.pre_exec(move || {
            reset_signals()?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if let Some(process) = mounts {
                setns(BorrowedFd::borrow_raw(process), CloneFlags::CLONE_NEWNS)?;
            }
            close_others_on_exec()?;
            setsid()?;
            if tty {
                take_terminal()?;
            }
            chdir(&folder)?;
            apply(limits)
        });
    }
    command.spawn()
}

/// Lets go of the command's streams, so that they close when it closes them.
fn leave_streams() -> Result<(), ShimError> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null: File = null.map_err(ShimError::file("open", "/dev/null"))?;
    dup2_stdin(&null).map_err(ShimError::system("dup2"))?;
    dup2_stdout(&null).map_err(ShimError::system("dup2"))?;
    dup2_stderr(&null).map_err(ShimError::system("dup2"))
}

/// The command while it runs.
struct Entered {
    child: Child,
    mark: String,
}

impl Entered {
    /// Until it has ended; `None` when nobody waits for it any more.
    fn attend(mut self, control: &UnixStream, shim: &OwnedFd) -> Option<EnterEnd> {
        let Ok(child) = pidfd(self.pid()) else {
            self.kill_all();
            return Some(EnterEnd::Failed("the command could not be watched and was killed".to_owned()));
        };
        loop {
            let watched = [control.as_fd(), child.as_fd(), shim.as_fd()];
            let mut watched = watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            // An interrupted wait is a wake like any other.
            let _interrupted = poll(&mut watched, PollTimeout::NONE);
            let [agent, command, shim] = watched.map(|fd| fd.any().unwrap_or(false));
            if command {
                return self.child.wait().ok().map(|status| EnterEnd::Exited(code(status)));
            }
            if agent || shim {
                self.kill_all();
                let status = self.child.wait().ok()?;
                return (!agent).then_some(EnterEnd::Exited(code(status)));
            }
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("Linux pids fit")
    }

    /// SIGKILL to its group, then to all that carry its mark.
    fn kill_all(&mut self) {
        let _gone_meanwhile = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        for _ in 0..KILL_ROUNDS {
            let mut found = false;
            for (pid, stat) in all_processes() {
                if !stat.is_dead() && has_environment(pid, &self.mark).unwrap_or(false) {
                    found = true;
                    let _gone_meanwhile = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            if !found {
                return;
            }
        }
    }
}

fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1; no memory is passed.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel just returned this descriptor to us and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}
