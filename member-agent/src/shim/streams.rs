//! The standard streams of a container: what its first process gets, and what the shim keeps.
//!
//! ```text
//!  shim keeps: input --pipe---> 0        or  terminal <--both ways--> 0, 1, 2
//!              log <--pipes---- 1, 2         (log and input are the same descriptor)
//! ```
//!
//! The shim never writes to an input. It hands a copy of its end to an agent that asks (`control`), so that what somebody
//! types is held back by the pipe itself, and outlives neither the agent that carries it nor the container. As long as the
//! shim keeps its own copy the container sees no end of its input.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::openpty;
use nix::unistd::pipe2;

use super::spec::{ContainerSpec, InputSpec};

/// What the shim keeps of a container's streams.
pub(crate) struct Kept {
    pub(crate) stdout: File,
    /// None with a terminal: it has one output.
    pub(crate) stderr: Option<File>,
    pub(crate) input: Option<Input>,
}

/// The shim's end of what a container reads.
pub(crate) struct Input {
    end: OwnedFd,
    spec: InputSpec,
    is_terminal: bool,
}

/// The streams of a command that is about to be spawned.
pub(crate) enum Streams {
    Pipes { input: Option<Input> },
    Terminal { output: File, input: Input },
}

impl Streams {
    /// Opens what the container wants and gives the command its ends.
    pub(crate) fn open(container: &ContainerSpec, command: &mut Command) -> io::Result<Streams> {
        if container.tty {
            return Streams::terminal(container.input, command);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if container.input == InputSpec::Nothing {
            command.stdin(Stdio::null());
            return Ok(Streams::Pipes { input: None });
        }
        let (theirs, end) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        command.stdin(theirs);
        Ok(Streams::Pipes { input: Some(Input { end, spec: container.input, is_terminal: false }) })
    }

    fn terminal(spec: InputSpec, command: &mut Command) -> io::Result<Streams> {
        let pair = openpty(None, None)?;
        for side in [&pair.master, &pair.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        command.stdin(pair.slave.try_clone()?).stdout(pair.slave.try_clone()?).stderr(pair.slave);
        let end = pair.master.try_clone()?;
        Ok(Streams::Terminal {
            output: File::from(pair.master),
            input: Input { end, spec, is_terminal: true },
        })
    }

    /// Whether the command has to make its standard input its controlling terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Streams::Terminal { .. })
    }

    /// What is ours, once the command runs.
    pub(crate) fn keep(self, child: &mut Child) -> Kept {
        match self {
            Streams::Terminal { output, input } => Kept { stdout: output, stderr: None, input: Some(input) },
            Streams::Pipes { input } => {
                let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
                let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
                let file = |end: OwnedFd| File::from(end);
                Kept { stdout: file(stdout.into()), stderr: Some(file(stderr.into())), input }
            }
        }
    }
}

impl Input {
    /// What somebody who attaches may have.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// Whether it is a terminal, which has a size.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether bytes may be written to it.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.spec != InputSpec::Nothing
    }

    /// Whether it ends with the first client. A terminal does not: its end would be the container's.
    pub(crate) fn ends_with_client(&self) -> bool {
        self.spec == InputSpec::Once && !self.is_terminal
    }
}

/// Makes standard input the controlling terminal of this session. For between fork and exec.
pub(crate) fn take_terminal() -> io::Result<()> {
    // SAFETY: the request takes an integer and touches no memory.
    let answer = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
