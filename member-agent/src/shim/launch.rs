//! From `muster shim --dir DIR` to a shim on its own.
//!
//! The process that was called is only the launcher: it forks the shim, waits until the job's first process was
//! executed or refused, and returns. The shim is then nobody's child but init's and outlives the agent.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};

use super::clock::{Clock, SystemClock};
use super::confidential::Confidential;
use super::deadline::{Deadline, Due};
use super::durable::{self, Durability};
use super::error::ShimError;
use super::identity::{ProcessIdentity, boot_id};
use super::isolation::{self, Isolation};
use super::record::{ExitReason, ExitRecord, ShimRecord};
use super::spec::{EXIT_FILE, LOCK_FILE, SHIM_FILE, ShimSpec};
use super::supervisor::{Supervisor, TooLate};
use super::volumes;

/// What the launcher learns from the shim, as the one byte that the ready pipe carries.
const STARTED: u8 = b'S';
const REFUSED: u8 = b'R';

/// Exit code when the pod ended before its command was executed; `exit.json` says why.
const EXIT_REFUSED: u8 = 1;
/// Exit code when the shim itself could not work; nothing ran, standard error says why.
const EXIT_INTERNAL: u8 = 70;

/// Starts the shim of the pod's folder `dir` and returns once its command was executed or refused.
///
/// Must be called while the process has one thread. Exit codes: 0 the command runs (or another shim already has
/// this folder), 1 refused with an exit record, 70 nothing was done.
pub fn run(dir: &Path) -> ExitCode {
    match launch(dir) {
        Ok(STARTED) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(EXIT_REFUSED),
        Err(error) => {
            eprintln!("muster shim: {}", error.with_causes());
            ExitCode::from(EXIT_INTERNAL)
        }
    }
}

fn launch(dir: &Path) -> Result<u8, ShimError> {
    // From here on every path is relative: the socket's path stays short and the folder may be moved.
    std::env::set_current_dir(dir).map_err(ShimError::file("enter", dir))?;
    let Some(lock) = take_lock(Path::new("."))? else { return Ok(STARTED) };
    if durable::read_json::<ExitRecord>(Path::new("."), EXIT_FILE)?.is_some() {
        return Ok(REFUSED);
    }
    if durable::read_json::<ShimRecord>(Path::new("."), SHIM_FILE)?.is_some() {
        return Err(ShimError::StartedBefore);
    }
    let spec = ShimSpec::read(Path::new("."))?;
    if boot_id().map_err(ShimError::system("read the boot id"))? != spec.boot_id {
        let reason = "the machine was booted since; the agent makes a new pod".to_owned();
        return Err(ShimError::Spec { field: "boot_id", reason });
    }
    let confidential = match spec.is_confidential {
        true => Confidential::read(std::io::stdin().lock())?,
        false => Confidential::default(),
    };
    let isolation = isolation::enter(spec.isolation)?;
    let (ready, ready_writer) = pipe2(OFlag::O_CLOEXEC).map_err(ShimError::system("pipe2"))?;
    // SAFETY: this process has one thread, so the child may use everything that the parent could.
    match unsafe { fork() }.map_err(ShimError::system("fork"))? {
        ForkResult::Parent { .. } => {
            drop(ready_writer);
            wait_until_ready(ready)
        }
        ForkResult::Child => {
            drop(ready);
            let parts = Parts { spec, confidential, isolation, lock };
            std::process::exit(become_shim(parts, File::from(ready_writer)))
        }
    }
}

/// The folder's lock, held by exactly one shim or by whoever settles a dead one's end; `None` when it is taken.
/// It belongs to the open file, so the launcher's end does not release what the shim holds.
pub(crate) fn take_lock(dir: &Path) -> Result<Option<File>, ShimError> {
    let path = dir.join(LOCK_FILE);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(ShimError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(ShimError::file("lock", path)(source)),
    }
}

fn wait_until_ready(ready: OwnedFd) -> Result<u8, ShimError> {
    let mut message = Vec::new();
    File::from(ready).read_to_end(&mut message).map_err(ShimError::system("read the shim's answer"))?;
    match message.as_slice() {
        [answer @ (STARTED | REFUSED)] => Ok(*answer),
        text => Err(ShimError::DiedEarly(String::from_utf8_lossy(text).into_owned())),
    }
}

/// What a shim is made from.
struct Parts {
    spec: ShimSpec,
    confidential: Confidential,
    isolation: Isolation,
    lock: File,
}

fn become_shim(parts: Parts, mut ready: File) -> i32 {
    match start(parts) {
        Ok(Some(supervisor)) => {
            let _launcher_gone = ready.write_all(&[STARTED]);
            drop(ready);
            supervisor.run();
            0
        }
        Ok(None) => {
            let _launcher_gone = ready.write_all(&[REFUSED]);
            i32::from(EXIT_REFUSED)
        }
        Err(error) => {
            let _launcher_gone = write!(ready, "{}", error.with_causes());
            i32::from(EXIT_INTERNAL)
        }
    }
}

/// `None`: the end is on record already, nothing runs.
fn start(parts: Parts) -> Result<Option<Supervisor>, ShimError> {
    let Parts { spec, confidential, isolation, lock } = parts;
    detach()?;
    let shim = ProcessIdentity::of_self().map_err(ShimError::system("identify the shim"))?;
    isolation::settle(isolation)?;
    let now = SystemClock.now();
    let mut deadline = spec.fence.map(|grant| Deadline::new(grant, spec.grace_ms));
    if deadline.as_mut().is_some_and(|deadline| deadline.check(now) != Due::Nothing) {
        return refuse("the grant had lapsed before the start").map(|()| None);
    }
    volumes::prepare(&spec, &confidential)?;
    let mut supervisor = Supervisor::new(spec, confidential, isolation, deadline, lock)?;
    let record = ShimRecord { shim, isolation, started_at_ms: now.real_ms };
    durable::write_json(Path::new("."), SHIM_FILE, &record, Durability::UntilReboot)
        .map_err(ShimError::file("write", SHIM_FILE))?;
    match supervisor.begin(now) {
        Err(TooLate) => refuse("the grant lapsed during the start").map(|()| None),
        // Its only commands could not be executed: then the record is there before anybody is told.
        Ok(()) if supervisor.is_done() => {
            supervisor.run();
            Ok(None)
        }
        Ok(()) => Ok(Some(supervisor)),
    }
}

/// Nothing was executed, because the fence deadline came first.
fn refuse(message: &str) -> Result<(), ShimError> {
    let record = ExitRecord {
        started_at_ms: None,
        finished_at_ms: SystemClock.now().real_ms,
        code: None,
        signal: None,
        reason: ExitReason::Fenced,
        message: message.to_owned(),
        dropped_log_bytes: 0,
        containers: Vec::new(),
    };
    durable::write_json(Path::new("."), EXIT_FILE, &record, Durability::Synced)
        .map_err(ShimError::file("write", EXIT_FILE))
}

/// Away from the caller's session and standard streams, so that nobody waits for ours to close.
fn detach() -> Result<(), ShimError> {
    setsid().map_err(ShimError::system("setsid"))?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null = null.map_err(ShimError::file("open", "/dev/null"))?;
    dup2_stdin(&null).map_err(ShimError::system("dup2"))?;
    dup2_stdout(&null).map_err(ShimError::system("dup2"))?;
    dup2_stderr(&null).map_err(ShimError::system("dup2"))
}
