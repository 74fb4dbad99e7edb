//! Exit codes, by interfaces: 0 done; 1 a negative answer; 64 usage; 65 bad input file; 69 hub unreachable; 70 internal;
//! 73 state folder unusable; 75 port taken; 77 refused credential.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The answer is no: not found, would wait, refused.
    No,
    /// The answer is never (`plan`).
    Never,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Never => 2,
        })
    }
}

/// A failure with an exit code of its own. Attach it as context, or return it as an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: u8,
    message: String,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl Failure {
            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Failure {
                Failure { code: $code, message: message.into() }
            })*
        }
    };
}

failures! {
    /// The hub said no.
    negative = 1;
    /// A flag or argument makes no sense.
    usage = 64;
    /// A file that was given is not what it should be.
    input = 65;
    /// The hub cannot be reached.
    unreachable = 69;
    /// The state folder cannot be used.
    state = 73;
    /// A port is taken.
    port = 75;
    /// The credential was refused.
    credential = 77;
}

/// Prints an error with its causes, and gives its code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(70, |failure| failure.code);
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.dedup();
    eprintln!("muster: {}", causes.join(": "));
    ExitCode::from(code)
}

/// Prints a usage error, or the help that was asked for, and ends the process.
pub fn usage(error: &clap::Error) -> ! {
    // Nothing can be done if stderr is closed.
    let _ = error.print();
    std::process::exit(if error.use_stderr() { 64 } else { 0 });
}
