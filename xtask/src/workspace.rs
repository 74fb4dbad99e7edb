//! The checkout: where it is, which packages it has, which files git knows or would add.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// The root folder of the checkout this program runs in.
pub struct Workspace {
    root: PathBuf,
}

/// One package of the workspace, as its manifest declares it.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    /// Name in Cargo.toml.
    pub name: String,
    /// Absolute path of its Cargo.toml.
    pub manifest_path: PathBuf,
    /// Declared dependencies of all kinds.
    pub dependencies: Vec<Dependency>,
    /// Crate roots.
    pub targets: Vec<Target>,
}

/// One line of a dependency table.
#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    /// Package name, before any rename.
    pub name: String,
    /// `None` is a normal one; else `dev` or `build`.
    pub kind: Option<String>,
}

/// One crate root of a package.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// `lib`, `bin`, `test`, `bench`, `custom-build`.
    pub kind: Vec<String>,
    /// Absolute path of the root file.
    pub src_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Workspace {
    /// The checkout whose xtask is running. `cargo run` names it in the environment; the path known when this
    /// program was compiled serves when the executable is started by hand.
    pub fn find() -> anyhow::Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
        let root = Path::new(&package).parent().context("xtask has no parent folder")?.to_path_buf();
        if !root.join("Cargo.lock").is_file() {
            bail!("{} holds no Cargo.lock: run `cargo xtask` inside the checkout", root.display());
        }
        Ok(Self { root })
    }

    /// The root folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command at the root, of the toolchain that started this program.
    pub fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Standard output of a command that must succeed.
    pub fn output(&self, command: &mut Command) -> anyhow::Result<String> {
        let shown = format!("{command:?}");
        let output =
            command.current_dir(&self.root).output().with_context(|| format!("cannot start {shown}"))?;
        if !output.status.success() {
            bail!("{shown} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("{shown} printed something that is not UTF-8"))
    }

    /// The workspace's own packages, sorted by name.
    pub fn packages(&self) -> anyhow::Result<Vec<Package>> {
        let text = self.output(&mut self.cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
        let mut packages = serde_json::from_str::<Metadata>(&text).context("cargo metadata")?.packages;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(packages)
    }

    /// Files that git tracks or would add, relative to the root, sorted. What was deleted on disk is left out.
    pub fn files(&self) -> anyhow::Result<Vec<String>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listing = self.output(&mut git)?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// `path` relative to the root, with forward slashes.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().replace('\\', "/")
    }
}

impl Target {
    /// Whether it is compiled for tests and benchmarks only.
    pub fn is_test(&self) -> bool {
        self.kind.iter().any(|kind| kind == "test" || kind == "bench")
    }
}

impl Package {
    /// The package's folder relative to the root; empty for none.
    pub fn folder(&self, workspace: &Workspace) -> String {
        let folder = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        workspace.relative(folder)
    }
}
