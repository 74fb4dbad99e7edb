//! Query parameters of `pods/NAME/exec` and `pods/NAME/attach`.

use crate::options::Query;
use crate::status::Status;

/// The most arguments of a command.
const ARGUMENTS_MAX: usize = 1_024;
/// The most bytes of a command with its arguments; a URL has about as many anyway.
const COMMAND_BYTES_MAX: usize = 64 << 10;

/// What is to be connected, as `PodExecOptions` and `PodAttachOptions` of the Kubernetes API say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Container; empty for the only one.
    pub container: String,
    /// Program and arguments; empty for attach.
    pub command: Vec<String>,
    /// Connect standard input.
    pub stdin: bool,
    /// Connect standard output.
    pub stdout: bool,
    /// Connect standard error.
    pub stderr: bool,
    /// As a terminal.
    pub tty: bool,
}

impl ExecOptions {
    /// Reads the parameters of `exec`.
    ///
    /// # Errors
    /// 400 for what makes no sense.
    pub fn exec(query: &Query) -> Result<Self, Status> {
        let command: Vec<String> = query.all("command").into_iter().map(str::to_owned).collect();
        if command.first().is_none_or(String::is_empty) {
            return Err(Status::bad_request(
                "you must specify at least 1 command: ?command=PROGRAM&command=ARGUMENT",
            ));
        }
        let bytes: usize = command.iter().map(String::len).sum();
        if command.len() > ARGUMENTS_MAX || bytes > COMMAND_BYTES_MAX {
            let most = format!(
                "command: at most {ARGUMENTS_MAX} arguments and {COMMAND_BYTES_MAX} bytes; put the rest into standard input"
            );
            return Err(Status::bad_request(most));
        }
        if command.iter().any(|argument| argument.contains('\0')) {
            return Err(Status::bad_request("command: an argument cannot hold a zero byte"));
        }
        Self::streams(query, command)
    }

    /// Reads the parameters of `attach`.
    ///
    /// # Errors
    /// 400 for what makes no sense.
    pub fn attach(query: &Query) -> Result<Self, Status> {
        Self::streams(query, Vec::new())
    }

    fn streams(query: &Query, command: Vec<String>) -> Result<Self, Status> {
        let options = Self {
            container: query.text("container"),
            command,
            stdin: query.flag("stdin"),
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr"),
            tty: query.flag("tty"),
        };
        if !options.stdin && !options.stdout && !options.stderr {
            return Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        if options.tty && options.stderr {
            return Err(Status::bad_request("tty and stderr cannot both be true: a terminal has one output"));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_exec_sends() {
        let parse = |text: &str| ExecOptions::exec(&Query::parse(text));
        let want = ExecOptions {
            container: "main".to_owned(),
            command: vec!["sh".to_owned(), "-c".to_owned(), "echo a b".to_owned()],
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let text = "command=sh&command=-c&command=echo+a+b&container=main&stdin=true&stdout=true&stderr=true";
        assert_eq!(parse(text), Ok(want));
        for wrong in [
            "stdout=true",
            "command=&stdout=true",
            "command=ls",
            "command=ls&tty=true&stdout=true&stderr=true",
            "command=a%00b&stdout=true",
        ] {
            assert_eq!(parse(wrong).unwrap_err().code, 400, "{wrong}");
        }
        assert_eq!(
            ExecOptions::attach(&Query::parse("stdout=true")).map(|options| options.command),
            Ok(vec![])
        );
    }

    #[test]
    fn a_command_is_bounded() {
        let many = "command=a&".repeat(ARGUMENTS_MAX + 1);
        let long = format!("command={}&", "a".repeat(COMMAND_BYTES_MAX + 1));
        for text in [many, long] {
            let why = ExecOptions::exec(&Query::parse(&format!("{text}stdout=true"))).unwrap_err();
            assert!(why.message.starts_with("command: at most"), "{}", why.message);
        }
    }
}
