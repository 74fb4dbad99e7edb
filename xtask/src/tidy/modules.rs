//! Which Rust files the crate roots reach through `mod`, and which of them only in tests.
//!
//! ```text
//! target root -> `mod x;` -> x.rs | x/mod.rs -> ...     (`#[path]`, inline modules and `include!` are followed)
//! ```

use std::collections::BTreeMap;

use super::scan;

/// How a file is reached.
#[derive(Clone, Copy)]
pub struct Role {
    /// Compiled for tests only.
    pub test: bool,
}

/// One `mod x;` or `mod x { ... }`.
struct Declaration {
    name: String,
    path: Option<String>,
    test: bool,
    inline: Option<(usize, usize)>,
}

/// All files reached from crate roots.
pub fn reach(
    roots: &[(String, Role)],
    texts: &BTreeMap<String, String>,
    masked: &BTreeMap<String, String>,
) -> BTreeMap<String, Role> {
    let mut walk = Walk { texts, masked, reached: BTreeMap::new() };
    for (root, role) in roots {
        walk.file(root, parent(root), *role);
    }
    walk.reached
}

struct Walk<'a> {
    texts: &'a BTreeMap<String, String>,
    masked: &'a BTreeMap<String, String>,
    reached: BTreeMap<String, Role>,
}

impl Walk<'_> {
    /// `folder` is where the file's own modules lie.
    fn file(&mut self, path: &str, folder: &str, role: Role) {
        let Some(masked) = self.masked.get(path) else { return };
        // A file reached both ways is not a test file; it is walked again so that its modules are not either.
        if self.reached.get(path).is_some_and(|known| !known.test || role.test) {
            return;
        }
        self.reached.insert(path.to_owned(), role);
        self.scope(Scope { path, folder, from: 0, to: masked.len() }, role);
        for included in includes(&self.texts[path], masked) {
            let target = join(parent(path), &included);
            self.file(&target.clone(), parent(&target), role);
        }
    }

    fn scope(&mut self, scope: Scope<'_>, role: Role) {
        let masked = &self.masked[scope.path];
        for declaration in declarations(&self.texts[scope.path], masked, scope.from, scope.to) {
            let role = Role { test: role.test || declaration.test };
            let inner = join(scope.folder, &declaration.name);
            match (declaration.inline, declaration.path) {
                (Some((from, to)), _) => self.scope(Scope { folder: &inner, from, to, ..scope }, role),
                (None, Some(path)) => {
                    let target = join(parent(scope.path), &path);
                    self.file(&target.clone(), parent(&target), role);
                }
                (None, None) => {
                    self.file(&format!("{inner}.rs"), &inner, role);
                    self.file(&format!("{inner}/mod.rs"), &inner, role);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    path: &'a str,
    folder: &'a str,
    from: usize,
    to: usize,
}

/// Modules declared between two offsets, those inside inline modules left to their own scope.
fn declarations(text: &str, masked: &str, from: usize, to: usize) -> Vec<Declaration> {
    let mut found = Vec::new();
    let mut after = from;
    for at in scan::words(masked, "mod") {
        if at < after || at >= to {
            continue;
        }
        let start = at + 3 + masked[at + 3..].bytes().take_while(u8::is_ascii_whitespace).count();
        let name = scan::identifier(masked, start);
        let rest = masked[start + name.len()..].trim_start();
        if name.is_empty() || !rest.starts_with([';', '{']) {
            continue;
        }
        let open = masked.len() - rest.len();
        let inline = rest.starts_with('{').then(|| (open + 1, scan::closing(masked, open)));
        after = inline.map_or(open, |(_, end)| end);
        let attributes = attributes_before(text, masked, at);
        found.push(Declaration {
            name: name.to_owned(),
            path: attributes.path,
            test: attributes.test,
            inline,
        });
    }
    found
}

#[derive(Default)]
struct Attributes {
    path: Option<String>,
    test: bool,
}

/// What the attributes just before an item say. They end at the nearest `;`, `}` or `{` outside of them.
fn attributes_before(text: &str, masked: &str, item: usize) -> Attributes {
    let start = masked[..item].rfind([';', '}', '{']).map_or(0, |at| at + 1);
    let mut attributes = Attributes::default();
    for (at, _) in masked[start..item].match_indices("#[") {
        let open = start + at + 1;
        let end = scan::closing(masked, open);
        let code = &masked[open..end];
        attributes.test |= code.starts_with("[cfg(") && scan::words(code, "test").next().is_some();
        if code.starts_with("[path") {
            attributes.path = text[open..end].split('"').nth(1).map(str::to_owned);
        }
    }
    attributes
}

/// Paths named in `include!("...")`.
fn includes(text: &str, masked: &str) -> Vec<String> {
    masked
        .match_indices("include!(\"")
        .filter_map(|(at, found)| text[at + found.len()..].split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Ranges of `masked` that are compiled for tests only: bodies of `#[cfg(test)]` modules.
pub fn test_ranges(text: &str, masked: &str) -> Vec<(usize, usize)> {
    declarations(text, masked, 0, masked.len())
        .into_iter()
        .filter(|declaration| declaration.test)
        .filter_map(|declaration| declaration.inline)
        .collect()
}

/// The folder part of a relative path.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `folder/path` with `.` and `..` resolved. What climbs above the root keeps its `..`.
pub fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::scan::mask;
    use super::*;

    fn names(source: &str) -> Vec<String> {
        let masked = mask(source);
        declarations(source, &masked, 0, masked.len())
            .into_iter()
            .map(|found| {
                let kind = if found.inline.is_some() { "{}" } else { ";" };
                let test = if found.test { " test" } else { "" };
                format!("{}{kind}{}{test}", found.name, found.path.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn declarations_with_their_attributes() {
        for (source, expected) in [
            ("mod a;", vec!["a;"]),
            ("pub(crate) mod a;\nmod b;", vec!["a;", "b;"]),
            ("// mod a;\n\"mod b;\"", vec![]),
            ("mod a { mod b; }\nmod c;", vec!["a{}", "c;"]),
            ("#[cfg(test)]\nmod tests;", vec!["tests; test"]),
            ("#[cfg(test)]\n#[allow(x)]\nmod tests {}", vec!["tests{} test"]),
            ("#[cfg(any(test, x))] mod a;", vec!["a; test"]),
            ("#[cfg(tests)] mod a;", vec!["a;"]),
            ("#[path = \"x/y.rs\"] mod a;", vec!["a;x/y.rs"]),
            ("#[cfg(test)] fn f() {}\nmod a;", vec!["a;"]),
            ("let model = mod_a;", vec![]),
        ] {
            assert_eq!(names(source), expected, "{source}");
        }
    }

    #[test]
    fn files_are_reached_through_modules() {
        let texts = BTreeMap::from(
            [
                ("a/src/lib.rs", "mod x;\nmod inline { mod y; }\n#[cfg(test)]\nmod lib_tests;\n#[path = \"odd/p.rs\"]\nmod p;"),
                ("a/src/x.rs", "mod deep;\n#[cfg(test)]\nmod tests;"),
                ("a/src/x/deep/mod.rs", "include!(\"deep.in.rs\");"),
                ("a/src/x/deep/deep.in.rs", ""),
                ("a/src/x/tests.rs", ""),
                ("a/src/inline/y.rs", ""),
                ("a/src/lib_tests.rs", "mod table;"),
                ("a/src/lib_tests/table.rs", ""),
                ("a/src/odd/p.rs", ""),
                ("a/src/dead.rs", ""),
                ("a/tests/all.rs", ""),
            ]
            .map(|(path, text)| (path.to_owned(), text.to_owned())),
        );
        let masked = texts.iter().map(|(path, text)| (path.clone(), mask(text))).collect();
        let roots = [("a/src/lib.rs", false), ("a/tests/all.rs", true)];
        let roots = roots.map(|(path, test)| (path.to_owned(), Role { test }));
        let reached = reach(&roots, &texts, &masked);
        let with = |test: bool| -> Vec<&str> {
            reached.iter().filter(|(_, role)| role.test == test).map(|(path, _)| path.as_str()).collect()
        };
        let product = ["inline/y.rs", "lib.rs", "odd/p.rs", "x.rs", "x/deep/deep.in.rs", "x/deep/mod.rs"];
        assert_eq!(with(false), product.map(|path| format!("a/src/{path}")));
        let tests = ["src/lib_tests.rs", "src/lib_tests/table.rs", "src/x/tests.rs", "tests/all.rs"];
        assert_eq!(with(true), tests.map(|path| format!("a/{path}")));
    }

    #[test]
    fn paths_are_joined() {
        for (folder, path, joined) in [
            ("a/b", "c.rs", "a/b/c.rs"),
            ("a/b", "../c.rs", "a/c.rs"),
            ("", "./c", "c"),
            ("a", "../../c", "../c"),
        ] {
            assert_eq!(join(folder, path), joined);
        }
    }
}
