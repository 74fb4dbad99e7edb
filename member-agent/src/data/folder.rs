//! Where things lie in the folder of datasets.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use muster_model::{ContentDigest, DataUse};

const MANIFESTS: &str = ".manifests";
const INCOMING: &str = ".incoming";
const WRITING: &str = ".writing";

/// The folder of datasets of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFolder(PathBuf);

/// One version of a dataset, by the names of its folders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DataId {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A dataset as a pod has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodData {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its files.
    pub files: PathBuf,
    /// There when the files are whole.
    pub manifest: PathBuf,
}

impl PodData {
    /// Whether a whole copy is here.
    pub(crate) fn is_here(&self) -> bool {
        self.manifest.is_file() && self.files.is_dir()
    }

    /// The variable that says where its files are.
    pub(crate) fn variable(&self) -> String {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        format!("MUSTER_DATASET_{}", self.name.chars().map(upper).collect::<String>())
    }
}

impl DataId {
    /// `None` if one of the names is not safe as a folder's.
    pub(crate) fn new(namespace: &str, data: &DataUse) -> Option<DataId> {
        let names = [namespace, &data.dataset, &data.version];
        let is_safe = |name: &&str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        names.iter().all(is_safe).then(|| DataId {
            namespace: namespace.to_owned(),
            name: data.dataset.to_string(),
            version: data.version.to_string(),
        })
    }

    fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.namespace).join(&self.name).join(&self.version)
    }
}

impl DataFolder {
    /// Of the agent with this state folder; made if it is not there. What an agent that died was writing is removed, so
    /// that no other one may be at work here.
    pub(crate) fn of_state(state: &Path) -> io::Result<DataFolder> {
        let folder = DataFolder(std::path::absolute(state)?.join("datasets"));
        let writing = folder.0.join(WRITING);
        if writing.exists() {
            fs::remove_dir_all(&writing)?;
        }
        fs::create_dir_all(&writing)?;
        Ok(folder)
    }

    /// Of another agent.
    pub(crate) fn of_other(path: &str) -> DataFolder {
        DataFolder(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The files of a version.
    pub(crate) fn files(&self, id: &DataId) -> PathBuf {
        id.below(&self.0)
    }

    /// What the files of a version are.
    pub(crate) fn manifest(&self, id: &DataId, digest: ContentDigest) -> PathBuf {
        self.manifests(id).join(digest.to_string())
    }

    /// The folder of manifests of a version.
    pub(crate) fn manifests(&self, id: &DataId) -> PathBuf {
        id.below(&self.0.join(MANIFESTS))
    }

    /// A transfer of a version.
    pub(crate) fn incoming(&self, id: &DataId) -> PathBuf {
        id.below(&self.0.join(INCOMING))
    }

    /// Writes a file in here: complete or absent, whatever happens, and whoever else writes or removes the same one.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let temporary = self.0.join(WRITING).join(number.to_string());
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map(|folder| File::open(folder)?.sync_all()).unwrap_or(Ok(()))
    }

    /// A dataset as a pod of this namespace has it; `None` if its names are not safe.
    pub(crate) fn pod_data(&self, namespace: &str, data: &DataUse) -> Option<PodData> {
        let id = DataId::new(namespace, data)?;
        Some(PodData {
            files: self.files(&id),
            manifest: self.manifest(&id, data.digest),
            name: id.name,
            version: id.version,
        })
    }

    /// The versions that people or transfers put here.
    pub(crate) fn versions(&self) -> Vec<DataId> {
        versions(&self.0)
    }

    /// The versions of which there is a transfer, under way or cut off.
    pub(crate) fn incoming_versions(&self) -> Vec<DataId> {
        versions(&self.0.join(INCOMING))
    }
}

fn versions(root: &Path) -> Vec<DataId> {
    let mut found = Vec::new();
    for namespace in folders(root) {
        for name in folders(&root.join(&namespace)) {
            let below = root.join(&namespace).join(&name);
            found.extend(folders(&below).into_iter().map(|version| DataId {
                namespace: namespace.clone(),
                name: name.clone(),
                version,
            }));
        }
    }
    found
}

/// Names of folders in a folder, hidden ones left out, in order.
fn folders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
