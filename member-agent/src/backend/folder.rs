//! The folders of pods: `STATE/pods/ID/` with spec, records, log and working folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::BackendError;
use super::pod::PodId;
use crate::shim::durable::{self, Durability};
use crate::shim::spec::SPEC_FILE;

/// Where a pod's processes begin.
const WORK_FOLDER: &str = "work";
/// What a removal in progress is renamed to; no pod id begins with a dot.
const REMOVED_PREFIX: &str = ".removed-";

/// All pods of one member.
#[derive(Clone, Debug)]
pub(crate) struct PodFolders {
    root: PathBuf,
}

impl PodFolders {
    /// Makes the root when it is not there, and finishes removals that an earlier agent began.
    pub(crate) fn open(state: &Path) -> Result<PodFolders, BackendError> {
        let root = state.join("pods");
        // Nobody else may read specs and logs, or speak to a shim.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&root);
        made.map_err(system("make the folder of pods"))?;
        let root = root.canonicalize().map_err(system("resolve the folder of pods"))?;
        for name in names(&root).map_err(system("list the folder of pods"))? {
            if name.starts_with(REMOVED_PREFIX) {
                fs::remove_dir_all(root.join(name)).map_err(system("finish a removal"))?;
            }
        }
        Ok(PodFolders { root })
    }

    /// The folder of a pod, there or not.
    pub(crate) fn of(&self, pod: &PodId) -> PathBuf {
        self.root.join(pod.as_str())
    }

    /// The working folder inside a pod's folder.
    pub(crate) fn work(&self, pod: &PodId) -> PathBuf {
        self.of(pod).join(WORK_FOLDER)
    }

    /// The folder of a pod that was started here.
    pub(crate) fn existing(&self, pod: &PodId) -> Result<PathBuf, BackendError> {
        let dir = self.of(pod);
        if dir.join(SPEC_FILE).exists() { Ok(dir) } else { Err(BackendError::NotFound(pod.clone())) }
    }

    /// Every folder with a spec, by id. One without is a start that never got far enough to run anything.
    pub(crate) fn list(&self) -> Result<Vec<PodId>, BackendError> {
        let names = names(&self.root).map_err(system("list the folder of pods"))?;
        let mut pods: Vec<PodId> = names.iter().filter_map(|name| PodId::parse(name)).collect();
        pods.retain(|pod| self.of(pod).join(SPEC_FILE).exists());
        pods.sort();
        Ok(pods)
    }

    /// Makes the folder and writes its spec durably.
    pub(crate) fn create(&self, pod: &PodId, spec: &impl serde::Serialize) -> Result<PathBuf, BackendError> {
        let dir = self.of(pod);
        fs::create_dir_all(self.work(pod)).map_err(system("make the pod's folder"))?;
        durable::write_json(&dir, SPEC_FILE, spec, Durability::Synced).map_err(system("write spec.json"))?;
        File::open(&self.root).and_then(|root| root.sync_all()).map_err(system("sync the folder of pods"))?;
        Ok(dir)
    }

    /// Removes the folder; at once as far as `list` is concerned.
    pub(crate) fn remove(&self, pod: &PodId) -> Result<(), BackendError> {
        let removed = self.root.join(format!("{REMOVED_PREFIX}{pod}"));
        match fs::rename(self.of(pod), &removed) {
            Ok(()) => fs::remove_dir_all(removed).map_err(system("remove the pod's folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(BackendError::System("remove the pod's folder", error)),
        }
    }
}

/// For `map_err`.
pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> BackendError {
    move |error| BackendError::System(what, error)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
