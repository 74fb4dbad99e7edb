//! What pure packages may not touch: ONE list, from which every clippy.toml is generated.
//!
//! A pure package decides and does nothing else: `step(input, now) -> outputs`, the same bytes on every replica. So it
//! has no hash map (order), no clock, no float (rounding), no environment, files, threads, sockets or processes.
//! A package's clippy.toml *replaces* the root's, hence both come from here, the shared part included.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// A package marked pure in docs/architecture.md.
pub struct Pure {
    /// Package name.
    pub name: &'static str,
    /// Folder, relative to the root.
    pub folder: &'static str,
}

/// All pure packages.
pub const PURE: [Pure; 6] = [
    Pure { name: "muster-model", folder: "federation/model" },
    Pure { name: "muster-core", folder: "federation/core" },
    Pure { name: "muster-placement", folder: "federation/placement" },
    Pure { name: "muster-leader", folder: "federation/leader" },
    Pure { name: "muster-member-machine", folder: "member-agent/machine" },
    Pure { name: "muster-chaos-plan", folder: "chaos/plan" },
];

/// The attribute that a pure crate root carries: clippy.toml bans float types, and this lint finds float arithmetic
/// on inferred types. Tidy's scan finds the float literals that both let through.
pub const FLOAT_LINT: &str = "clippy::float_arithmetic";

/// One reason and the paths it forbids.
pub struct Ban {
    /// Said to whoever trips over it: why, and what to use.
    pub reason: &'static str,
    /// Paths for `disallowed-types`.
    pub types: &'static [&'static str],
    /// Paths for `disallowed-methods`.
    pub methods: &'static [&'static str],
    /// Paths for `disallowed-macros`.
    pub macros: &'static [&'static str],
}

/// Everything forbidden in pure packages.
pub const BANS: [Ban; 8] = [
    Ban {
        reason: "iteration order differs between replicas: use BTreeMap, BTreeSet or imbl::OrdMap",
        types: &[
            "std::collections::HashMap",
            "std::collections::HashSet",
            "std::hash::RandomState",
            "std::hash::DefaultHasher",
            "imbl::GenericHashMap",
            "imbl::GenericHashSet",
            "imbl::HashMap",
            "imbl::HashSet",
        ],
        methods: &[],
        macros: &[],
    },
    Ban {
        reason: "time is an input: take `now` as a parameter",
        types: &["std::time::Instant", "std::time::SystemTime"],
        methods: &["std::time::Instant::now", "std::time::SystemTime::now"],
        macros: &[],
    },
    Ban {
        reason: "rounding differs and NaN has no order: use integers (micro-dollars, ms, milli-GPU)",
        types: &["f32", "f64"],
        methods: &[],
        macros: &[],
    },
    Ban {
        reason: "the environment differs between replicas: take the value as a parameter",
        types: &[],
        methods: &[
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "std::env::args",
            "std::env::args_os",
            "std::env::current_dir",
            "std::env::current_exe",
            "std::env::temp_dir",
            "std::env::set_var",
            "std::env::remove_var",
            "std::env::set_current_dir",
        ],
        macros: &["std::option_env"],
    },
    Ban {
        reason: "a pure package touches no files: return what to do, an edge does it",
        types: &["std::fs::File", "std::fs::OpenOptions", "std::fs::DirBuilder"],
        methods: &[
            "std::fs::read",
            "std::fs::read_to_string",
            "std::fs::read_dir",
            "std::fs::read_link",
            "std::fs::write",
            "std::fs::copy",
            "std::fs::rename",
            "std::fs::create_dir",
            "std::fs::create_dir_all",
            "std::fs::remove_file",
            "std::fs::remove_dir",
            "std::fs::remove_dir_all",
            "std::fs::metadata",
            "std::fs::symlink_metadata",
            "std::fs::set_permissions",
            "std::fs::canonicalize",
            "std::fs::exists",
            "std::fs::hard_link",
        ],
        macros: &[],
    },
    Ban {
        reason: "a pure package runs on its caller's thread: return what to do, an edge does it",
        types: &["std::thread::Builder", "std::thread::JoinHandle", "std::thread::Thread"],
        methods: &[
            "std::thread::spawn",
            "std::thread::scope",
            "std::thread::sleep",
            "std::thread::park",
            "std::thread::yield_now",
            "std::thread::current",
            "std::thread::available_parallelism",
        ],
        macros: &["std::thread_local"],
    },
    Ban {
        reason: "a pure package has no sockets and no child processes: return what to do, an edge does it",
        types: &[
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::os::unix::net::UnixStream",
            "std::os::unix::net::UnixListener",
            "std::process::Command",
        ],
        methods: &["std::process::exit", "std::process::abort", "std::process::id"],
        macros: &[],
    },
    Ban {
        reason: "a pure package prints nothing: return it as a value",
        types: &[],
        methods: &["std::io::stdin", "std::io::stdout", "std::io::stderr"],
        macros: &["std::print", "std::println", "std::eprint", "std::eprintln"],
    },
];

const HEADER: &str = "\
# @generated by `cargo xtask tidy --generate` from the list in xtask/src/purity.rs. Change it there.
";

/// What every package has, pure or not.
const SHARED: &str = "\
allow-dbg-in-tests = false
avoid-breaking-exported-api = false
";

/// Relative path and content of each generated file.
pub fn generated() -> Vec<(String, String)> {
    let root = ("clippy.toml".to_owned(), format!("{HEADER}{SHARED}"));
    let pure = pure_clippy_toml();
    let packages = PURE.iter().map(|package| (format!("{}/clippy.toml", package.folder), pure.clone()));
    std::iter::once(root).chain(packages).collect()
}

/// Writes the generated files that differ.
pub fn write(root: &Path) -> anyhow::Result<()> {
    for (path, content) in generated() {
        let path = root.join(path);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == content) {
            continue;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn pure_clippy_toml() -> String {
    let mut text = format!("{HEADER}{SHARED}");
    list(&mut text, "disallowed-types", |ban| ban.types);
    list(&mut text, "disallowed-methods", |ban| ban.methods);
    list(&mut text, "disallowed-macros", |ban| ban.macros);
    text
}

fn list(text: &mut String, key: &str, paths: fn(&Ban) -> &'static [&'static str]) {
    let _ = writeln!(text, "{key} = [");
    for ban in &BANS {
        for path in paths(ban) {
            // A path of another crate is unknown to clippy where that crate is no dependency.
            let foreign = if path.starts_with("imbl::") { ", allow-invalid = true" } else { "" };
            let _ = writeln!(text, "    {{ path = \"{path}\", reason = \"{}\"{foreign} }},", ban.reason);
        }
    }
    let _ = writeln!(text, "]");
}
