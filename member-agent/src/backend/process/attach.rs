//! Attaching to what a container runs: its log from now on, and what somebody writes to its standard input.
//!
//! ```text
//!  input --> type_in --> copy of the shim's end of the container's input --> container
//!  container --> log --> output
//! ```
//!
//! Output comes from the log, so that nobody who reads slowly holds the container back, and an agent that is started anew
//! shows the same. The shim keeps the input open between clients; with `stdinOnce` it ends when the first one goes, which
//! the shim knows by the connection that is held here.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use futures::FutureExt;
use muster_proto::federation::ExecStreams;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::backend::{ANSWER_PATIENCE, ProcessBackend};
use super::exec::Writer;
use super::observation::{containers, exit_record, observe};
use super::terminal::Terminal;
use crate::backend::exec::{ExecInput, listen};
use crate::backend::folder::system;
use crate::backend::log_stream::{Following, stream_log};
use crate::backend::{BackendError, ContainerState, Exec, LogOptions, LogOutput, LogStream, PodId, PodState};
use crate::shim::client::{self, Attachment};
use crate::shim::clock::{Clock, SystemClock};
use crate::shim::protocol::{Refusal, Reply, Request};
use crate::shim::spec::{ContainerSpec, InputSpec};

/// How long the answer to the last input is waited for, when the input ends and the container's does not.
const LAST_ANSWER: Duration = Duration::from_millis(500);
/// How long the log may lag behind the container's end.
const LAST_OUTPUT_MS: u64 = 1_000;
/// How often the log is looked at while somebody types at a terminal.
const TERMINAL_LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A container's input in our hands.
struct Attached {
    writer: Option<Writer>,
    terminal: Option<Terminal>,
    /// Whether the container's input ends when ours does.
    ends_with_us: bool,
    /// Held, never read.
    _connection: UnixStream,
}

impl ProcessBackend {
    /// Attaches to a container that runs.
    pub(super) fn attach_to(
        &self,
        pod: &PodId,
        container: &ContainerSpec,
        streams: ExecStreams,
    ) -> Result<Exec, BackendError> {
        let dir = self.folders.existing(pod)?;
        let attached = match container.input != InputSpec::Nothing && streams.stdin || container.tty {
            true => Some(attach(pod, &dir, container, streams.stdin)?),
            false => None,
        };
        let open = |output| output_from_now(pod, &dir, container, output);
        let stdout = streams.stdout.then(|| open(LogOutput::Stdout));
        let stderr = streams.stderr.then(|| open(LogOutput::Stderr));
        Ok(listen(stdout, stderr, |parts| type_in(parts, attached).boxed()))
    }
}

fn attach(
    pod: &PodId,
    dir: &Path,
    container: &ContainerSpec,
    wants_input: bool,
) -> Result<Attached, BackendError> {
    let request = Request::Attach { container: container.name.clone(), input: wants_input };
    let Attachment { reply, descriptor, connection } = client::attach(dir, &request, ANSWER_PATIENCE)
        .map_err(|error| BackendError::NoAnswer(pod.clone(), error))?;
    let takes_bytes = match reply {
        Reply::Attached { takes_bytes } => takes_bytes,
        Reply::Refused { reason: Refusal::Ended | Refusal::TooMany, message } => {
            return Err(BackendError::NoExec(message));
        }
        other => {
            let why = format!("the pod's shim cannot be attached to: {other:?}; run a command with exec");
            return Err(BackendError::NoExec(why));
        }
    };
    let ends_with_us = container.input == InputSpec::Once && !container.tty;
    let mut attached = Attached { writer: None, terminal: None, ends_with_us, _connection: connection };
    if let Some(end) = descriptor {
        attached.take(end, container.tty, takes_bytes).map_err(system("watch the container's input"))?;
    }
    Ok(attached)
}

impl Attached {
    fn take(&mut self, end: OwnedFd, is_terminal: bool, takes_bytes: bool) -> std::io::Result<()> {
        if !is_terminal {
            self.writer = Some(Box::new(pipe::Sender::from_owned_fd(end)?));
            return Ok(());
        }
        let terminal = Terminal::of(end);
        if takes_bytes {
            self.writer = Some(Box::new(terminal.half()?));
        }
        self.terminal = Some(terminal);
        Ok(())
    }

    /// What the container does not want to read any more is thrown away.
    async fn write(&mut self, bytes: &[u8]) {
        if let Some(writer) = &mut self.writer
            && writer.write_all(bytes).await.is_err()
        {
            self.writer = None;
        }
    }
}

/// What a container writes from now on, to its end.
fn output_from_now(pod: &PodId, dir: &Path, container: &ContainerSpec, output: LogOutput) -> LogStream {
    let options = LogOptions {
        follow: true,
        since_time: Some(jiff::Timestamp::now()),
        output: Some(output),
        ..LogOptions::default()
    };
    let (pod, of, name) = (pod.clone(), dir.to_owned(), container.name.clone());
    let run = running_since(dir, &name);
    let has_ended = move || !of.exists() || pod_has_ended(&pod, &of) || run_has_ended(&of, &name, run);
    let mut following = Following::new(Box::new(has_ended));
    if container.tty {
        following.look_again = TERMINAL_LOOK_AGAIN;
    }
    stream_log(dir.join(&container.log), options, following)
}

fn pod_has_ended(pod: &PodId, dir: &Path) -> bool {
    // The first is enough and cheap; the other also sees a shim that was killed.
    exit_record(dir).is_ok_and(|exit| exit.is_some())
        || observe(pod, dir).is_ok_and(|found| matches!(found.state, PodState::Ended(_)))
}

/// When the run that is attached to began, if that is known.
fn running_since(dir: &Path, name: &str) -> Option<u64> {
    let statuses = containers(dir, &PodState::Running { started_at_ms: 0 });
    let state = statuses.into_iter().find(|status| status.name == name)?.state;
    if let ContainerState::Running { since_ms } = state { Some(since_ms) } else { None }
}

/// Whether a run is over for so long that all it wrote is in the log, while the pod goes on.
fn run_has_ended(dir: &Path, name: &str, run: Option<u64>) -> bool {
    let Some(run) = run else { return false };
    let statuses = containers(dir, &PodState::Running { started_at_ms: 0 });
    let Some(status) = statuses.into_iter().find(|status| status.name == name) else { return false };
    let end = match status.state {
        ContainerState::Running { since_ms } if since_ms == run => return false,
        ContainerState::Ended(end) => Some(end),
        ContainerState::Running { .. } | ContainerState::Waiting { .. } => status.last,
    };
    let now_ms = SystemClock.now().real_ms;
    end.is_none_or(|end| now_ms.saturating_sub(end.finished_at_ms) >= LAST_OUTPUT_MS)
}

/// Carries input as fast as the container reads it. Returns when the conversation is over because the input is.
///
/// As container runtimes have it: an input that ends ends the conversation, unless the container's input ends with it,
/// whose answer is worth waiting for. Without an input of the container what comes is thrown away.
async fn type_in(mut parts: mpsc::Receiver<ExecInput>, mut attached: Option<Attached>) {
    while let Some(part) = parts.recv().await {
        match (part, &mut attached) {
            (ExecInput::Stdin(bytes), Some(ours)) => ours.write(&bytes).await,
            (ExecInput::Resize(size), Some(Attached { terminal: Some(terminal), .. })) => {
                terminal.resize(size);
            }
            (ExecInput::StdinClosed, Some(ours)) if ours.writer.is_some() && !ours.ends_with_us => {
                return tokio::time::sleep(LAST_ANSWER).await;
            }
            // Our copy and the connection go: the shim lets its copy go too.
            (ExecInput::StdinClosed, ours) => *ours = None,
            (ExecInput::Stdin(_) | ExecInput::Resize(_), _) => {}
        }
    }
    std::future::pending().await
}
