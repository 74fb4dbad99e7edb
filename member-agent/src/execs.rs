//! Commands that people run in pods: each has a call of its own to the replica that asked, on a connection of its own, so
//! that bytes that nobody reads hold back nothing else. A call that ends takes its command along.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use muster_proto::federation::{ExecFrame, ExecRequest, StreamError, StreamErrorCode, pb};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::backend::{Backend, BackendError, Exec, ExecInput, ExecOptions, ExecOutput, PodId};
use crate::dial::Replica;

/// Commands that run at the same time.
const MAX_OPEN: usize = 64;
/// Frames on their way to the hub.
const FRAMES: usize = 4;
/// How long the hub may take to accept the call.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// A command that the hub asked for.
#[derive(Debug)]
pub(crate) struct ExecCall {
    pub(crate) session: u64,
    pub(crate) request: ExecRequest,
    pub(crate) replica: Replica,
}

/// The commands that run, by session and request.
#[derive(Default)]
pub(crate) struct Execs {
    open: BTreeMap<(u64, u64), AbortHandle>,
}

impl Execs {
    /// Begins a command; `pod` is none if there is no such pod.
    pub(crate) fn begin(&mut self, call: ExecCall, pod: Option<PodId>, backend: Arc<dyn Backend>) {
        self.open.retain(|_, task| !task.is_finished());
        let key = (call.session, call.request.request);
        let too_many = self.open.len() >= MAX_OPEN;
        let task = tokio::spawn(async move {
            let request = call.request.request;
            if let Err(error) = carry_out(call, pod, backend, too_many).await {
                tracing::debug!(request, error = format!("{error:#}"), "exec call broke off");
            }
        });
        self.open.insert(key, task.abort_handle());
    }

    /// Nobody waits for it any more.
    pub(crate) fn cancel(&mut self, session: u64, request: u64) {
        if let Some(task) = self.open.remove(&(session, request)) {
            task.abort();
        }
    }

    /// A session is over: its replica no longer speaks for the hub.
    pub(crate) fn session_lost(&mut self, session: u64) {
        self.open.retain(|(of, _), task| {
            if *of == session {
                task.abort();
            }
            *of != session
        });
    }
}

async fn carry_out(
    call: ExecCall,
    pod: Option<PodId>,
    backend: Arc<dyn Backend>,
    too_many: bool,
) -> anyhow::Result<()> {
    let (out, frames) = mpsc::channel(FRAMES);
    let ticket = ExecFrame::Ticket { request: call.request.request, ticket: call.request.ticket };
    out.send(ticket.into()).await?;
    let mut client = call.replica.dial_bulk().await.context("dial")?;
    let open = client.exec(ReceiverStream::new(frames));
    let mut incoming = tokio::time::timeout(OPEN_TIMEOUT, open).await.context("accept")??.into_inner();
    let begun = match pod {
        _ if too_many => {
            let why = format!(
                "{MAX_OPEN} commands run on this member by exec, as many as it takes; try again later"
            );
            Err(StreamError { code: StreamErrorCode::TooMany, message: why })
        }
        None => Err(not_found(format!("pod {} is not on this member", call.request.pod))),
        Some(pod) => backend
            .exec(pod, options(&call.request))
            .await
            .map_err(|error| refused(&error, &call.request.pod)),
    };
    match begun {
        Ok(exec) => converse(exec, &mut incoming, &out).await?,
        Err(error) => out.send(ExecFrame::Failed(error).into()).await?,
    }
    // A call that is dropped loses what it has not sent yet: the hub ends it when it has the last frame.
    drop(out);
    while incoming.message().await?.is_some() {}
    Ok(())
}

/// Carries frames both ways until the command or the call ends. Dropping `exec` kills the command.
async fn converse(
    exec: Exec,
    incoming: &mut Streaming<pb::ExecFrame>,
    out: &mpsc::Sender<pb::ExecFrame>,
) -> anyhow::Result<()> {
    let Exec { input, mut output } = exec;
    let outgoing = async {
        while let Some(part) = output.recv().await {
            out.send(frame(part).into()).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = outgoing => ended,
        broken = take(incoming, input) => broken,
        () = out.closed() => anyhow::bail!("the hub ended the call"),
    }
}

/// Input until the call ends. An end of what comes in is the end of the call: nobody is there any more.
async fn take(incoming: &mut Streaming<pb::ExecFrame>, input: mpsc::Sender<ExecInput>) -> anyhow::Result<()> {
    while let Some(frame) = incoming.message().await? {
        let part = match ExecFrame::try_from(frame)? {
            ExecFrame::Stdin(bytes) => ExecInput::Stdin(bytes),
            ExecFrame::StdinClosed => ExecInput::StdinClosed,
            ExecFrame::Resize(size) => ExecInput::Resize(size),
            other => anyhow::bail!("{other:?} is not for a member"),
        };
        // Whoever does not take input any more still has output.
        let _not_taken = input.send(part).await;
    }
    anyhow::bail!("the hub ended the call")
}

fn frame(part: ExecOutput) -> ExecFrame {
    match part {
        ExecOutput::Stdout(bytes) => ExecFrame::Stdout(bytes),
        ExecOutput::Stderr(bytes) => ExecFrame::Stderr(bytes),
        ExecOutput::Exited(code) => ExecFrame::Exited(code),
        ExecOutput::Failed(message) => {
            ExecFrame::Failed(StreamError { code: StreamErrorCode::Internal, message })
        }
    }
}

fn options(request: &ExecRequest) -> ExecOptions {
    ExecOptions {
        container: request.container.clone(),
        command: request.command.clone(),
        streams: request.streams,
    }
}

fn not_found(message: String) -> StreamError {
    StreamError { code: StreamErrorCode::NotFound, message }
}

fn refused(error: &BackendError, pod: &str) -> StreamError {
    let code = match error {
        BackendError::NotFound(_) => StreamErrorCode::NotFound,
        BackendError::NoSuchContainer { .. } | BackendError::Ended(_) | BackendError::NoExec(_) => {
            StreamErrorCode::BadRequest
        }
        _ => StreamErrorCode::Internal,
    };
    let message = match error {
        // People know pods by their names, not by their folders.
        BackendError::NoSuchContainer { container, known, .. } => {
            format!("container {container} is not valid for pod {pod}; it has: {known}")
        }
        BackendError::NotFound(_) => format!("pod {pod} is not on this member"),
        BackendError::Ended(_) => format!("pod {pod} has ended"),
        _ => error.to_string(),
    };
    StreamError { code, message }
}
