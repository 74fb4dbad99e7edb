//! Bans, duplicates and licences of everything that is compiled in, judged by deny.toml.
//!
//! What is compiled is asked of `cargo tree`: `cargo metadata` also lists crates behind features that nobody switches
//! on. deny.toml stays valid for cargo-deny, which checks advisories as well; each exception there has a reason and a
//! subject that still exists.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Deserialize;

use super::licence;
use super::problem::Problem;
use super::toml;
use crate::workspace::Workspace;

const FILE: &str = "deny.toml";

/// The part of deny.toml that is read here.
#[derive(Deserialize)]
struct Deny {
    graph: Graph,
    advisories: Advisories,
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Advisories {
    #[serde(default)]
    ignore: Vec<Ignored>,
}

#[derive(Deserialize)]
struct Ignored {
    id: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    /// `name` or `name@version`.
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
}

/// One compiled crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
}

/// Everything compiled for the targets that deny.toml names.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Problem>> {
    let text = std::fs::read_to_string(workspace.root().join(FILE)).context(FILE)?;
    let deny: Deny = serde_json::from_value(toml::parse(&text).context(FILE)?).context(FILE)?;
    let mut crates = BTreeSet::new();
    for target in &deny.graph.targets {
        let mut tree = workspace.cargo(["tree", "--workspace", "--locked", "--prefix", "none"]);
        tree.args(["-e", "normal,build,dev", "--format", "{p}|{l}", "--target", target]);
        crates.extend(workspace.output(&mut tree)?.lines().filter_map(parse_line));
    }
    Ok(judge(&deny, &crates).into_iter().map(|text| Problem::file(FILE, text)).collect())
}

/// `name v1.2.3 (proc-macro)|MIT`; repeated crates end in ` (*)`.
fn parse_line(line: &str) -> Option<Crate> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    Some(Crate { name, version, licence: licence.trim_end_matches(" (*)").to_owned() })
}

fn judge(deny: &Deny, crates: &BTreeSet<Crate>) -> Vec<String> {
    let mut problems = banned(&deny.bans, crates);
    problems.extend(duplicates(&deny.bans, crates));
    problems.extend(crates.iter().filter_map(|found| licence_problem(&deny.licenses, found)));
    problems.extend(unfounded(deny, crates));
    problems
}

fn banned(bans: &Bans, crates: &BTreeSet<Crate>) -> Vec<String> {
    let ban = |found: &Crate| bans.deny.iter().find(|ban| ban.name == found.name);
    crates
        .iter()
        .filter_map(|found| ban(found).map(|ban| (found, &ban.reason)))
        .map(|(found, reason)| {
            format!("{} is banned ({reason}): `cargo tree -i {}` shows who brings it", found.name, found.name)
        })
        .collect()
}

/// Crates compiled in several versions of which more than one is not skipped.
fn duplicates(bans: &Bans, crates: &BTreeSet<Crate>) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for found in crates {
        let skipped = bans.skip.iter().any(|skip| skip.name == format!("{}@{}", found.name, found.version));
        if !skipped {
            versions.entry(&found.name).or_default().push(&found.version);
        }
    }
    versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| {
            let versions = versions.join(", ");
            format!(
                "{name} is compiled in versions {versions}: unify them, or skip one with a reason in [bans]"
            )
        })
        .collect()
}

fn licence_problem(licences: &Licences, found: &Crate) -> Option<String> {
    let exception = licences.exceptions.iter().find(|exception| exception.name == found.name);
    let allowed = |id: &str| {
        let listed = |list: &[String]| list.iter().any(|allowed| allowed == id);
        listed(&licences.allow) || exception.is_some_and(|exception| listed(&exception.allow))
    };
    let text = || {
        let Crate { name, version, licence } = found;
        format!(
            "{name} {version}: licence `{licence}` is not allowed: replace it, or add a reasoned exception"
        )
    };
    (!licence::is_met(&found.licence, &allowed)).then(text)
}

/// Exceptions without a reason, or about crates that are gone.
fn unfounded(deny: &Deny, crates: &BTreeSet<Crate>) -> Vec<String> {
    let known = |name: &str| {
        crates.iter().any(|found| found.name == name || format!("{}@{}", found.name, found.version) == name)
    };
    let reasonless = deny.bans.deny.iter().chain(&deny.bans.skip).filter(|named| named.reason.is_empty());
    let ignored = deny.advisories.ignore.iter().filter(|ignored| ignored.reason.is_empty());
    let gone = deny.bans.skip.iter().map(|skip| &skip.name);
    let gone = gone.chain(deny.licenses.exceptions.iter().map(|exception| &exception.name));
    let mut problems: Vec<String> = reasonless.map(|named| format!("{} has no reason", named.name)).collect();
    problems.extend(ignored.map(|ignored| format!("{} has no reason", ignored.id)));
    problems.extend(
        gone.filter(|name| !known(name))
            .map(|name| format!("exception for {name}, which is not compiled: delete it")),
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
[graph]
targets = ["x86_64-unknown-linux-gnu"]
[advisories]
ignore = [{ id = "RUSTSEC-1", reason = "bounded" }]
[licenses]
allow = ["MIT"]
[[licenses.exceptions]]
crate = "imbl"
allow = ["MPL-2.0"]
[bans]
deny = [{ crate = "ring", reason = "one TLS provider" }]
skip = [{ crate = "rand@0.8.8", reason = "raft" }]
"#;

    fn problems(deny: &str, listing: &str) -> Vec<String> {
        let deny = serde_json::from_value(toml::parse(deny).expect("toml")).expect("deny.toml");
        judge(&deny, &listing.lines().filter_map(parse_line).collect())
    }

    const CLEAN: &str = "a v1.0.0|MIT\nimbl v7.0.0|MPL-2.0\nrand v0.8.8|MIT\nrand v0.10.3|MIT (*)";

    #[test]
    fn a_clean_tree_passes() {
        assert_eq!(problems(DENY, CLEAN), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found() {
        for (line, start) in [
            ("ring v0.17.1|MIT", "ring is banned (one TLS provider)"),
            ("a v2.0.0|MIT", "a is compiled in versions 1.0.0, 2.0.0"),
            ("rand v0.9.0|MIT", "rand is compiled in versions 0.10.3, 0.9.0"),
            ("b v1.0.0|MPL-2.0", "b 1.0.0: licence `MPL-2.0`"),
            ("b v1.0.0 (proc-macro)|", "b 1.0.0: licence ``"),
        ] {
            let found = problems(DENY, &format!("{CLEAN}\n{line}"));
            assert!(found.len() == 1 && found[0].starts_with(start), "{line}: {found:?}");
        }
    }

    #[test]
    fn exceptions_need_a_reason_and_a_subject() {
        let reasonless = DENY.replace("reason = \"bounded\"", "reason = \"\"");
        assert_eq!(problems(&reasonless, CLEAN), ["RUSTSEC-1 has no reason"]);
        let gone = problems(DENY, "a v1.0.0|MIT\nrand v0.8.8|MIT\nrand v0.10.3|MIT");
        assert_eq!(gone, ["exception for imbl, which is not compiled: delete it"]);
    }
}
