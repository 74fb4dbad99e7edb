//! `cargo xtask test`: everything CI runs, and one line of totals at the very end.
//!
//! A failing stage does not stop the others, so that one run shows everything that is wrong.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::stages::{STAGES, Stage, When};
use crate::workspace::Workspace;

/// Flags of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Only the stages that a change needs while it is being written
    #[arg(long)]
    quick: bool,
}

/// Passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
}

/// Runs the stages.
pub fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    let mut totals = Totals::default();
    let mut failures = Vec::new();
    for stage in STAGES.iter().filter(|stage| stage.when == When::Always || !options.quick) {
        println!("== {}: {}", stage.name, stage.command.join(" "));
        let result = run_stage(workspace, stage)?;
        if result.failed > 0 {
            failures.push(stage.name);
        }
        totals += result;
    }
    if !failures.is_empty() {
        println!("\nfailed: {}", failures.join(", "));
    }
    println!("\n{} passed, {} failed", totals.passed, totals.failed);
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_stage(workspace: &Workspace, stage: &Stage) -> anyhow::Result<Totals> {
    let (program, arguments) = stage.command.split_first().context("a stage without a command")?;
    let program = match *program {
        // This very program, even when a build has put a newer one in its place.
        "xtask" => OsString::from("/proc/self/exe"),
        "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")),
        other => OsString::from(other),
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace.root()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start stage {}", stage.name))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let summaries = pass_through(stdout, &mut std::io::stdout())?;
    Ok(stage_totals(summaries, child.wait()?.success()))
}

/// Hands on every line as it comes and adds up libtest's summaries; `None` when there was none.
fn pass_through(stdout: impl Read, out: &mut impl Write) -> anyhow::Result<Option<Totals>> {
    let mut totals: Option<Totals> = None;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        out.write_all(&line)?;
        if let Some(summary) = summary(&text) {
            *totals.get_or_insert_default() += summary;
        }
        line.clear();
    }
    Ok(totals)
}

/// A stage that fails without a failed test (it did not compile, say) has one failure.
fn stage_totals(summaries: Option<Totals>, success: bool) -> Totals {
    let one = if success { Totals { passed: 1, failed: 0 } } else { Totals { passed: 0, failed: 1 } };
    match summaries {
        None => one,
        Some(totals) if !success && totals.failed == 0 => Totals { failed: 1, ..totals },
        Some(totals) => totals,
    }
}

/// `test result: ok. 5 passed; 0 failed; 0 ignored; ...`.
fn summary(line: &str) -> Option<Totals> {
    let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let part = counts.split(';').find_map(|part| part.trim().strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Totals { passed: count("passed")?, failed: count("failed")? })
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_libtest() {
        for (line, totals) in [
            ("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", Some((5, 0))),
            (
                "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n",
                Some((4, 2)),
            ),
            ("test result: unknown", None),
            ("5 passed; 0 failed", None),
            ("running 5 tests", None),
        ] {
            assert_eq!(summary(line), totals.map(|(passed, failed)| Totals { passed, failed }), "{line}");
        }
    }

    #[test]
    fn summaries_are_added_over_a_whole_output() {
        let output = "running 1 test\ntest result: ok. 1 passed; 0 failed;\n\ntest result: FAILED. 2 passed; 1 failed;\n";
        let mut printed = Vec::new();
        let totals = pass_through(output.as_bytes(), &mut printed).expect("reads from memory");
        assert_eq!(totals, Some(Totals { passed: 3, failed: 1 }));
        assert_eq!(printed, output.as_bytes());
        assert_eq!(pass_through("ok\n".as_bytes(), &mut printed).expect("reads from memory"), None);
    }

    #[test]
    fn a_stage_never_fails_silently() {
        let totals = |passed, failed| Totals { passed, failed };
        for (summaries, success, expected) in [
            (None, true, totals(1, 0)),
            (None, false, totals(0, 1)),
            (Some(totals(3, 0)), true, totals(3, 0)),
            (Some(totals(3, 0)), false, totals(3, 1)),
            (Some(totals(3, 2)), false, totals(3, 2)),
        ] {
            assert_eq!(stage_totals(summaries, success), expected);
        }
    }
}
