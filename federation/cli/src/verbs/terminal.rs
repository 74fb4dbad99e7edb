//! This process's own terminal.

use std::io::IsTerminal;

use nix::libc;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::exit::Failure;

/// Whether standard input is one.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Columns and rows of standard input's terminal.
pub fn size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one winsize, to a local one that outlives the call.
    let answer = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, &mut size) };
    (answer == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Standard input's terminal, that hands on every key as it is. Dropped, it is what it was.
pub struct RawTerminal(Termios);

impl RawTerminal {
    /// From here on keys mean nothing here.
    pub fn enter() -> Result<RawTerminal, Failure> {
        let failed = |error: nix::Error| Failure::usage(format!("-t: the terminal cannot be used: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).map_err(failed)?;
        Ok(RawTerminal(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _gone = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
