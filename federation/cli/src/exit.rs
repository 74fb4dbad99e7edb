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
    /// As the command that was run (`exec`).
    Code(u8),
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Never => 2,
            Exit::Code(code) => code,
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

impl Failure {
    /// The same failure, with what it is about in front.
    pub fn about(self, what: &str) -> Failure {
        Failure { message: format!("{what}: {}", self.message), ..self }
    }

    /// Whether the hub did not answer, so that asking it more is of no use.
    pub fn is_unreachable(&self) -> bool {
        self.code == 69
    }
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
    let code =
        error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(70, |failure| failure.code);
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

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn codes_are_those_of_the_interface() {
        for (failure, code) in [
            (Failure::negative("x"), 1),
            (Failure::usage("x"), 64),
            (Failure::input("x"), 65),
            (Failure::unreachable("x"), 69),
            (Failure::state("x"), 73),
            (Failure::port("x"), 75),
            (Failure::credential("x"), 77),
        ] {
            // What was added on the way changes no code.
            let about = failure.about("job train");
            assert_eq!(about.to_string(), "job train: x");
            let error = Err::<(), _>(about).context("apply").unwrap_err();
            assert_eq!(report(&error), ExitCode::from(code));
        }
        assert_eq!(report(&anyhow::anyhow!("surprise")), ExitCode::from(70));
    }

    #[test]
    fn answers_have_codes_too() {
        let codes = [Exit::Done, Exit::No, Exit::Never].map(Exit::code);
        assert_eq!(codes, [0, 1, 2].map(ExitCode::from));
    }
}
