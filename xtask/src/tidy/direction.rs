//! Who may use whom: the arrows of docs/architecture.md, and what pure packages may depend on.
//!
//! The arrows hold for dev- and build-dependencies too: a test that reaches across a border is a border crossed.

use std::collections::BTreeSet;

use super::problem::Problem;
use super::tree::Tree;
use crate::purity;
use crate::workspace::{Dependency, Package};

/// A package and the workspace packages it may use.
pub struct Arrow {
    /// The one that uses.
    pub from: &'static str,
    /// Those it may use.
    pub to: &'static [&'static str],
}

/// Every package of the workspace. The model is the common language, so that all but `consensus` (bytes in, bytes out)
/// may speak it. The controller renders the report that `placement` computes, hence that arrow.
pub const ARROWS: [Arrow; 15] = [
    Arrow { from: "muster-model", to: &[] },
    Arrow { from: "muster-core", to: &["muster-model"] },
    Arrow { from: "muster-placement", to: &["muster-model"] },
    Arrow { from: "muster-kubeapi", to: &["muster-model"] },
    Arrow { from: "muster-proto", to: &["muster-model"] },
    Arrow { from: "muster-chaos-plan", to: &["muster-model"] },
    Arrow { from: "muster-member-machine", to: &["muster-model"] },
    Arrow {
        from: "muster-leader",
        to: &["muster-model", "muster-core", "muster-placement", "muster-chaos-plan"],
    },
    Arrow { from: "muster-consensus", to: &["muster-proto"] },
    Arrow { from: "muster-chaos-inject", to: &["muster-model", "muster-chaos-plan"] },
    Arrow {
        from: "muster-controller",
        to: &[
            "muster-model",
            "muster-core",
            "muster-placement",
            "muster-leader",
            "muster-consensus",
            "muster-kubeapi",
            "muster-proto",
            "muster-chaos-inject",
        ],
    },
    Arrow {
        from: "muster-member-agent",
        to: &["muster-model", "muster-proto", "muster-member-machine", "muster-chaos-inject"],
    },
    Arrow { from: "muster", to: &["muster-model", "muster-controller", "muster-member-agent"] },
    Arrow {
        from: "muster-e2e",
        to: &[
            "muster",
            "muster-model",
            "muster-core",
            "muster-placement",
            "muster-kubeapi",
            "muster-proto",
            "muster-chaos-plan",
            "muster-member-machine",
            "muster-leader",
            "muster-consensus",
            "muster-chaos-inject",
            "muster-controller",
            "muster-member-agent",
        ],
    },
    Arrow { from: "xtask", to: &[] },
];

/// Crates from outside that a pure package may list: values and containers, nothing that can do I/O.
pub const PURE_ALLOWED: [&str; 4] = ["imbl", "sha2", "siphasher", "thiserror"];
/// The same for its tests.
pub const PURE_DEV_ALLOWED: [&str; 2] = ["expect-test", "proptest"];

/// Crates that one package alone may list, so that it can be exchanged in one place.
pub const OWNED: [(&str, &str); 2] = [("raft", "muster-consensus"), ("protobuf", "muster-consensus")];

/// All rules over all packages.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let members: BTreeSet<&str> = tree.packages.iter().map(|package| package.name.as_str()).collect();
    tree.packages
        .iter()
        .flat_map(|package| {
            let path = format!("{}/Cargo.toml", tree.folders[&package.name]);
            problems(package, &members).into_iter().map(move |text| Problem::file(&path, text))
        })
        .collect()
}

/// What is wrong with one package's dependencies.
pub fn problems(package: &Package, members: &BTreeSet<&str>) -> Vec<String> {
    let Some(arrow) = ARROWS.iter().find(|arrow| arrow.from == package.name) else {
        return vec![format!(
            "package {} has no arrow: say in xtask/src/tidy/direction.rs what it may use, and in \
             docs/architecture.md why",
            package.name
        )];
    };
    package.dependencies.iter().filter_map(|dependency| problem(arrow, dependency, members)).collect()
}

fn problem(arrow: &Arrow, dependency: &Dependency, members: &BTreeSet<&str>) -> Option<String> {
    let name = dependency.name.as_str();
    if members.contains(name) {
        let text = format!(
            "{} may not use {name}: the arrows are in xtask/src/tidy/direction.rs; move the shared part to where \
             both may see it",
            arrow.from
        );
        return (!arrow.to.contains(&name)).then_some(text);
    }
    if let Some((_, owner)) = OWNED.iter().find(|(owned, owner)| *owned == name && *owner != arrow.from) {
        return Some(format!("only {owner} may list {name}: go through its types"));
    }
    let pure = purity::PURE.iter().any(|pure| pure.name == arrow.from);
    let text = format!(
        "{} is pure and may not list {name}: take its result as an input, or argue for it in \
         xtask/src/tidy/direction.rs",
        arrow.from
    );
    (pure && !pure_allows(dependency)).then_some(text)
}

fn pure_allows(dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    match dependency.kind.as_deref() {
        None => PURE_ALLOWED.contains(&name),
        Some("dev") => PURE_ALLOWED.contains(&name) || PURE_DEV_ALLOWED.contains(&name),
        // A build script is a program that reads files.
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(package: &str, name: &str, kind: Option<&str>) -> usize {
        let members: BTreeSet<&str> = ARROWS.iter().map(|arrow| arrow.from).collect();
        let dependency = Dependency { name: name.to_owned(), kind: kind.map(str::to_owned) };
        let package = Package {
            name: package.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: vec![dependency],
            targets: Vec::new(),
        };
        problems(&package, &members).len()
    }

    #[test]
    fn allowed_and_refused() {
        for (package, dependency, kind, wrong) in [
            ("muster-core", "muster-model", None, 0),
            ("muster-model", "muster-core", None, 1),
            ("muster-model", "muster-core", Some("dev"), 1),
            ("muster-consensus", "muster-model", None, 1),
            ("muster-consensus", "raft", None, 0),
            ("muster-controller", "raft", None, 1),
            ("muster-controller", "tokio", None, 0),
            ("muster-core", "tokio", None, 1),
            ("muster-core", "tokio", Some("dev"), 1),
            ("muster-core", "proptest", Some("dev"), 0),
            ("muster-core", "proptest", None, 1),
            ("muster-core", "thiserror", Some("build"), 1),
            ("xtask", "muster-model", None, 1),
            ("muster-e2e", "xtask", None, 1),
            ("unknown", "serde", None, 1),
        ] {
            assert_eq!(count(package, dependency, kind), wrong, "{package} -> {dependency} {kind:?}");
        }
    }

    #[test]
    fn arrows_make_no_circle() {
        for arrow in &ARROWS {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            let mut next: Vec<&str> = arrow.to.to_vec();
            while let Some(name) = next.pop() {
                if reached.insert(name) {
                    next.extend(ARROWS.iter().filter(|other| other.from == name).flat_map(|other| other.to));
                }
            }
            assert!(!reached.contains(arrow.from), "{} reaches itself", arrow.from);
        }
    }
}
