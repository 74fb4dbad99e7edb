//! Lengths of functions and files.
//!
//! Counted are lines that hold code: blank lines, comments and the insides of multi-line strings are free, so that a
//! table of expected texts is not a long function. Free too are one-line arms of a function that is one `match`, and in
//! tests the rows of a table: lines inside `[...]` and statements that begin with `check`.

use std::collections::BTreeMap;

use super::modules;
use super::problem::Problem;
use super::scan;
use super::tree::Tree;

/// No function is longer.
const MAX_LINES: usize = 70;
/// Nine of ten functions of a package are not longer.
const P90_LINES: usize = 40;
/// No file is longer, all its lines counted.
const MAX_FILE_LINES: usize = 500;

/// A function with a body.
struct Function {
    name: String,
    line: usize,
    lines: usize,
    test: bool,
}

/// Functions and files of every package, generated files apart.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut lengths: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (path, source) in tree.sources.iter().filter(|(_, source)| !source.generated) {
        let text = &tree.texts[path];
        problems.extend(file_length(path, text));
        for function in functions(text, &source.masked, source.test) {
            if function.lines > MAX_LINES {
                problems.push(too_long(path, &function));
            }
            if let (Some(package), false) = (&source.package, function.test) {
                lengths.entry(package).or_default().push(function.lines);
            }
        }
    }
    problems.extend(lengths.into_iter().filter_map(|(package, lengths)| ninth_decile(package, lengths)));
    problems
}

fn file_length(path: &str, text: &str) -> Option<Problem> {
    let lines = text.lines().count();
    let text = format!("{lines} lines, {MAX_FILE_LINES} allowed: split it by what it is about");
    (lines > MAX_FILE_LINES).then(|| Problem::file(path, text))
}

fn too_long(path: &str, function: &Function) -> Problem {
    let Function { name, line, lines, .. } = function;
    Problem::line(
        path,
        *line,
        format!("fn {name}: {lines} lines, {MAX_LINES} allowed: name its parts and split it"),
    )
}

fn ninth_decile(package: &str, mut lengths: Vec<usize>) -> Option<Problem> {
    lengths.sort_unstable();
    let p90 = lengths[(lengths.len() * 9).div_ceil(10) - 1];
    let text =
        format!("nine of ten functions should have at most {P90_LINES} lines, here {p90}: split the longest");
    (p90 > P90_LINES).then(|| Problem::file(&format!("package {package}"), text))
}

/// All functions with a body, nested ones too.
fn functions(text: &str, masked: &str, test_file: bool) -> Vec<Function> {
    let tests = modules::test_ranges(text, masked);
    scan::words(masked, "fn")
        .filter_map(|at| {
            let start = at + 2 + masked[at + 2..].bytes().take_while(u8::is_ascii_whitespace).count();
            let name = scan::identifier(masked, start);
            let (open, end) = body(masked, start + name.len())?;
            let test = test_file || tests.iter().any(|(from, to)| (*from..*to).contains(&at));
            let function = || Function {
                name: name.to_owned(),
                line: scan::line_of(masked, at),
                lines: counted_lines(masked, at, open, end, test),
                test,
            };
            (!name.is_empty()).then(function)
        })
        .collect()
}

/// Where the body's brace opens and ends; `None` for a declaration without one.
fn body(masked: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = masked.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => return Some((at, scan::closing(masked, at))),
            b';' | b'}' => return None,
            b'(' | b'[' => at = scan::closing(masked, at),
            _ => at += 1,
        }
    }
    None
}

fn counted_lines(masked: &str, start: usize, open: usize, end: usize, test: bool) -> usize {
    let rows = if test { table_rows(masked, open + 1, end) } else { Vec::new() };
    let one_match = is_one_match(&masked[open + 1..end - 1]);
    let mut at = start;
    let mut counted = 0;
    for line in masked[start..end].split_inclusive('\n') {
        let code = line.trim();
        let row = rows.iter().any(|(from, to)| (*from..*to).contains(&at));
        let free = code.is_empty() || row || (one_match && is_one_line_arm(code));
        counted += usize::from(!free);
        at += line.len();
    }
    counted
}

/// Ranges in test code that are rows of a table; a line is one when it begins inside.
fn table_rows(masked: &str, from: usize, to: usize) -> Vec<(usize, usize)> {
    let arrays =
        masked[from..to].match_indices('[').map(|(at, _)| (from + at, scan::closing(masked, from + at)));
    let checks = scan::words(&masked[from..to], "check").map(|at| {
        let start = masked[..from + at].rfind('\n').map_or(0, |line| line + 1);
        let length = masked[from + at..].find(';').unwrap_or(0);
        (start, from + at + length)
    });
    arrays.chain(checks).collect()
}

/// Whether a body is a single `match` expression.
fn is_one_match(body: &str) -> bool {
    let body = body.trim();
    let Some(open) = body.find('{').filter(|_| body.starts_with("match ")) else { return false };
    scan::closing(body, open) == body.len()
}

fn is_one_line_arm(code: &str) -> bool {
    let balanced = |open: char, close: char| code.matches(open).count() == code.matches(close).count();
    code.contains("=>")
        && balanced('{', '}')
        && balanced('(', ')')
        && (code.ends_with(',') || code.ends_with('}'))
}

#[cfg(test)]
mod tests {
    use super::super::scan::mask;
    use super::*;

    fn lengths(source: &str, test: bool) -> Vec<(String, usize)> {
        functions(source, &mask(source), test).into_iter().map(|found| (found.name, found.lines)).collect()
    }

    #[test]
    fn lines_that_count() {
        for (source, name, lines) in [
            ("fn a() {}", "a", 1),
            ("fn a() {\n    1\n}", "a", 3),
            ("fn a() {\n    // why\n\n    1\n}", "a", 3),
            ("fn a(\n    x: [u8; 3],\n) -> u8\nwhere\n    u8: Copy,\n{\n    1\n}", "a", 8),
            ("fn a() {\n    \"\n    x\n    y\n    \"\n}", "a", 4),
            ("fn a() {\n    match x {\n        1 => 2,\n        _ => 3,\n    }\n}", "a", 4),
            ("fn a() {\n    let y = match x {\n        1 => 2,\n    };\n    y\n}", "a", 6),
            ("trait T { fn none(&self) -> u8; fn a() {} }", "a", 1),
            ("const fn a<F: fn_x>(f: fn(u8)) {}", "a", 1),
        ] {
            assert_eq!(lengths(source, false), [(name.to_owned(), lines)], "{source}");
        }
    }

    #[test]
    fn rows_of_tables_are_free_in_tests_only() {
        for (source, test, lines) in [
            ("fn a() {\n    for x in [\n        1,\n        2,\n    ] {}\n}", true, 3),
            ("fn a() {\n    for x in [\n        1,\n        2,\n    ] {}\n}", false, 6),
            ("fn a() {\n    check(\n        1,\n    );\n    check(2);\n}", true, 2),
            ("fn a() {\n    recheck(\n        1,\n    );\n}", true, 5),
        ] {
            assert_eq!(lengths(source, test), [("a".to_owned(), lines)], "{source}");
        }
    }

    #[test]
    fn a_test_module_is_test_code() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}";
        let found = functions(source, &mask(source), false);
        assert_eq!(found.iter().map(|found| found.test).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn limits_are_met_at_the_limit_and_broken_one_past_it() {
        let lines = |count: usize| "x\n".repeat(count);
        assert!(file_length("a.rs", &lines(MAX_FILE_LINES)).is_none());
        assert!(file_length("a.rs", &lines(MAX_FILE_LINES + 1)).is_some());
        let nine_short = |last: usize| [vec![1; 9], vec![last]].concat();
        assert!(ninth_decile("p", nine_short(MAX_LINES)).is_none());
        assert!(ninth_decile("p", vec![P90_LINES; 3]).is_none());
        assert!(ninth_decile("p", vec![P90_LINES + 1; 3]).is_some());
    }
}
