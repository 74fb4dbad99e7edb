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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_module_names_is_dead() {
        let found = check(&Tree::of(&[("lib.rs", "mod a;"), ("a.rs", ""), ("b.rs", ""), ("c.txt", "")]));
        let shown: Vec<String> = found.iter().map(Problem::to_string).collect();
        assert_eq!(shown, ["b.rs: no `mod` reaches this file: declare it or delete it"]);
    }
}
