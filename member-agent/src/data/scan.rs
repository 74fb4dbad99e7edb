//! What lies in the folder of datasets. A version without a manifest, or with files that changed since, is read as a whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use muster_model::{ContentDigest, DataCopy, HeldCopy, Key, kinds};

use super::folder::{DataFolder, DataId};
use super::incoming::{Incoming, keep_manifest};
use super::manifest::{Manifest, ManifestError, TEXT_MAX_BYTES, plain_files};

/// Everything that is here, whole or in part. Reads what it has no manifest of: that may take long.
pub(crate) fn scan(root: &DataFolder) -> Vec<HeldCopy> {
    let mut found = Vec::new();
    for id in root.versions() {
        match whole(root, &id) {
            Ok(manifest) => found.push(held(root, &id, &manifest, 0)),
            Err(error) => tracing::warn!(dataset = ?id, error = format!("{error:#}"), "dataset not usable"),
        }
    }
    let parts = root.incoming_versions().into_iter().filter_map(|id| {
        let (manifest, missing) = Incoming::look(root, &id)?;
        (missing > 0).then(|| held(root, &id, &manifest, missing))
    });
    found.extend(parts);
    found
}

/// A copy as the hub is told of it.
pub(crate) fn held(root: &DataFolder, id: &DataId, manifest: &Manifest, missing_bytes: u64) -> HeldCopy {
    HeldCopy {
        dataset: Key::new(kinds::DATASET, &id.namespace, &id.name),
        copy: DataCopy {
            version: id.version.as_str().into(),
            digest: manifest.digest(),
            size_bytes: manifest.bytes(),
            missing_bytes,
            folder: Arc::from(root.path().to_string_lossy()),
        },
    }
}

/// The whole copy of a version that lies here, if there is one with this digest. Reads it if nothing says what it is.
pub(crate) fn published(root: &DataFolder, id: &DataId, digest: ContentDigest) -> Option<Manifest> {
    let is_there = root.files(id).is_dir();
    is_there.then(|| whole(root, id).ok()).flatten().filter(|manifest| manifest.digest() == digest)
}

/// The manifest of a version: the one that was written down, if nothing changed since.
fn whole(root: &DataFolder, id: &DataId) -> Result<Manifest, ManifestError> {
    let files = plain_files(&root.files(id))?;
    let written = fs::read_dir(root.manifests(id)).into_iter().flatten().flatten();
    let mut known = None;
    for path in written.map(|entry| entry.path()) {
        match read(&path).filter(|manifest| is_of(manifest, &files, &path)) {
            Some(manifest) => known = Some(manifest),
            // Pods must not take changed files for what they were.
            None => drop(fs::remove_file(&path)),
        }
    }
    if let Some(manifest) = known {
        return Ok(manifest);
    }
    let manifest = Manifest::of_folder(&root.files(id))?;
    let path = root.manifests(id);
    keep_manifest(root, id, &manifest).map_err(|source| ManifestError::Io { path, source })?;
    tracing::info!(dataset = ?id, digest = %manifest.digest(), bytes = manifest.bytes(), "dataset found");
    Ok(manifest)
}

/// A manifest as it was written.
pub(crate) fn read(path: &Path) -> Option<Manifest> {
    let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= TEXT_MAX_BYTES);
    let text = small.then(|| fs::read_to_string(path).ok()).flatten()?;
    Manifest::read(&text).ok()
}

/// Whether the files are those of a manifest and none was touched after it was written.
fn is_of(manifest: &Manifest, files: &[(String, fs::Metadata)], path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let untouched = |meta: &fs::Metadata| meta.modified().is_ok_and(|at| at <= written);
    manifest.files().eq(files.iter().map(|(path, meta)| (path.as_str(), meta.len())))
        && files.iter().all(|(_, meta)| untouched(meta))
}
