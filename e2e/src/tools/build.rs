//! Finding a program, or building it once for all clones and runs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tool::Tool;

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// The folder that the environment names lacks it.
    #[error("MUSTER_KUBE_TOOLS: {} is not there; build it with `e2e/kube/build {} {}`", .0.display(), folder_of(.0), file_of(.0))]
    NotInFolder(PathBuf),
    /// It would have to be built, and Go is not there.
    #[error(
        "{0} is built from its Go module, and `go` is not on PATH; install Go 1.26 or newer, or set MUSTER_KUBE_TOOLS to a folder that has it"
    )]
    NoGo(&'static str),
    /// Its build failed.
    #[error("{tool} could not be built: {reason}")]
    Build {
        /// The program.
        tool: &'static str,
        /// What the build said last.
        reason: String,
    },
    /// The cache cannot be used.
    #[error("the cache {}", .path.display())]
    Cache {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The path of a program, built if need be.
///
/// # Errors
/// See [`Missing`].
pub fn find(tool: Tool) -> Result<PathBuf, Missing> {
    if let Some(folder) = std::env::var_os("MUSTER_KUBE_TOOLS").filter(|folder| !folder.is_empty()) {
        let path = PathBuf::from(folder).join(tool.file());
        return if path.is_file() { Ok(path) } else { Err(Missing::NotInFolder(path)) };
    }
    cached(tool, &cache_folder())
}

/// `${XDG_CACHE_HOME:-$HOME/.cache}/muster/kube`.
fn cache_folder() -> PathBuf {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("muster/kube")
}

/// One build at a time over all processes: the others find what it made.
fn cached(tool: Tool, folder: &Path) -> Result<PathBuf, Missing> {
    let cache = |source| Missing::Cache { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(cache)?;
    let lock = File::create(folder.join("lock")).map_err(cache)?;
    lock.lock().map_err(cache)?;
    let path = folder.join(tool.file());
    let versions = versions(tool).map_err(cache)?;
    let stamp = folder.join(format!("{}.of", tool.file()));
    if path.is_file() && fs::read(&stamp).is_ok_and(|of| of == versions) {
        return Ok(path);
    }
    build(tool, folder)?;
    fs::write(&stamp, versions).map_err(cache)?;
    Ok(path)
}

/// What a program is built from: a clone with other versions builds anew.
fn versions(tool: Tool) -> io::Result<Vec<u8>> {
    let module = kube_folder().join(tool.module());
    let mut all = fs::read(kube_folder().join("build"))?;
    all.extend(fs::read(module.join("go.mod"))?);
    all.extend(fs::read(module.join("go.sum"))?);
    Ok(all)
}

fn kube_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kube")
}

fn build(tool: Tool, folder: &Path) -> Result<(), Missing> {
    let go = Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !go.is_ok_and(|status| status.success()) {
        return Err(Missing::NoGo(tool.file()));
    }
    let failed = |reason: String| Missing::Build { tool: tool.file(), reason };
    let output =
        Command::new(kube_folder().join("build")).arg(folder).arg(tool.file()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    Err(failed(last.into_iter().rev().collect::<Vec<_>>().join("; ")))
}

fn folder_of(path: &Path) -> String {
    path.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

fn file_of(path: &Path) -> String {
    path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tool; 5] = [Tool::Kubectl134, Tool::Kubectl132, Tool::KubeApiserver, Tool::Etcd, Tool::Hey];

    #[test]
    fn every_tool_is_one_that_the_script_builds() {
        let script = fs::read_to_string(kube_folder().join("build")).expect("the script");
        for tool in ALL {
            let line = format!("    {}) go_build {} ", tool.file(), tool.module());
            assert!(script.contains(&line), "{line}");
            assert!(versions(tool).is_ok_and(|versions| versions.len() > script.len()), "{tool:?}");
        }
    }

    #[test]
    fn what_is_there_and_of_these_versions_is_not_built_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (program, stamp) = (folder.path().join("hey"), folder.path().join("hey.of"));
        fs::write(&program, "built before").expect("written");
        fs::write(&stamp, versions(Tool::Hey).expect("versions")).expect("written");
        assert_eq!(cached(Tool::Hey, folder.path()).expect("found"), program);
        assert_eq!(fs::read_to_string(&program).expect("untouched"), "built before");
    }
}
