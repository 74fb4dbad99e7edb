//! Small rules about what is in the files: openings, leftovers, sleeping tests, machine paths, registries, sizes.

use std::path::Path;

use super::modules;
use super::problem::Problem;
use super::scan;
use super::tree::{Source, Tree};

/// Larger files do not belong in the history.
const MAX_BYTES: u64 = 400_000;
/// Where every locked crate comes from.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");
/// Leftovers, spelled in halves so that this file has none.
const LEFTOVERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Files that may hold leftovers.
const CODE: [&str; 10] = ["rs", "toml", "proto", "sh", "py", "go", "tf", "hcl", "css", "yaml"];
/// Prefixes of functions that poll, or pass one tick of a test world: the one place where a test may sleep.
const POLLING: [&str; 6] = ["await_", "eventually", "poll_", "tick", "until", "wait_"];

/// All rules over all files.
pub fn check(tree: &Tree, root: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let machine = machine_paths(root);
    for (path, size) in &tree.sizes {
        if *size > MAX_BYTES {
            problems.push(Problem::file(
                path,
                format!("{size} bytes, {MAX_BYTES} allowed: generate it when needed"),
            ));
        }
    }
    for (path, text) in &tree.texts {
        problems.extend(machine.iter().flat_map(|place| naming(path, text, place)));
        problems.extend(registries(path, text));
        problems.extend(mutants(path, text));
        if !path.ends_with(".rs") {
            problems.extend(leftovers(path, text));
        }
    }
    for (path, source) in tree.sources.iter().filter(|(_, source)| !source.generated) {
        let text = &tree.texts[path];
        // Prose counts too, so it is the text that is searched, not the masked one.
        problems.extend(leftovers(path, text));
        problems.extend(opening(path, text));
        problems.extend(code(path, text, source));
    }
    problems
}

/// Every module says first what it is. A sibling `x_tests.rs` is explained by `x.rs`, and so is a `tests.rs`.
fn opening(path: &str, text: &str) -> Option<Problem> {
    let explained = text.starts_with("//!") || path.ends_with("_tests.rs") || path.ends_with("/tests.rs");
    (!explained).then(|| Problem::line(path, 1, "open it with `//!`: what it is, and what it must not do"))
}

fn leftovers(path: &str, text: &str) -> Vec<Problem> {
    let extension = path.rsplit('.').next().unwrap_or_default();
    if !CODE.contains(&extension) {
        return Vec::new();
    }
    let found = |word: &'static str| scan::words(text, word).map(move |at| (at, word));
    LEFTOVERS
        .into_iter()
        .flat_map(found)
        .map(|(at, word)| {
            Problem::line(path, scan::line_of(text, at), format!("{word}: do it, or open an issue"))
        })
        .collect()
}

fn code(path: &str, text: &str, source: &Source) -> Vec<Problem> {
    let masked = &source.masked;
    let tests = modules::test_ranges(text, masked);
    let in_test = |at: usize| source.test || tests.iter().any(|(from, to)| (*from..*to).contains(&at));
    let at = |needle: &'static str| masked.match_indices(needle).map(|(at, _)| at);
    let mut found: Vec<(usize, &str)> =
        at("#[ignore").map(|at| (at, "an ignored test protects nothing: run it or delete it")).collect();
    let sleeps =
        at("thread::sleep(").chain(at("time::sleep(")).filter(|at| in_test(*at) && !polls(masked, *at));
    found.extend(
        sleeps.map(|at| (at, "a sleeping test: await a condition in a function named wait_.., or step time")),
    );
    let unwraps = at(".unwrap()").filter(|at| !in_test(*at));
    found.extend(
        unwraps.map(|at| (at, "unwrap outside tests: return the error, or expect(\"why it holds\")")),
    );
    found.into_iter().map(|(at, text)| Problem::line(path, scan::line_of(masked, at), text)).collect()
}

/// Whether the function around an offset is named as one that polls.
fn polls(masked: &str, at: usize) -> bool {
    let before = &masked[..at];
    let Some(function) = scan::words(before, "fn").last() else { return false };
    let name = scan::identifier(masked, function + 3);
    POLLING.iter().any(|prefix| name.starts_with(prefix))
}

/// Folders of this machine that no file may name: the checkout, the folder it lies in, the home folder.
fn machine_paths(root: &Path) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let parent = root.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
    let root = root.to_string_lossy().into_owned();
    places(&root, &parent, &home)
}

/// Folders that every machine has say nothing about this one.
fn places(root: &str, parent: &str, home: &str) -> Vec<String> {
    const COMMON: [&str; 9] = ["", "/", "/home", "/tmp", "/var/tmp", "/opt", "/srv", "/usr/src", "/mnt"];
    [root, parent, home]
        .into_iter()
        .filter(|place| !COMMON.contains(place))
        .map(|place| format!("{place}/"))
        .collect()
}

fn naming(path: &str, text: &str, place: &str) -> Vec<Problem> {
    let inside_longer = |at: usize| {
        at > 0 && (scan::is_word(text.as_bytes()[at - 1]) || b"./-}".contains(&text.as_bytes()[at - 1]))
    };
    text.match_indices(place)
        .filter(|(at, _)| !inside_longer(*at))
        .map(|(at, _)| {
            let advice = format!("names {place} of this machine: use a path inside the clone");
            Problem::line(path, scan::line_of(text, at), advice)
        })
        .collect()
}

/// Locked packages come from the public registries, and nothing in the clone redirects them.
fn registries(path: &str, text: &str) -> Vec<Problem> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let strange: fn(&str) -> bool = match (path, file) {
        (_, "Cargo.lock") => {
            |line| line.starts_with("source = ") && !line.contains(&format!("\"{REGISTRY}\""))
        }
        (".cargo/config.toml", _) => {
            |line| ["[source", "[registr"].iter().any(|table| line.starts_with(table))
        }
        (_, "package-lock.json") => {
            |line| line.contains("\"resolved\"") && !line.contains(concat!("//registry.npm", "js.org/"))
        }
        (_, ".npmrc" | "pip.conf") => |line| line.contains("registry") || line.contains("index-url"),
        _ => |line| line.contains(concat!("GOPROXY", "=http")) || line.contains(concat!("--index-", "url")),
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| strange(line.trim()))
        .map(|(at, _)| {
            Problem::line(path, at + 1, "names a registry of one machine: leave that to its own settings")
        })
        .collect()
}

/// The cfg of mutants is chosen for one build by `cargo xtask sim --mutant`, never for all.
fn mutants(path: &str, text: &str) -> Option<Problem> {
    let set = path == ".cargo/config.toml" && text.contains("mutants");
    set.then(|| {
        Problem::file(
            path,
            "sets the cfg of mutants for every build: leave that to `cargo xtask sim --mutant`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_problems(text: &str, test: bool) -> usize {
        let source =
            Source { masked: scan::mask(text), package: None, reached: true, test, generated: false };
        code("a.rs", text, &source).len()
    }

    #[test]
    fn leftovers_are_words_in_code() {
        for (path, text, count) in [
            ("a.rs", concat!("// TO", "DO later"), 1),
            ("a.sh", concat!("# FIX", "ME"), 1),
            ("a.rs", concat!("let TO", "DOS = 1;"), 0),
            ("a.md", concat!("TO", "DO"), 0),
        ] {
            assert_eq!(leftovers(path, text).len(), count, "{text}");
        }
    }

    #[test]
    fn sleeping_ignored_and_unwrapping_code() {
        for (text, test, count) in [
            ("fn t() { std::thread::sleep(x); }", true, 1),
            ("fn t() { tokio::time::sleep(x).await; }", true, 1),
            ("fn wait_for() { tokio::time::sleep(x).await; }", true, 0),
            ("fn t() { std::thread::sleep(x); }", false, 0),
            ("#[cfg(test)]\nmod tests { fn t() { thread::sleep(x); } }", false, 1),
            ("#[ignore]\nfn t() {}", true, 1),
            ("#[ignore = \"slow\"]\nfn t() {}", true, 1),
            ("fn t() { x.unwrap(); }", false, 1),
            ("fn t() { x.unwrap(); }", true, 0),
            ("fn t() { x.unwrap_or(1); }", false, 0),
            ("/// x.unwrap()\nfn t() {}", false, 0),
        ] {
            assert_eq!(code_problems(text, test), count, "{text}");
        }
    }

    #[test]
    fn modules_open_with_what_they_are() {
        assert!(opening("a.rs", "//! What.\n").is_none());
        assert!(opening("a.rs", "use b;\n").is_some());
        assert!(opening("a_tests.rs", "use b;\n").is_none());
    }

    #[test]
    fn paths_of_the_machine_and_only_those() {
        let places = places("/build/muster", "/build", "/home/ci");
        let count = |text: &str| places.iter().map(|place| naming("a.md", text, place).len()).sum::<usize>();
        for (text, found) in [
            ("see /home/ci/notes", 1),
            ("see /build/other", 1),
            ("`/build/muster/target`", 2),
            ("https://x.org/build/y", 0),
            ("target/build/x", 0),
            ("/tmp/x", 0),
        ] {
            assert_eq!(count(text), found, "{text}");
        }
        assert!(super::places("/tmp", "/", "/").is_empty());
    }

    #[test]
    fn files_are_judged_by_size_and_the_cfg_of_mutants_is_kept_out() {
        let large = "x".repeat(usize::try_from(MAX_BYTES).expect("fits") + 1);
        let tree =
            Tree::of(&[("a.txt", &large), ("b.txt", &large[1..]), (".cargo/config.toml", "--cfg mutants")]);
        let shown: Vec<String> = check(&tree, Path::new("/nowhere")).iter().map(Problem::to_string).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(
            shown[0].starts_with("a.txt: 400001 bytes") && shown[1].starts_with(".cargo/config.toml: sets")
        );
    }

    #[test]
    fn registries_of_one_machine() {
        for (path, text, count) in [
            (
                "Cargo.lock",
                concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\""),
                0,
            ),
            ("Cargo.lock", "source = \"registry+https://mirror.example/index\"", 1),
            (".cargo/config.toml", "[source.crates-io]", 1),
            (".cargo/config.toml", "[alias]", 0),
            ("a/package-lock.json", concat!("\"resolved\": \"https://registry.npm", "js.org/a\""), 0),
            ("a/package-lock.json", "\"resolved\": \"https://mirror.example/a\"", 1),
            (".ci/run", concat!("export GOPROXY", "=http://mirror.example"), 1),
        ] {
            assert_eq!(registries(path, text).len(), count, "{text}");
        }
    }
}
