//! What every benchmark is given: how much to do, and where its peers are.

use std::future::Future;
use std::path::PathBuf;

use tokio::runtime::Runtime;

use super::peer::Binaries;
use crate::tools::Tool;

/// A peer's executable is not there and cannot be built.
#[derive(Debug)]
pub struct PeerMissing(pub String);

impl std::fmt::Display for PeerMissing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PeerMissing {}

/// What every benchmark is given.
pub struct Context {
    /// How often each case is measured.
    pub runs: u32,
    /// Only see that it works.
    pub smoke: bool,
    kube_root: Option<PathBuf>,
    runtime: Runtime,
}

impl Context {
    /// A context with a runtime of its own.
    pub fn new(runs: u32, smoke: bool, kube_root: Option<PathBuf>) -> anyhow::Result<Context> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Context { runs: if smoke { 1 } else { runs }, smoke, kube_root, runtime })
    }

    /// Waits for the end of a future.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// `full`, or `smoke` if this run only sees that it works.
    pub fn amount<T>(&self, full: T, smoke: T) -> T {
        if self.smoke { smoke } else { full }
    }

    /// The peers' executables; `None` in a smoke run that names no folder with them.
    ///
    /// # Errors
    /// [`PeerMissing`] if they are neither there nor can be built.
    pub fn peers(&self, wanted: &[Tool]) -> anyhow::Result<Option<Binaries>> {
        match (&self.kube_root, self.smoke) {
            (None, true) => Ok(None),
            (root, _) => Binaries::find(root.as_deref(), wanted).map(Some),
        }
    }
}
