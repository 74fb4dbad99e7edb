//! Rust files that no crate root reaches.

use super::problem::Problem;
use super::tree::Tree;

/// One problem per unreachable file.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.sources
        .iter()
        .filter(|(_, source)| !source.reached)
        .map(|(path, _)| Problem::file(path, "no `mod` reaches this file: declare it or delete it"))
        .collect()
}
