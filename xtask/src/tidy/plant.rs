//! Plants each forbidden thing and demands that it is found: a check that cannot go red protects nothing.
//!
//! For each pure package a package of the same name is made in a scratch workspace, with the real clippy.toml and the
//! real attributes of its crate root, but a body of one planted line per ban. Clippy must complain about each of these
//! lines and about none of the clean ones. Borders are crossed in copies of the real manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::direction;
use super::pure_text;
use super::scan;
use crate::purity::{self, Pure};
use crate::workspace::{Dependency, Workspace};

/// Lines that must stay clean, so that a ban on everything would be seen.
const CLEAN: [&str; 3] = [
    "pub fn clean_map() -> std::collections::BTreeMap<u8, u8> { std::collections::BTreeMap::new() }",
    "pub fn clean_integers(a: u64) -> u64 { a * 3 / 2 }",
    "pub fn clean_time(now: std::time::Duration) -> u128 { now.as_millis() }",
];

/// What clippy cannot see and the text scan must.
const FOR_THE_SCAN: [&str; 5] = [
    "use std::fs;",
    "use std::thread;",
    "pub fn f() -> bool { 1.5 > 2.5 }",
    "#[allow(clippy::disallowed_types)]",
    "#[expect(clippy::float_arithmetic, reason = \"fast\")]",
];

/// Plants everything; the error lists what was not found.
pub fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut missed = borders(workspace)?;
    missed.extend(
        FOR_THE_SCAN
            .iter()
            .filter(|line| pure_text::findings(line).is_empty())
            .map(|line| format!("the text scan lets `{line}` pass")),
    );
    let scratch = Scratch::make(workspace)?;
    missed.extend(lints(workspace, &scratch)?);
    if missed.is_empty() {
        return Ok(());
    }
    bail!("{}\nplant: {} planted things were not found", missed.join("\n"), missed.len())
}

/// Each arrow that is not in the list, and an impure crate in each pure package, added to the real manifests.
fn borders(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let packages = workspace.packages()?;
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut missed = Vec::new();
    for package in &packages {
        let arrow = direction::ARROWS.iter().find(|arrow| arrow.from == package.name);
        let allowed = arrow.map_or(&[][..], |arrow| arrow.to);
        let foreign = members.iter().filter(|name| !allowed.contains(*name));
        let impure = purity::PURE.iter().filter(|pure| pure.name == package.name).map(|_| &"tokio");
        for name in foreign.chain(impure) {
            for kind in [None, Some("dev".to_owned()), Some("build".to_owned())] {
                let mut planted = package.clone();
                planted.dependencies = vec![Dependency { name: (*name).to_owned(), kind }];
                if direction::problems(&planted, &members).is_empty() {
                    missed.push(format!("{} may list {name}", package.name));
                }
            }
        }
    }
    Ok(missed)
}

/// Planted lines without a complaint, and clean lines with one.
fn lints(workspace: &Workspace, scratch: &Scratch) -> anyhow::Result<Vec<String>> {
    let lines = planted_lines();
    for pure in &purity::PURE {
        scratch.package(workspace, pure, &lines)?;
    }
    let complaints = scratch.clippy(workspace)?;
    let mut missed = Vec::new();
    for pure in &purity::PURE {
        let found = complaints.get(pure.name).cloned().unwrap_or_default();
        for (line, text) in body(&lines) {
            let planted = !CLEAN.contains(&text);
            if planted != found.contains(&line) {
                let verdict = if planted { "lets pass" } else { "refuses the clean line" };
                missed.push(format!("{}: clippy {verdict} `{text}`", pure.name));
            }
        }
    }
    Ok(missed)
}

/// Numbered lines of a planted crate: line 1 holds its attributes.
fn body(planted: &[String]) -> impl Iterator<Item = (usize, &str)> {
    planted.iter().map(String::as_str).chain(CLEAN).enumerate().map(|(at, text)| (at + 2, text))
}

/// One line per banned path, and float arithmetic on an inferred type. Paths of other crates need that crate.
fn planted_lines() -> Vec<String> {
    let mut lines = vec!["pub fn inferred(a: u8) -> bool { let x = 1.5; x + x > 2.5 || a > 1 }".to_owned()];
    for ban in &purity::BANS {
        for path in ban.types.iter().filter(|path| !path.starts_with("imbl::")) {
            let name = format!("Type{}", lines.len());
            let primitive = !path.contains("::");
            lines.push(if primitive {
                format!("pub type {name} = {path};")
            } else {
                format!("pub use {path} as {name};")
            });
        }
        lines.extend(ban.methods.iter().map(|path| call(path)));
        lines.extend(ban.macros.iter().map(|path| invocation(path)));
    }
    numbered(lines)
}

/// `NAME` in each line becomes a name of its own.
fn numbered(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().enumerate().map(|(at, line)| line.replace("NAME", &format!("planted_{at}"))).collect()
}

/// A function that calls a banned one with arguments that compile.
fn call(path: &str) -> String {
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    let arguments = match (module, name) {
        ("std::thread", "spawn") => "|| ()",
        ("std::thread", "scope") => "|_| ()",
        ("std::thread", "sleep") => "std::time::Duration::ZERO",
        ("std::process", "exit") => "0",
        ("std::env", "set_var") => "\"a\", \"b\"",
        ("std::env", "var" | "var_os" | "remove_var" | "set_current_dir") => "\"a\"",
        ("std::fs", "write" | "copy" | "rename" | "hard_link") => "\"a\", \"b\"",
        ("std::fs", "set_permissions") => "\"a\", permissions()",
        ("std::fs", _) => "\"a\"",
        _ => "",
    };
    let call = format!("{path}({arguments})");
    match name {
        "set_var" | "remove_var" => format!("pub fn NAME() {{ unsafe {{ {call} }} }}"),
        "set_permissions" => {
            format!("pub fn NAME(permissions: fn() -> std::fs::Permissions) {{ let _ = {call}; }}")
        }
        _ => format!("pub fn NAME() {{ let _ = {call}; }}"),
    }
}

fn invocation(path: &str) -> String {
    match path {
        "std::thread_local" => format!("{path}! {{ pub static PLANTED: u8 = const {{ 1 }}; }}"),
        "std::option_env" => format!("pub fn NAME() -> bool {{ {path}!(\"A\").is_some() }}"),
        _ => format!("pub fn NAME() {{ {path}!(\"a\"); }}"),
    }
}

/// A workspace of its own under the target folder, removed at the end.
struct Scratch {
    folder: PathBuf,
}

#[derive(Deserialize)]
struct CargoMessage {
    target: Option<MessageTarget>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    code: Option<Code>,
    level: String,
    message: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    is_primary: bool,
    line_start: usize,
}

impl Scratch {
    fn make(workspace: &Workspace) -> anyhow::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace.root().join("target"), PathBuf::from);
        let folder = target.join(format!("xtask-plant-{}", std::process::id()));
        let members: Vec<String> = purity::PURE.iter().map(|pure| format!("\"{}\"", pure.folder)).collect();
        let manifest = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", "));
        let scratch = Self { folder };
        scratch.write("Cargo.toml", &manifest)?;
        Ok(scratch)
    }

    fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The stand-in of one pure package: real configuration, planted body.
    fn package(&self, workspace: &Workspace, pure: &Pure, planted: &[String]) -> anyhow::Result<()> {
        let real = workspace.root().join(pure.folder);
        let read = |file: &str| {
            let path = real.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let lines: Vec<&str> = body(planted).map(|(_, text)| text).collect();
        let source = format!("{}\n{}\n", attributes(&read("src/lib.rs")?), lines.join("\n"));
        let manifest =
            format!("[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n", pure.name);
        self.write(&format!("{}/Cargo.toml", pure.folder), &manifest)?;
        self.write(&format!("{}/clippy.toml", pure.folder), &read("clippy.toml")?)?;
        self.write(&format!("{}/src/lib.rs", pure.folder), &source)
    }

    /// Lines that clippy's purity lints complain about, by package.
    fn clippy(&self, workspace: &Workspace) -> anyhow::Result<BTreeMap<String, BTreeSet<usize>>> {
        let mut clippy =
            workspace.cargo(["clippy", "--workspace", "--keep-going", "--message-format=json", "--offline"]);
        clippy.args(["--", "-D", "warnings"]);
        clippy.current_dir(&self.folder).env("CARGO_TARGET_DIR", self.folder.join("target"));
        let output = clippy.output().context("cannot start cargo clippy")?;
        let mut complaints: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(CargoMessage { target: Some(target), message: Some(diagnostic) }) =
                serde_json::from_str(line)
            else {
                continue;
            };
            let lines = diagnostic.purity_lines()?;
            complaints.entry(target.name.replace('_', "-")).or_default().extend(lines);
        }
        if output.status.success() || complaints.is_empty() {
            bail!(
                "clippy found nothing in the planted packages: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(complaints)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies under the target folder and harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Diagnostic {
    /// Lines of a purity lint. An error of the compiler itself means that a planted line is not Rust.
    fn purity_lines(&self) -> anyhow::Result<Vec<usize>> {
        let code = self.code.as_ref().map_or("", |code| code.code.as_str());
        if self.level == "error" && code.starts_with('E') {
            bail!("a planted line does not compile: {}", self.message);
        }
        if !code.starts_with("clippy::disallowed_") && code != purity::FLOAT_LINT {
            return Ok(Vec::new());
        }
        Ok(self.spans.iter().filter(|span| span.is_primary).map(|span| span.line_start).collect())
    }
}

/// The inner attributes of a crate root, on one line.
fn attributes(source: &str) -> String {
    let masked = scan::mask(source);
    let found = masked.match_indices("#![").map(|(at, _)| &source[at..scan::closing(&masked, at + 2)]);
    found.collect::<Vec<_>>().join(" ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ban_of_std_is_planted() {
        let all = planted_lines().join("\n");
        for ban in &purity::BANS {
            for path in ban.types.iter().chain(ban.methods).chain(ban.macros) {
                assert!(path.starts_with("imbl::") || all.contains(path), "{path} is not planted");
            }
        }
    }

    #[test]
    fn attributes_of_a_crate_root() {
        let source = "//! #![x]\n#![deny(\n    a,\n    b\n)]\n#![no_std]\n#[test]\nfn f() {}";
        assert_eq!(attributes(source), "#![deny(     a,     b )] #![no_std]");
    }
}
