//! A command beside a pod's own: a helper process that enters the pod, and the pumps between it and a conversation.
//!
//! ```text
//!  input --> pump --pipe or terminal--> command --pipes or terminal--> pumps --> output
//!                                          ^
//!  output dropped --> control socket closed --> helper kills it
//! ```

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use muster_proto::federation::ExecStreams;
use nix::libc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::backend::{ProcessBackend, ShimCommand};
use super::containers::named_container;
use super::observation::exit_record;
use super::terminal::{Terminal, TerminalHalf};
use crate::backend::exec::{ExecInput, ExecOutput, PART_BYTES, PARTS_MAX};
use crate::backend::folder::system;
use crate::backend::{BackendError, Exec, ExecOptions, PodId};
use crate::shim::descriptors::close_others_on_exec;
use crate::shim::enter::{CONTROL_FD, EnterEnd, EnterSpec};
use crate::shim::spec::ShimSpec;

/// How long after the command's end its output is waited for where something else holds it open.
const LAST_OUTPUT: Duration = Duration::from_millis(200);
/// End of transmission: what a terminal makes of an input that has ended.
const END_OF_INPUT: &[u8] = &[4];

type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The command's streams on our side.
struct Streams {
    stdin: Option<Writer>,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    terminal: Option<Terminal>,
}

impl ProcessBackend {
    /// Runs a command in a pod, or attaches to it.
    pub(super) fn exec_in(&self, pod: PodId, options: ExecOptions) -> Result<Exec, BackendError> {
        let dir = self.folders.existing(&pod)?;
        if exit_record(&dir)?.is_some() {
            return Err(BackendError::Ended(pod));
        }
        let spec = ShimSpec::read(&dir)?;
        let container = named_container(&pod, &spec, options.container.as_deref())?;
        if options.command.is_empty() {
            return self.attach_to(&pod, container, options.streams);
        }
        let count = self.execs.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{pod}.{}.{count}", std::process::id());
        let container = container.name.clone();
        let ask = EnterSpec { container, argv: options.command, tty: options.streams.tty, mark };
        start(&self.config.shim, &dir, &ask, options.streams)
    }
}

/// Runs a command in the pod of the folder `dir`.
fn start(
    shim: &ShimCommand,
    dir: &Path,
    ask: &EnterSpec,
    streams: ExecStreams,
) -> Result<Exec, BackendError> {
    let (ours, theirs) = StdUnixStream::pair().map_err(system("make a socket pair"))?;
    ours.set_nonblocking(true).map_err(system("set nonblocking"))?;
    let control = UnixStream::from_std(ours).map_err(system("watch the helper"))?;
    let mut command = Command::new(&shim.program);
    command.args(&shim.args).arg("--enter").arg("--dir").arg(dir).env_clear();
    let terminal = streams.tty.then(Terminal::open).transpose().map_err(system("open a terminal"))?;
    let terminal = match terminal {
        Some((terminal, slave)) => {
            let half = || slave.try_clone().map(Stdio::from);
            command.stdin(half().map_err(system("share the terminal"))?);
            command.stdout(half().map_err(system("share the terminal"))?).stderr(Stdio::from(slave));
            Some(terminal)
        }
        None => {
            let pipe = |wanted| if wanted { Stdio::piped() } else { Stdio::null() };
            command.stdin(pipe(streams.stdin)).stdout(pipe(streams.stdout)).stderr(pipe(streams.stderr));
            None
        }
    };
    pass_control(&mut command, theirs);
    let mut child = command.spawn().map_err(system("execute the helper"))?;
    drop(command);
    let (stdin, stdout) = match &terminal {
        Some(terminal) => terminal.halves().map(boxed_halves).map_err(system("watch the terminal"))?,
        None => (
            child.stdin.take().map(|s| Box::new(s) as Writer),
            child.stdout.take().map(|s| Box::new(s) as Reader),
        ),
    };
    let stderr = child.stderr.take().map(|s| Box::new(s) as Reader);
    // Collected whenever it ends; it ends by itself when the control socket closes.
    tokio::spawn(async move { child.wait().await });
    let line = serde_json::to_vec(ask).expect("a spec has no map");
    Ok(converse(control, line, Streams { stdin, stdout, stderr, terminal }))
}

fn boxed_halves((input, output): (TerminalHalf, TerminalHalf)) -> (Option<Writer>, Option<Reader>) {
    (Some(Box::new(input)), Some(Box::new(output)))
}

/// Hands the helper its end of the control socket as descriptor 3, and nothing else of ours.
fn pass_control(command: &mut Command, theirs: StdUnixStream) {
    let theirs = OwnedFd::from(theirs);
    // SAFETY: between fork and exec the closure makes system calls only; it owns the descriptor it duplicates.
    unsafe {
        command.pre_exec(move || {
            close_others_on_exec()?;
            let answer = if theirs.as_raw_fd() == CONTROL_FD {
                // It is there already, and only marked to be closed.
                libc::fcntl(CONTROL_FD, libc::F_SETFD, 0)
            } else {
                libc::dup2(theirs.as_raw_fd(), CONTROL_FD)
            };
            if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

fn converse(control: UnixStream, line: Vec<u8>, streams: Streams) -> Exec {
    let (input, parts) = mpsc::channel(PARTS_MAX);
    let (sender, output) = mpsc::channel(PARTS_MAX);
    let Streams { stdin, stdout, stderr, terminal } = streams;
    let feeding = tokio::spawn(feed(parts, stdin, terminal));
    let (over, is_over) = watch::channel(false);
    let mut pumps = JoinSet::new();
    if let Some(stdout) = stdout {
        pumps.spawn(drain(stdout, ExecOutput::Stdout, sender.clone(), is_over.clone()));
    }
    if let Some(stderr) = stderr {
        pumps.spawn(drain(stderr, ExecOutput::Stderr, sender.clone(), is_over));
    }
    tokio::spawn(async move {
        let last = tokio::select! {
            last = attend(control, line) => last,
            // Dropping the control socket has the helper kill the command.
            () = sender.closed() => ExecOutput::Failed(String::new()),
        };
        over.send_replace(true);
        while pumps.join_next().await.is_some() {}
        feeding.abort();
        let _nobody_waits = sender.send(last).await;
    });
    Exec { input, output }
}

/// Tells the helper what to run and waits for how it ended.
async fn attend(mut control: UnixStream, mut line: Vec<u8>) -> ExecOutput {
    line.push(b'\n');
    let mut answer = String::new();
    let said = async {
        control.write_all(&line).await?;
        BufReader::new(&mut control).read_line(&mut answer).await
    };
    let said = said.await.map(|_| ());
    match said.map(|()| serde_json::from_str(&answer)) {
        Ok(Ok(EnterEnd::Exited(code))) => ExecOutput::Exited(code),
        Ok(Ok(EnterEnd::Failed(reason))) => ExecOutput::Failed(reason),
        Ok(Err(_)) | Err(_) => {
            ExecOutput::Failed("the command's helper ended without a word; the command was killed".to_owned())
        }
    }
}

/// Input to the command, as fast as it reads. What it does not want to read is thrown away.
async fn feed(mut parts: mpsc::Receiver<ExecInput>, mut stdin: Option<Writer>, terminal: Option<Terminal>) {
    while let Some(part) = parts.recv().await {
        let written = match (part, &mut stdin) {
            (ExecInput::Stdin(bytes), Some(writer)) => writer.write_all(&bytes).await,
            (ExecInput::StdinClosed, Some(writer)) if terminal.is_some() => {
                writer.write_all(END_OF_INPUT).await
            }
            (ExecInput::StdinClosed, _) => {
                stdin = None;
                Ok(())
            }
            (ExecInput::Resize(size), _) => {
                if let Some(terminal) = &terminal {
                    terminal.resize(size);
                }
                Ok(())
            }
            (ExecInput::Stdin(_), None) => Ok(()),
        };
        if written.is_err() {
            stdin = None;
        }
    }
}

/// Output of the command to its end, or to where nothing more came after the command had ended.
async fn drain(
    mut reader: Reader,
    part: fn(Bytes) -> ExecOutput,
    output: mpsc::Sender<ExecOutput>,
    mut over: watch::Receiver<bool>,
) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PART_BYTES);
        let mut room = (&mut buffer).limit(PART_BYTES);
        let read = tokio::select! {
            biased;
            read = reader.read_buf(&mut room) => read,
            () = silence(&mut over) => return,
            () = output.closed() => return,
        };
        // A terminal ends with an error when the last process that has it open is gone.
        if !matches!(read, Ok(length) if length > 0)
            || output.send(part(buffer.split().freeze())).await.is_err()
        {
            return;
        }
    }
}

/// Some time after the end.
async fn silence(over: &mut watch::Receiver<bool>) {
    // An error means that whoever would say so is gone, which is an end too.
    drop(over.wait_for(|over| *over).await);
    tokio::time::sleep(LAST_OUTPUT).await;
}
