//! A question before something that cannot be undone.

use std::io::{IsTerminal, Write};

use crate::exit::Failure;

/// Asks; an error unless the answer is yes. Without a terminal nobody can answer, so `--yes` must be given.
pub fn sure(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} Nobody can be asked here: give --yes")));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::negative("nothing was done")),
    }
}
