//! Keeps descriptors that a caller leaked out of what is executed next.
//!
//! A pipe that a job holds by accident keeps its other end waiting for as long as the job lives.

use std::io;
use std::os::fd::RawFd;

use nix::libc;

/// Marks everything but the standard streams as closed on exec. Safe between fork and exec.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: with this flag nothing is closed now; descriptors in use stay valid until an exec.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, flags) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves these open on exec. Safe between fork and exec, if they are open.
pub(crate) fn keep_on_exec(kept: &[RawFd]) -> io::Result<()> {
    for fd in kept {
        // SAFETY: the call takes integers only and touches no memory; a number that is not open is refused.
        if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
