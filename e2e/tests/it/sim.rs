//! The simulator as a program: the same seed in two processes, and what it refuses.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(arguments).output().expect("the simulator starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("it prints text")
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let arguments = ["--seed", "11", "--scenario", "frozen-start", "--trace"];
    let (first, second) = (sim(&arguments), sim(&arguments));
    assert!(first.status.success(), "{}", stdout(&first));
    let lines = |output: &Output| stdout(output).lines().map(str::to_owned).collect::<Vec<_>>();
    let (mut first, mut second) = (lines(&first), lines(&second));
    let hash = |summary: Option<String>| {
        let summary: serde_json::Value = serde_json::from_str(&summary?).ok()?;
        Some(summary["trace_hash"].as_str()?.to_owned())
    };
    let hashes = (hash(first.pop()), hash(second.pop()));
    assert!(hashes.0.is_some() && hashes.0 == hashes.1, "{hashes:?}");
    assert_eq!(first, second);
    let other = sim(&["--seed", "12", "--scenario", "frozen-start"]);
    assert_ne!(hash(stdout(&other).lines().last().map(str::to_owned)), hashes.0);
}

#[test]
fn each_event_is_one_aligned_line() {
    let output = sim(&["--seed", "4", "--scenario", "lost-member", "--trace"]);
    assert!(output.status.success(), "{}", stdout(&output));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    let (_, events) = lines.split_last().expect("it prints a summary");
    assert!(events.len() > 500, "{} lines", events.len());
    for line in events {
        let bytes = line.as_bytes();
        let is_aligned = bytes.len() > 32 && bytes[6] == b'.' && bytes[10] == b' ' && bytes[20] == b' ';
        assert!(is_aligned && bytes[11] != b' ' && bytes[21] != b' ', "not aligned: {line:?}");
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    for (arguments, named) in [
        (&["--scenario", "nowhere"][..], "nowhere"),
        (&["--seeds", "3", "--trace"], "--trace"),
        (&["--mutant", "no_such_bug"], "no_such_bug"),
        (&["--mutants"], "--mutants"),
    ] {
        let output = sim(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}
