//! What pure packages reach through the crates they list: a harmless crate with one more feature may bring threads,
//! sockets or randomness along.

use super::problem::Problem;
use crate::purity;
use crate::workspace::Workspace;

/// Crates whose purpose is what a pure package may not do.
const IMPURE: [&str; 12] = [
    "async-std",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "mio",
    "nix",
    "rand",
    "rayon",
    "rustix",
    "socket2",
    "tempfile",
    "tokio",
];

/// One problem per impure crate that a pure package compiles in; crates of its tests do not count.
pub fn check(workspace: &Workspace) -> anyhow::Result<Vec<Problem>> {
    let mut tree =
        workspace.cargo(["tree", "--locked", "--prefix", "none", "-e", "normal", "--format", "{p}"]);
    tree.args(purity::PURE.iter().flat_map(|pure| ["-p", pure.name]));
    Ok(impure(&workspace.output(&mut tree)?))
}

fn impure(listing: &str) -> Vec<Problem> {
    let reached = |name: &&&str| listing.lines().any(|line| line.split(' ').next() == Some(**name));
    let text = |name: &str| {
        format!(
            "pure packages reach {name}: `cargo tree -e normal -i {name}` shows by whom; switch that feature off"
        )
    };
    IMPURE.iter().filter(reached).map(|name| Problem::file("Cargo.toml", text(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impure_crates_are_found_by_their_whole_name() {
        for (listing, count) in [
            ("muster-core v0.1.0 (/a)\nimbl v7.0.2\nrand_core v0.9.5", 0),
            ("imbl v7.0.2\nrayon v1.0.0", 1),
            ("rand v0.8.8\ntokio v1.0.0 (*)", 2),
        ] {
            assert_eq!(impure(listing).len(), count, "{listing}");
        }
    }
}
