//! One child process: its output bounded, its time bounded, ended when it is cancelled, and when this process dies.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Output that is kept of one child: the first and the last part.
const OUTPUT_MAX_BYTES: usize = 256 << 10;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct ChildSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where.
    pub folder: PathBuf,
    /// Variables besides those of this process, less `TF_*`.
    pub env: Vec<(String, OsString)>,
    /// How long it may take.
    pub limit: Duration,
    /// Bytes of standard output that must be whole; 0: it goes with the errors, bounded.
    pub stdout_max_bytes: usize,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Standard output, where it was asked for.
    pub stdout: Vec<u8>,
    /// What it said, cut in the middle if it was much.
    pub output: String,
}

/// Why it has no end of its own.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot run {0}: {1}")]
    Start(PathBuf, std::io::Error),
    /// Its time ran out.
    #[error("it did not end within {0:?}")]
    TooLong(Duration),
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
}

/// What there is to kill.
#[derive(Debug, Default)]
struct Target {
    /// The child, from its start until it is reaped.
    pid: Option<Pid>,
    /// Nobody waits for it any more: one that is only being started must not live either.
    is_unwanted: bool,
}

/// Runs it to its end, or kills it and what it started.
///
/// # Errors
/// See [`ChildError`].
pub async fn run(spec: ChildSpec, cancel: &CancellationToken) -> Result<Ended, ChildError> {
    let limit = spec.limit;
    let target: Arc<Mutex<Target>> = Arc::default();
    let (sender, ended) = oneshot::channel();
    let shared = Arc::clone(&target);
    // A thread that lives as long as the child: the signal that a parent's death sends is that of the parent's thread.
    std::thread::spawn(move || {
        let _ = sender.send(run_here(&spec, &shared));
    });
    tokio::pin!(ended);
    let why = tokio::select! {
        result = &mut ended => return result.unwrap_or(Err(ChildError::Cancelled)),
        () = cancel.cancelled() => ChildError::Cancelled,
        () = tokio::time::sleep(limit) => ChildError::TooLong(limit),
    };
    {
        let mut target = target.lock();
        target.is_unwanted = true;
        kill(&target);
    }
    // Whatever still holds the pipes is not waited for without end.
    let _ = tokio::time::timeout(Duration::from_secs(5), ended).await;
    Err(why)
}

fn kill(target: &Target) {
    if let Some(pid) = target.pid {
        // Gone already: the thread is about to say so.
        let _ = killpg(pid, Signal::SIGKILL);
    }
}

fn run_here(spec: &ChildSpec, shared: &Mutex<Target>) -> Result<Ended, ChildError> {
    let start = |error| ChildError::Start(spec.program.clone(), error);
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).current_dir(&spec.folder).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TF_")) {
        command.env_remove(name);
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    // SAFETY: only a system call between fork and exec.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    let mut child = command.spawn().map_err(start)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    {
        let mut target = shared.lock();
        target.pid = Some(pid);
        if target.is_unwanted {
            kill(&target);
        }
    }
    let errors = child.stderr.take();
    let errors = std::thread::spawn(move || errors.map(|pipe| bounded(pipe, 0)).unwrap_or_default());
    let (stdout, said) =
        child.stdout.take().map(|pipe| bounded(pipe, spec.stdout_max_bytes)).unwrap_or_default();
    // Its number stays its own until it is reaped: nobody else is killed in its place.
    let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    shared.lock().pid = None;
    let status = child.wait().map_err(start)?;
    let (_, errors) = errors.join().unwrap_or_default();
    Ok(Ended { status, stdout, output: format!("{said}{errors}") })
}

/// Reads to the end: the first `whole` bytes as they are, or, without any, a text that is cut in the middle.
fn bounded(mut pipe: impl Read, whole: usize) -> (Vec<u8>, String) {
    let (mut kept, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count) = pipe.read(&mut buffer) {
        if count == 0 {
            break;
        }
        let part = &buffer[..count];
        if whole > 0 {
            kept.extend_from_slice(&part[..count.min(whole.saturating_sub(kept.len()))]);
        } else if first.len() < OUTPUT_MAX_BYTES / 2 {
            first.extend_from_slice(part);
        } else {
            last.extend_from_slice(part);
            let surplus = last.len().saturating_sub(OUTPUT_MAX_BYTES);
            if surplus > 0 {
                last.drain(..surplus + OUTPUT_MAX_BYTES / 2);
                last.splice(..0, *b"\n[...]\n");
            }
        }
    }
    first.extend(last);
    (kept, String::from_utf8_lossy(&first).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ChildSpec {
        ChildSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            folder: "/".into(),
            limit: Duration::from_secs(20),
            ..ChildSpec::default()
        }
    }

    #[tokio::test]
    async fn output_is_bounded_and_kept_in_order() {
        let cancel = CancellationToken::new();
        let ended = run(shell("echo out; echo err >&2; exit 3"), &cancel).await.unwrap();
        assert_eq!((ended.status.code(), ended.output.as_str()), (Some(3), "out\nerr\n"));
        let ended = run(shell("echo first; yes | head -c 3000000; echo last"), &cancel).await.unwrap();
        assert!(ended.output.len() <= 2 * OUTPUT_MAX_BYTES, "{}", ended.output.len());
        assert!(ended.output.starts_with("first\n") && ended.output.ends_with("last\n"));
        let spec = ChildSpec { stdout_max_bytes: 4, ..shell("printf 123456; echo err >&2") };
        let ended = run(spec, &cancel).await.unwrap();
        assert_eq!((ended.stdout.as_slice(), ended.output.as_str()), (&b"1234"[..], "err\n"));
    }

    #[tokio::test]
    async fn what_is_cancelled_or_too_slow_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let watched = file.clone();
        tokio::spawn(async move {
            while !std::fs::read_to_string(&watched).is_ok_and(|text| text.ends_with('\n')) {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        });
        assert!(matches!(run(shell(&script), &cancel).await, Err(ChildError::Cancelled)));
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        let is_there = |pid: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        while is_there(&pid) {
            tokio::task::yield_now().await;
        }
        // Cancelled before it was started.
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(run(shell(&script), &cancel).await, Err(ChildError::Cancelled)));
        if let Ok(pid) = std::fs::read_to_string(&file) {
            assert!(!is_there(pid.trim()), "nobody waits for it, and it lives");
        }
        let slow = ChildSpec { limit: Duration::from_millis(50), ..shell("sleep 1000") };
        assert!(matches!(run(slow, &CancellationToken::new()).await, Err(ChildError::TooLong(_))));
        let missing = ChildSpec { program: "/nonexistent".into(), ..shell("") };
        assert!(matches!(run(missing, &CancellationToken::new()).await, Err(ChildError::Start(..))));
    }
}
