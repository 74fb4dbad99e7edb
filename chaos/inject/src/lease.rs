//! A pause that cannot outlive the guard that holds it.
//!
//! ```text
//!  process --pipe, its reading end signals SIGCONT--> guard holds the writing end and sends SIGSTOP
//!                                                     guard dies: the kernel closes its end, and SIGCONT wakes the process
//! ```
//!
//! `F_SETSIG` (fcntl(2), Linux): with `O_ASYNC` set on the reading end, the kernel sends this signal to the owner when the
//! pipe's other side goes. SIGCONT resumes a stopped process whoever sends it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::{Pid, pipe2};

/// The process's end: while it is kept, the guard's death wakes this process.
#[derive(Debug)]
pub struct Lease {
    _reading: OwnedFd,
}

/// Both ends: ours, and the one that the guard gets as standard input.
///
/// # Errors
/// Out of descriptors, or the kernel does not know `F_SETSIG`.
pub fn lease() -> io::Result<(Lease, OwnedFd)> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
    wake_on_hangup(&reading)?;
    Ok((Lease { _reading: reading }, writing))
}

fn wake_on_hangup(reading: &OwnedFd) -> io::Result<()> {
    let descriptor = reading.as_raw_fd();
    // SAFETY: both calls take a descriptor that is open for their length and integers.
    let set = unsafe {
        libc::fcntl(descriptor, libc::F_SETOWN, Pid::this().as_raw()) != -1
            && libc::fcntl(descriptor, F_SETSIG, libc::SIGCONT) != -1
    };
    if !set {
        return Err(io::Error::last_os_error());
    }
    fcntl(reading, FcntlArg::F_SETFL(OFlag::O_ASYNC | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Linux's number on every architecture; not in libc for all of them.
const F_SETSIG: libc::c_int = 10;
