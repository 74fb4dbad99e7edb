//! The registry is complete and true.

use std::path::{Path, PathBuf};

use super::registry::{Check, PROMISES, table};
use crate::sim::{mutant_table, story_table};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_promise_is_checked_or_says_what_it_lacks() {
    let wanted: Vec<String> =
        (1..=24).map(|n| format!("S{n}")).chain((1..=9).map(|n| format!("L{n}"))).collect();
    let listed: Vec<&str> = PROMISES.iter().map(|promise| promise.number).collect();
    assert_eq!(listed, wanted);
    for promise in PROMISES {
        let answers = !promise.checks.is_empty() || promise.missing.is_some();
        assert!(answers, "{} is neither checked nor missing", promise.number);
    }
}

#[test]
fn what_the_registry_names_is_there() {
    for (promise, check) in PROMISES.iter().flat_map(|p| p.checks.iter().map(move |check| (p, check))) {
        match check {
            Check::Simulator(file) => {
                let text = read(&format!("e2e/src/invariants/{file}.rs"));
                assert!(
                    text.starts_with("//! ") && text.contains(promise.number),
                    "{file}: {}",
                    promise.number
                );
            }
            Check::State => {
                let text = read("federation/core/src/invariants.rs");
                assert!(text.contains(&format!("\"{}\"", promise.number)), "{}", promise.number);
            }
            Check::Test(file, function) => {
                assert!(read(file).contains(&format!("fn {function}(")), "{file} has no {function}");
            }
        }
    }
}

#[test]
fn every_check_is_in_the_registry() {
    let folder = root().join("e2e/src/invariants");
    let files = std::fs::read_dir(folder).expect("the folder is there").flatten();
    for name in files.filter_map(|file| file.file_name().into_string().ok()) {
        let Some(stem) = name.strip_suffix(".rs") else { continue };
        let is_check = stem.as_bytes()[0].is_ascii_lowercase() && stem.as_bytes()[1].is_ascii_digit();
        let named = |check: &Check| matches!(check, Check::Simulator(file) if *file == stem);
        let found = PROMISES.iter().any(|promise| promise.checks.iter().any(named));
        assert!(!is_check || found, "{name} is named by no promise");
    }
}

#[test]
fn the_documented_tables_are_generated() {
    let path = "docs/reference/guarantees.md";
    let mut wanted = read(path);
    for (name, table) in [("promises", table()), ("stories", story_table()), ("mutants", mutant_table())] {
        let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- {name}: end -->\n"));
        let (before, rest) = wanted.split_once(&begin).expect("the table has a beginning");
        let (_, after) = rest.split_once(&end).expect("the table has an end");
        wanted = [before, &begin, &table, &end, after].concat();
    }
    if std::env::var_os("MUSTER_BLESS").is_some() {
        std::fs::write(root().join(path), &wanted).expect("the page can be written");
    }
    assert_eq!(read(path), wanted, "MUSTER_BLESS=1 writes the tables anew");
}
