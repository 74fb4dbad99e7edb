//! The schema by itself: every field number, type and enum value, one per line. A swap of two enum values, or a field
//! that changes its type, is found here even where no golden value shows it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{golden, samples};

/// What a line of a `.proto` file opens.
enum Scope {
    /// A message or an enum: part of the path.
    Named(String),
    /// A oneof: its fields belong to the message around it.
    Oneof,
}

#[test]
fn numbers_and_types_are_as_they_always_were() {
    golden::bless_if_asked();
    let released = fs::read_to_string(golden::folder().join(golden::SCHEMA)).unwrap();
    let now = schema();
    for line in released.lines() {
        assert!(now.lines().any(|l| l == line), "released, and not in the schema any more: {line}");
    }
    assert_eq!(now, released, "what is new in the schema is not in {} yet", golden::SCHEMA);
}

#[test]
fn every_command_and_status_has_a_golden_file() {
    let variants_below = |message: &str, limit: u32| {
        let is_variant = |line: &&str| {
            let number = |rest: &str| rest.split(" = ").nth(1)?.split(' ').next()?.parse().ok();
            line.strip_prefix(message)
                .and_then(number)
                .is_some_and(|number: u32| (16..limit).contains(&number))
        };
        schema().lines().filter(is_variant).count()
    };
    let variants = |message: &str| variants_below(message, u32::MAX);
    // Further forms of commands and statuses that have one already.
    let is_first = |name: &String| !name.starts_with("carried-");
    let entries: Vec<_> = samples::entries().into_iter().map(|(name, _)| name).filter(is_first).collect();
    let specs = entries.iter().filter(|name| name.starts_with("put-")).count();
    // What is done to a burst pool is one command of several forms.
    let bursts = entries.iter().filter(|name| name.starts_with("burst-")).count();
    let commands = entries.len() - specs - bursts + 1;
    assert_eq!((commands, specs), (variants("Entry."), variants("Spec.")));
    let objects: Vec<_> = samples::objects().into_iter().map(|(name, _)| name).filter(is_first).collect();
    let jobs = objects.iter().filter(|name| name.starts_with("job-")).count();
    // All phases of a job are one status; an active one may be granted or running, a finished one may have failed, and
    // one has rules. Numbers of a job from 100 are fields.
    assert_eq!((objects.len() - jobs + 1, jobs - 3), (variants("Object."), variants_below("Job.", 100)));
}

#[test]
fn zero_means_nothing_in_every_enum() {
    for line in schema().lines().filter(|line| line.ends_with(" = 0 value")) {
        assert!(line.contains("_UNSPECIFIED "), "{line}");
    }
}

#[test]
fn nothing_has_an_order_that_is_not_fixed() {
    for file in files() {
        assert!(!fs::read_to_string(&file).unwrap().contains("map<"), "{}", file.display());
    }
}

/// `Message.field = NUMBER TYPE` and `Enum.VALUE = NUMBER value`, of all files in the order of their names.
pub fn schema() -> String {
    files().iter().map(|file| lines_of(&fs::read_to_string(file).unwrap())).collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/log/v1");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn lines_of(file: &str) -> String {
    let mut scopes = Vec::new();
    let mut lines = String::new();
    for line in file.lines().map(|line| line.split("//").next().unwrap_or_default().trim()) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["message" | "enum", _, "{}"] => {}
            ["message" | "enum", name, "{"] => scopes.push(Scope::Named(name.to_owned())),
            ["oneof", _, "{"] => scopes.push(Scope::Oneof),
            ["}"] => drop(scopes.pop()),
            [ref kind @ .., name, "=", number] if !scopes.is_empty() => {
                let kind = if kind.is_empty() { "value".to_owned() } else { kind.join(" ") };
                lines += &format!("{}.{name} = {} {kind}\n", path(&scopes), number.trim_end_matches(';'));
            }
            _ => assert!(scopes.is_empty() || line.is_empty(), "not understood: {line}"),
        }
    }
    lines
}

fn path(scopes: &[Scope]) -> String {
    let named = |scope: &Scope| match scope {
        Scope::Named(name) => Some(name.clone()),
        Scope::Oneof => None,
    };
    scopes.iter().filter_map(named).collect::<Vec<_>>().join(".")
}
