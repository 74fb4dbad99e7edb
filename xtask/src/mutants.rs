//! `cargo xtask mutants`: the deliberate bugs that tests catch; those that the simulator catches are `sim --mutant NAME`.
//!
//! A test with `mutant` in its name exists only with `--cfg mutants`. It switches its bugs on one by one, for the whole
//! process, and fails if what it checks still holds. So these tests run alone and one after the other, from a build with a
//! profile and a folder of its own.

use std::collections::BTreeSet;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, bail};

use crate::workspace::Workspace;

/// Packages with such tests.
const PACKAGES: [&str; 7] = [
    "muster-controller",
    "muster-core",
    "muster-kubeapi",
    "muster-leader",
    "muster-member-agent",
    "muster-member-machine",
    "muster-placement",
];

/// Builds and runs them. The last line says how many bugs there are, and how many tests passed.
pub fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let bugs = bugs(workspace)?;
    let mut test = workspace.cargo(["test", "--profile", "mutant-tests"]);
    test.args(["--config", "profile.mutant-tests.inherits=\"test\""]);
    test.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    test.args(["--lib", "--tests", "--", "--test-threads=1", "mutant"]);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let output = test.env("RUSTFLAGS", format!("{flags} --cfg mutants")).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    let passed: Vec<&str> = said.lines().filter(|line| is_passed(line)).collect();
    println!("\n{} bugs, {} tests that catch them passed", bugs.len(), passed.len());
    Ok(if output.status.success() && !passed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The names of all deliberate bugs. `Err` if one of them is switched on nowhere.
fn bugs(workspace: &Workspace) -> anyhow::Result<BTreeSet<String>> {
    let (mut bugs, mut sources) = (BTreeSet::new(), Vec::new());
    for file in workspace.files()?.iter().filter(|file| file.ends_with(".rs") && !file.starts_with("xtask/"))
    {
        let text = std::fs::read_to_string(workspace.root().join(file)).with_context(|| file.clone())?;
        bugs.extend(bugs_in(&text).map(str::to_owned));
        sources.push(text);
    }
    let is_forgotten = |bug: &&String| {
        let quoted = format!("\"{bug}\"");
        !sources.iter().any(|text| text.contains(&quoted))
    };
    let forgotten: Vec<&str> = bugs.iter().filter(is_forgotten).map(String::as_str).collect();
    if !forgotten.is_empty() {
        bail!("nothing switches on {}: name it in a test or in the simulator's list", forgotten.join(", "));
    }
    Ok(bugs)
}

fn bugs_in(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("mutant!(").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let is_name = |name: &&str| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    names.filter(is_name)
}

/// A test's own line; those that would be there without bugs too are not counted.
fn is_passed(line: &str) -> bool {
    let catches = line.contains("caught") || line.contains("catches");
    catches && line.starts_with("test ") && line.ends_with("... ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_found_by_their_names() {
        let text =
            "if a && !muster_model::mutant!(not_checked) {}\n/// `mutant!(NAME)` is false\nmutant!(other)";
        assert_eq!(bugs_in(text).collect::<Vec<_>>(), ["not_checked", "other"]);
    }

    #[test]
    fn only_tests_that_catch_are_counted() {
        assert!(is_passed("test replan::mutants_are_caught_by_it ... ok"));
        assert!(!is_passed("test replan::mutants_are_caught_by_it ... FAILED"));
        assert!(!is_passed("test burst::the_moves_of_the_mutants_are_legal_without_them ... ok"));
    }
}
