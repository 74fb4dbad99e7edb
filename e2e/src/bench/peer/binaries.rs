//! Where the peers' executables are; built from their Go modules if they are nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::context::PeerMissing;

/// The build script of this repository.
const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kube/build");

/// A folder with the executables that were asked for.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Finds them in `root`, or in the user's cache, where they are built if Go is there.
    ///
    /// # Errors
    /// [`PeerMissing`], naming what is missing and what would help.
    pub fn find(root: Option<&Path>, components: &[&str]) -> anyhow::Result<Binaries> {
        let missing_in = |dir: &Path| -> Vec<String> {
            let missing = components.iter().filter(|name| !dir.join(name).is_file());
            missing.map(|name| (*name).to_owned()).collect()
        };
        if let Some(root) = root {
            return match missing_in(root) {
                none if none.is_empty() => Ok(Binaries(root.to_owned())),
                some => Err(missing(&format!("--kube-root {}: no {}", root.display(), some.join(", ")))),
            };
        }
        let cache = cache()?;
        let needed = missing_in(&cache);
        if !needed.is_empty() {
            build(&cache, &needed)?;
        }
        Ok(Binaries(cache))
    }

    /// One of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn missing(what: &str) -> anyhow::Error {
    PeerMissing(format!("{what}; build them with `e2e/kube/build DIR` and name DIR with --kube-root")).into()
}

fn cache() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).ok_or_else(|| missing("neither XDG_CACHE_HOME nor HOME is set"))?;
    Ok(cache.join("muster").join("kube"))
}

fn build(into: &Path, components: &[String]) -> anyhow::Result<()> {
    eprintln!("building {} into {}: minutes, once", components.join(", "), into.display());
    std::fs::create_dir_all(into)?;
    let built = Command::new(BUILD).arg(into).args(components).stdout(Stdio::null()).status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(missing(&format!("{BUILD} {} failed ({status})", into.display()))),
        Err(error) => Err(missing(&format!("{BUILD} cannot be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let error =
            Binaries::find(Some(Path::new("/nowhere")), &["etcd", "hey"]).expect_err("nothing is there");
        assert!(error.is::<PeerMissing>());
        assert!(error.to_string().starts_with("--kube-root /nowhere: no etcd, hey;"), "{error}");
        let file = Path::new(BUILD);
        assert!(file.is_file(), "{BUILD}");
    }
}
