//! Commands that people run in pods: what the hub asks, and the frames of the member's call.

use bytes::Bytes;

use super::field::{FieldError, id_bytes, nonempty, required, uid};
use super::member_message::StreamError;
use super::pb;
use super::pb::exec_frame::Body;

/// Run a command in a pod, or attach to what runs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Chosen by the hub, unique in a session.
    pub request: u64,
    /// The member's call must show it.
    pub ticket: u128,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Which container; none means the only one.
    pub container: Option<String>,
    /// Program and arguments; empty: attach.
    pub command: Vec<String>,
    /// What is connected.
    pub streams: ExecStreams,
}

/// Which streams of a command are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecStreams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error. Never with a terminal, which has one output.
    pub stderr: bool,
    /// Whether they are a terminal.
    pub tty: bool,
}

/// One part of what is said to and by a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecFrame {
    /// The member's first: which request its call answers.
    Ticket {
        /// The request's number.
        request: u64,
        /// Its ticket.
        ticket: u128,
    },
    /// To the command.
    Stdin(Bytes),
    /// Nothing more comes to the command.
    StdinClosed,
    /// The terminal's size.
    Resize(TerminalSize),
    /// Of the command.
    Stdout(Bytes),
    /// Of the command.
    Stderr(Bytes),
    /// The last: its exit code, 128 + signal if it was killed.
    Exited(i32),
    /// The last: it was not run, or how it ended is not known.
    Failed(StreamError),
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Width.
    pub columns: u16,
    /// Height.
    pub rows: u16,
}

impl From<&ExecRequest> for pb::ExecRequest {
    fn from(ask: &ExecRequest) -> Self {
        Self {
            request: ask.request,
            ticket: id_bytes(ask.ticket),
            namespace: ask.namespace.clone(),
            pod: ask.pod.clone(),
            container: ask.container.clone(),
            command: ask.command.clone(),
            stdin: ask.streams.stdin,
            stdout: ask.streams.stdout,
            stderr: ask.streams.stderr,
            tty: ask.streams.tty,
        }
    }
}

impl TryFrom<pb::ExecRequest> for ExecRequest {
    type Error = FieldError;

    fn try_from(ask: pb::ExecRequest) -> Result<Self, FieldError> {
        Ok(Self {
            request: ask.request,
            ticket: uid(&ask.ticket, "ticket")?.0,
            namespace: nonempty(ask.namespace, "namespace")?,
            pod: nonempty(ask.pod, "pod")?,
            container: ask.container,
            command: ask.command,
            streams: ExecStreams { stdin: ask.stdin, stdout: ask.stdout, stderr: ask.stderr, tty: ask.tty },
        })
    }
}

impl From<ExecFrame> for pb::ExecFrame {
    fn from(frame: ExecFrame) -> Self {
        let body = match frame {
            ExecFrame::Ticket { request, ticket } => {
                Body::Ticket(pb::ExecTicket { request, ticket: id_bytes(ticket) })
            }
            ExecFrame::Stdin(bytes) => Body::Stdin(bytes),
            ExecFrame::StdinClosed => Body::StdinClosed(pb::StdinClosed {}),
            ExecFrame::Resize(TerminalSize { columns, rows }) => {
                Body::Resize(pb::TerminalSize { columns: columns.into(), rows: rows.into() })
            }
            ExecFrame::Stdout(bytes) => Body::Stdout(bytes),
            ExecFrame::Stderr(bytes) => Body::Stderr(bytes),
            ExecFrame::Exited(code) => Body::Exited(code),
            ExecFrame::Failed(error) => Body::Failed((&error).into()),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<pb::ExecFrame> for ExecFrame {
    type Error = FieldError;

    fn try_from(frame: pb::ExecFrame) -> Result<Self, FieldError> {
        let length = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        Ok(match required(frame.body, "body")? {
            Body::Ticket(ticket) => {
                let shown = uid(&ticket.ticket, "ticket.ticket")?.0;
                ExecFrame::Ticket { request: ticket.request, ticket: shown }
            }
            Body::Stdin(bytes) => ExecFrame::Stdin(bytes),
            Body::StdinClosed(pb::StdinClosed {}) => ExecFrame::StdinClosed,
            Body::Resize(size) => {
                ExecFrame::Resize(TerminalSize { columns: length(size.columns), rows: length(size.rows) })
            }
            Body::Stdout(bytes) => ExecFrame::Stdout(bytes),
            Body::Stderr(bytes) => ExecFrame::Stderr(bytes),
            Body::Exited(code) => ExecFrame::Exited(code),
            Body::Failed(error) => {
                ExecFrame::Failed(error.try_into().map_err(|e: FieldError| e.inside("failed"))?)
            }
        })
    }
}
