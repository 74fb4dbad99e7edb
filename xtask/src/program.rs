//! `cargo xtask sim` and `cargo xtask bench`: build a program of the e2e package, then become it.
//!
//! The build writes to stderr only. The program replaces this process, so that its stdout, exit code and signals are
//! its own. `--mutant NAME` needs the build with `--cfg mutants`, which has a target folder and a profile of its own:
//! a release build never carries that cfg.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::workspace::Workspace;

/// What is handed to the program as it is.
#[derive(clap::Args)]
pub struct Arguments {
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

#[derive(Deserialize)]
struct BuildMessage {
    executable: Option<PathBuf>,
}

/// Builds the executable `name` of muster-e2e and runs it in place of this process.
pub fn run(workspace: &Workspace, name: &str, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    refuse_mutants(std::env::vars())?;
    let mutant = arguments.arguments.iter().any(|argument| is_mutant(&argument.to_string_lossy()));
    let mut build = build_command(workspace, name, mutant);
    let output = build.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`{name}` of muster-e2e does not build: repair what cargo names above");
    }
    let executable = executable(&String::from_utf8_lossy(&output.stdout), name)
        .with_context(|| format!("cargo named no executable for `{name}`"))?;
    let error = Command::new(&executable).args(&arguments.arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", executable.display()))
}

fn build_command(workspace: &Workspace, name: &str, mutant: bool) -> Command {
    let mut build = workspace.cargo(["build", "-p", "muster-e2e", "--bin", name]);
    build.arg("--message-format=json-render-diagnostics");
    if name == "bench" {
        // It starts the product, which it looks for beside itself.
        build.args(["-p", "muster", "--bin", "muster"]);
    }
    if mutant {
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        build.env("RUSTFLAGS", format!("{flags} --cfg mutants"));
        build.args(["--config", "profile.mutants.inherits=\"release\"", "--profile", "mutants"]);
    } else {
        build.arg("--release");
    }
    build
}

/// Refuses an environment that would put the mutants' cfg into a release build.
fn refuse_mutants(variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<()> {
    for (name, value) in variables {
        if name.contains("RUSTFLAGS") && value.contains("mutants") {
            bail!(
                "{name} sets `--cfg mutants`, which no release build may carry: unset it and use --mutant NAME"
            );
        }
    }
    Ok(())
}

fn is_mutant(argument: &str) -> bool {
    argument == "--mutant" || argument.starts_with("--mutant=")
}

/// The executable of this name in cargo's JSON messages; libraries and build scripts have none.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<BuildMessage>(line).ok())
        .filter_map(|message| message.executable)
        .find(|executable| executable.file_stem().is_some_and(|stem| stem == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_by_its_name() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/muster\"}\n",
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/sim\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(messages, "sim"), Some(PathBuf::from("/t/release/sim")));
        assert_eq!(executable(messages, "bench"), None);
    }

    #[test]
    fn release_builds_refuse_the_cfg_of_mutants() {
        let with =
            |name: &str, value: &str| refuse_mutants([(name.to_owned(), value.to_owned())].into_iter());
        assert!(with("RUSTFLAGS", "--cfg mutants").is_err());
        assert!(with("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}mutants").is_err());
        assert!(with("RUSTFLAGS", "-Cdebuginfo=1").is_ok());
        assert!(with("NOTE", "mutants").is_ok());
    }

    #[test]
    fn a_mutant_is_asked_for_by_name() {
        assert!(is_mutant("--mutant"));
        assert!(is_mutant("--mutant=skip_fsync"));
        assert!(!is_mutant("--mutants-report"));
    }
}
