//! Where the peers' executables are.

use std::path::{Path, PathBuf};

use super::super::context::PeerMissing;
use crate::tools::{self, Tool};

/// The peers' executables.
#[derive(Clone, Debug)]
pub struct Binaries(Vec<(Tool, PathBuf)>);

impl Binaries {
    /// Finds them in `root`, or where tests have theirs: in the user's cache, where they are built if Go is there.
    ///
    /// # Errors
    /// [`PeerMissing`], naming what is missing and what would help.
    pub fn find(root: Option<&Path>, wanted: &[Tool]) -> anyhow::Result<Binaries> {
        let find =
            |tool: &Tool| Ok((*tool, root.map_or_else(|| cached(*tool), |root| in_folder(*tool, root))?));
        wanted.iter().map(find).collect::<anyhow::Result<_>>().map(Binaries)
    }

    /// One of those that were asked for.
    pub fn path(&self, tool: Tool) -> &Path {
        let found = self.0.iter().find(|(found, _)| *found == tool);
        found.map(|(_, path)| path.as_path()).expect("a benchmark starts what it asked for")
    }
}

fn cached(tool: Tool) -> anyhow::Result<PathBuf> {
    eprintln!("{}: from the user's cache; built first, in minutes, if it is not there", tool.file());
    tools::find(tool).map_err(|missing| PeerMissing(missing.to_string()).into())
}

fn in_folder(tool: Tool, root: &Path) -> anyhow::Result<PathBuf> {
    let path = root.join(tool.file());
    if path.is_file() {
        return Ok(path);
    }
    let (root, file) = (root.display(), tool.file());
    Err(PeerMissing(format!("--kube-root {root}: no {file}; build it with `e2e/kube/build {root} {file}`"))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let error = Binaries::find(Some(Path::new("/nowhere")), &[Tool::Etcd]).expect_err("nothing is there");
        assert!(error.is::<PeerMissing>());
        let want = "--kube-root /nowhere: no etcd; build it with `e2e/kube/build /nowhere etcd`";
        assert_eq!(error.to_string(), want);
    }
}
