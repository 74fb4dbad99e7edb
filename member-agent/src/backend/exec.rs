//! A command that somebody runs in a pod, or what already runs there, as a conversation.

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use muster_proto::federation::{ExecStreams, TerminalSize};
use tokio::sync::mpsc;

use super::logs::LogStream;

/// Parts that may wait for a slow reader in each direction.
pub(crate) const PARTS_MAX: usize = 4;
/// The most bytes of one part.
pub(crate) const PART_BYTES: usize = 32 << 10;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOptions {
    /// Which container; none means the only one.
    pub container: Option<String>,
    /// Program and arguments; empty: attach to what runs.
    pub command: Vec<String>,
    /// What is connected.
    pub streams: ExecStreams,
}

/// What goes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecInput {
    /// To standard input.
    Stdin(Bytes),
    /// Nothing more comes.
    StdinClosed,
    /// The terminal's size.
    Resize(TerminalSize),
}

/// What comes out; [`ExecOutput::Exited`] or [`ExecOutput::Failed`] is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecOutput {
    /// Of standard output.
    Stdout(Bytes),
    /// Of standard error.
    Stderr(Bytes),
    /// Its exit code, 128 + signal if it was killed.
    Exited(i32),
    /// It was not run, or how it ended is not known.
    Failed(String),
}

/// A conversation. Both ways are bounded: who does not read holds the other back. When the output's end is dropped the
/// command is killed; what was attached to runs on.
#[derive(Debug)]
pub struct Exec {
    /// What goes in.
    pub input: mpsc::Sender<ExecInput>,
    /// What comes out.
    pub output: mpsc::Receiver<ExecOutput>,
}

/// What is written from now on, as a conversation. It ends with the streams, or when `typing` has.
pub(crate) fn listen(
    stdout: Option<LogStream>,
    stderr: Option<LogStream>,
    typing: impl FnOnce(mpsc::Receiver<ExecInput>) -> BoxFuture<'static, ()>,
) -> Exec {
    let (input, parts) = mpsc::channel(PARTS_MAX);
    let (sender, output) = mpsc::channel(PARTS_MAX);
    let typing = typing(parts);
    tokio::spawn(async move {
        let stdout = stdout.map(|stream| copy(stream, ExecOutput::Stdout, sender.clone()));
        let stderr = stderr.map(|stream| copy(stream, ExecOutput::Stderr, sender.clone()));
        let ended = futures::future::join_all(
            stdout.map(futures::FutureExt::boxed).into_iter().chain(stderr.map(futures::FutureExt::boxed)),
        );
        let failed = tokio::select! {
            ended = ended => ended.into_iter().find_map(Result::err),
            () = typing => None,
            () = sender.closed() => return,
        };
        let last = failed.map_or(ExecOutput::Exited(0), |error| ExecOutput::Failed(error.to_string()));
        let _nobody_listens = sender.send(last).await;
    });
    Exec { input, output }
}

async fn copy(
    mut stream: LogStream,
    part: fn(Bytes) -> ExecOutput,
    output: mpsc::Sender<ExecOutput>,
) -> std::io::Result<()> {
    while let Some(bytes) = stream.next().await {
        let mut bytes = bytes?;
        while !bytes.is_empty() {
            let piece = bytes.split_to(PART_BYTES.min(bytes.len()));
            if output.send(part(piece)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
