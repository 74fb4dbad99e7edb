//! What clippy cannot see in pure packages: whole modules of std, float literals, and lints switched off.
//!
//! clippy.toml forbids named types and functions. `use std::fs` alone, a literal `1.5` compared but never added, or an
//! `#[allow(clippy::disallowed_types)]` pass it; they do not pass here.

use super::problem::Problem;
use super::scan;
use super::tree::Tree;
use crate::purity;

/// Modules no pure package may name.
const MODULES: [&str; 6] = ["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread"];
/// Lints no pure package may switch off.
const LINTS: [&str; 4] = [
    purity::FLOAT_LINT,
    "clippy::disallowed_types",
    "clippy::disallowed_methods",
    "clippy::disallowed_macros",
];

/// All sources of pure packages.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let pure = |name: &str| purity::PURE.iter().any(|pure| pure.name == name);
    let mut problems = Vec::new();
    for (path, source) in &tree.sources {
        if source.package.as_deref().is_some_and(pure) {
            let found = findings(&source.masked);
            problems.extend(
                found
                    .into_iter()
                    .map(|(at, text)| Problem::line(path, scan::line_of(&source.masked, at), text)),
            );
        }
    }
    for package in tree.packages.iter().filter(|package| pure(&package.name)) {
        for target in package.targets.iter().filter(|target| !target.is_test()) {
            problems.extend(missing_attribute(tree, package, target));
        }
    }
    problems
}

/// Every crate root of a pure package, its tests apart, denies float arithmetic: lint levels of the workspace cannot be added to in its
/// Cargo.toml, and clippy.toml holds no levels.
fn missing_attribute(
    tree: &Tree,
    package: &crate::workspace::Package,
    target: &crate::workspace::Target,
) -> Option<Problem> {
    let folder = package.manifest_path.parent()?;
    let inside = target.src_path.strip_prefix(folder).ok()?.to_string_lossy().replace('\\', "/");
    let path = format!("{}/{inside}", tree.folders[&package.name]);
    let masked = &tree.sources.get(&path)?.masked;
    let text = format!("a pure crate root must say `#![deny({})]`", purity::FLOAT_LINT);
    (!denies_floats(masked)).then(|| Problem::file(&path, text))
}

/// Whether a crate root carries the attribute.
pub fn denies_floats(masked: &str) -> bool {
    ["#![deny(", "#![forbid("].iter().any(|attribute| {
        masked
            .match_indices(attribute)
            .any(|(at, _)| masked[at..scan::closing(masked, at + 2)].contains(purity::FLOAT_LINT))
    })
}

/// Offsets and texts of what must not be there.
pub fn findings(masked: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for module in MODULES {
        let text =
            format!("a pure package may not name {module}: take the value as an input, or return an action");
        found.extend(scan::words(masked, module).map(|at| (at, text.clone())));
    }
    for lint in LINTS {
        for attribute in ["allow(", "expect("] {
            let open = |at: usize| at + attribute.len() - 1;
            let switched_off = masked
                .match_indices(attribute)
                .map(|(at, _)| at)
                .filter(|at| masked[*at..scan::closing(masked, open(*at))].contains(lint));
            found.extend(switched_off.map(|at| (at, format!("{lint} stays on in pure packages"))));
        }
    }
    let float = "a float literal in a pure package: use integers and name the unit";
    found.extend(float_literals(masked).into_iter().map(|at| (at, float.to_owned())));
    found.sort();
    found
}

/// Offsets of float literals: `1.5`, `1.`, `1e9`, `1f64`. Tuple fields, ranges, methods on integers and hexadecimal
/// numbers are none.
fn float_literals(masked: &str) -> Vec<usize> {
    let bytes = masked.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += if scan::is_word(bytes[at]) { scan::identifier(masked, at).len() } else { 1 };
            continue;
        }
        let word = scan::identifier(masked, at);
        let field = at > 0 && bytes[at - 1] == b'.' && !(at > 1 && bytes[at - 2] == b'.');
        if !field && (is_float_word(word) || has_fraction(bytes, at + word.len())) {
            found.push(at);
        }
        at += word.len();
    }
    found
}

/// `1e9`, `1f64`: floats without a point.
fn is_float_word(word: &str) -> bool {
    let plain = !["0x", "0b", "0o"].iter().any(|prefix| word.starts_with(prefix));
    let letters = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    let exponent = letters
        .strip_prefix(['e', 'E'])
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()));
    plain && (exponent || letters == "f32" || letters == "f64")
}

/// Whether a point follows that belongs to the number: not a range, not a method.
fn has_fraction(bytes: &[u8], end: usize) -> bool {
    let next = bytes.get(end + 1).copied().unwrap_or(b' ');
    let continues = next == b'.' || (scan::is_word(next) && !next.is_ascii_digit());
    bytes.get(end) == Some(&b'.') && !continues
}

#[cfg(test)]
mod tests {
    use super::super::scan::mask;
    use super::*;

    #[test]
    fn floats_are_told_from_what_looks_like_them() {
        for (source, count) in [
            ("1.5", 1),
            ("1. + 2.0", 2),
            ("1e9", 1),
            ("1E-9", 1),
            ("2f64", 1),
            ("1_000.5_f32", 1),
            ("..1.5", 1),
            ("0..10", 0),
            ("0..=10", 0),
            ("1.max(2)", 0),
            ("x.0.1", 0),
            ("x.0", 0),
            ("0x1e5", 0),
            ("0xef32", 0),
            ("1u64", 0),
            ("v1.5", 0),
            ("\"1.5\" // 1.5", 0),
            ("a1e9", 0),
        ] {
            assert_eq!(float_literals(&mask(source)).len(), count, "{source}");
        }
    }

    #[test]
    fn modules_and_switched_off_lints_are_found() {
        for (source, count) in [
            ("use std::fs;", 1),
            ("use std::fs::File;", 1),
            ("std::env::var(x)", 1),
            ("use std::collections::BTreeMap;", 0),
            ("// std::fs\n\"std::fs\"", 0),
            ("#[allow(clippy::disallowed_types)]", 1),
            ("#[expect(clippy::float_arithmetic, reason = \"x\")]", 1),
            ("#[allow(dead_code)]", 0),
            ("#![deny(clippy::float_arithmetic)]", 0),
        ] {
            assert_eq!(findings(&mask(source)).len(), count, "{source}");
        }
    }

    #[test]
    fn the_attribute_counts_only_as_deny_or_forbid() {
        assert!(denies_floats("#![deny(clippy::float_arithmetic)]"));
        assert!(denies_floats("#![forbid(unsafe_code, clippy::float_arithmetic)]"));
        assert!(!denies_floats("#![warn(clippy::float_arithmetic)]"));
        assert!(!denies_floats("#![deny(missing_docs)]"));
    }
}
