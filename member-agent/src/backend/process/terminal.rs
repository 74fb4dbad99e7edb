//! A pseudo terminal: our side of it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use muster_proto::federation::TerminalSize;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::pty::{OpenptyResult, openpty};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A terminal that a command runs on.
pub(super) struct Terminal {
    master: Arc<OwnedFd>,
}

impl Terminal {
    /// A new terminal, and the side for the command.
    pub(super) fn open() -> io::Result<(Terminal, OwnedFd)> {
        let OpenptyResult { master, slave } = openpty(None, None)?;
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        for side in [&master, &slave] {
            fcntl(side, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        }
        Ok((Terminal { master: Arc::new(master) }, slave))
    }

    /// The one that this is our side of, which does not block.
    pub(super) fn of(master: OwnedFd) -> Terminal {
        Terminal { master: Arc::new(master) }
    }

    /// What is typed and what is shown.
    pub(super) fn halves(&self) -> io::Result<(TerminalHalf, TerminalHalf)> {
        Ok((self.half()?, self.half()?))
    }

    /// One of them. It has a descriptor of its own: one descriptor can be watched once.
    pub(super) fn half(&self) -> io::Result<TerminalHalf> {
        // SAFETY: the descriptor is owned by what is registered, which closes it when it is dropped and not before.
        let watched = unsafe { AsyncFd::register(self.master.try_clone()?) };
        watched.map(TerminalHalf).map_err(io::Error::from)
    }

    /// Sets its size; the foreground process hears SIGWINCH.
    pub(super) fn resize(&self, size: TerminalSize) {
        let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open and the size is read during the call only.
        let _closed_meanwhile = unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    }
}

/// One direction of a terminal.
pub(super) struct TerminalHalf(AsyncFd<OwnedFd>);

impl AsyncRead for TerminalHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let free = out.initialize_unfilled();
            match guard.try_io(|fd| nix::unistd::read(fd.get_ref().as_fd(), free).map_err(io::Error::from)) {
                Ok(Ok(length)) => {
                    out.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for TerminalHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            let written = guard.try_io(|fd| nix::unistd::write(fd.get_ref(), bytes).map_err(io::Error::from));
            if let Ok(written) = written {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
