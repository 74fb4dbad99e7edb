//! Volumes of a template: what kind each is, where containers see it, and the files of projected ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::downward;
use super::expand::expand;
use super::fields::{Fields, malformed, refuse};
use super::references;
use crate::backend::documents::{DocumentKind, Documents};
use crate::backend::error::{BackendError, RefusalReason};
use crate::backend::pod::PodSpec;
use crate::shim::confidential::ProjectedFile;
use crate::shim::spec::{MountSpec, VolumeKind, VolumeSpec};

/// The mode of files whose volume names none (Kubernetes API, `defaultMode`).
const FILE_MODE: u32 = 0o644;
/// The most mounts of one container.
const MAX_MOUNTS: usize = 64;

/// The volumes that containers of a pod mount.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Volumes {
    pub(crate) specs: Vec<VolumeSpec>,
    /// Files of the projected ones, by volume.
    pub(crate) files: BTreeMap<String, Vec<ProjectedFile>>,
    /// The most bytes of those on disk, where the template names a limit.
    pub(crate) limits: BTreeMap<String, u64>,
}

/// Reads the volumes that are in `used`; others are nobody's business.
pub(crate) fn volumes(
    pod: &PodSpec,
    spec: &Fields<'_>,
    documents: &Documents,
    used: &BTreeSet<String>,
) -> Result<Volumes, BackendError> {
    let mut volumes = Volumes::default();
    for volume in spec.list("volumes")? {
        let name = volume.required_text("name")?;
        if !used.contains(name) {
            continue;
        }
        let kind = match (volume.object("emptyDir")?, files(pod, &volume, documents)?) {
            (Some(empty), _) => empty_dir(name, &empty, &mut volumes)?,
            (None, Some(files)) => {
                volumes.files.insert(name.to_owned(), files);
                VolumeKind::Files
            }
            (None, None) => return Err(unsupported(&volume)),
        };
        volumes.specs.push(VolumeSpec { name: name.to_owned(), kind });
    }
    Ok(volumes)
}

fn empty_dir(name: &str, empty: &Fields<'_>, volumes: &mut Volumes) -> Result<VolumeKind, BackendError> {
    let limit_bytes = empty.bytes("sizeLimit")?.filter(|bytes| *bytes > 0);
    match empty.text("medium")?.unwrap_or_default() {
        "Memory" => Ok(VolumeKind::Memory { limit_bytes }),
        "" => {
            volumes.limits.extend(limit_bytes.map(|bytes| (name.to_owned(), bytes)));
            Ok(VolumeKind::Folder)
        }
        _ => Err(refuse(
            RefusalReason::UnsupportedVolume,
            &format!("{}.medium", empty.path()),
            "the process backend has \"\" (disk) and Memory",
        )),
    }
}

fn unsupported(volume: &Fields<'_>) -> BackendError {
    let (field, message) = if volume.given("hostPath").is_some() {
        let next = "volumes of this machine's folders are not mounted; a command of the process backend sees this \
                    machine's files under their own paths: leave the volume out";
        (format!("{}.hostPath", volume.path()), next)
    } else {
        let next = "the process backend has emptyDir, configMap, secret, downwardAPI and projected volumes; put the \
                    data into one of these, or name it as a Dataset";
        (volume.path().to_owned(), next)
    };
    refuse(RefusalReason::UnsupportedVolume, &field, message)
}

/// The files of a projected volume; `None` when the volume is of another kind.
fn files(
    pod: &PodSpec,
    volume: &Fields<'_>,
    documents: &Documents,
) -> Result<Option<Vec<ProjectedFile>>, BackendError> {
    let mut all = Vec::new();
    if let Some(projected) = volume.object("projected")? {
        let mode = projected.mode("defaultMode")?.unwrap_or(FILE_MODE);
        for source in projected.list("sources")? {
            if !project(pod, &source, documents, mode, &mut all)? {
                let message = "the process backend projects configMap, secret and downwardAPI";
                return Err(refuse(RefusalReason::UnsupportedVolume, source.path(), message));
            }
        }
        return Ok(Some(all));
    }
    Ok(project(pod, volume, documents, FILE_MODE, &mut all)?.then_some(all))
}

/// Adds the files of one source; false when it is none that is known.
fn project(
    pod: &PodSpec,
    source: &Fields<'_>,
    documents: &Documents,
    mode: u32,
    all: &mut Vec<ProjectedFile>,
) -> Result<bool, BackendError> {
    // A volume says `secretName` where everything else says `name`.
    for (field, kind) in [("configMap", DocumentKind::ConfigMap), ("secret", DocumentKind::Secret)] {
        if let Some(reference) = source.object(field)? {
            let name = match reference.text("secretName")? {
                Some(name) => name,
                None => reference.required_text("name")?,
            };
            let mode = reference.mode("defaultMode")?.unwrap_or(mode);
            if let Some(data) = references::document(documents, kind, &reference, name)? {
                add_items(&reference, data, mode, all)?;
            }
            return Ok(true);
        }
    }
    if let Some(downward) = source.object("downwardAPI")? {
        let mode = downward.mode("defaultMode")?.unwrap_or(mode);
        for item in downward.list("items")? {
            let Some(field) = item.object("fieldRef")? else {
                let message = "the process backend serves fieldRef only";
                return Err(refuse(RefusalReason::UnsupportedVolume, item.path(), message));
            };
            let content = downward::value(pod, &field)?.into_bytes();
            all.push(ProjectedFile {
                path: item_path(&item)?,
                mode: item.mode("mode")?.unwrap_or(mode),
                content,
            });
        }
        return Ok(true);
    }
    Ok(false)
}

/// The listed keys under their paths, or all keys under their names.
fn add_items(
    reference: &Fields<'_>,
    data: &BTreeMap<String, Bytes>,
    mode: u32,
    all: &mut Vec<ProjectedFile>,
) -> Result<(), BackendError> {
    let items = reference.list("items")?;
    if items.is_empty() {
        let file = |(key, value): (&String, &Bytes)| {
            let (path, content) = (PathBuf::from(key), value.to_vec());
            ProjectedFile { path, mode, content }
        };
        all.extend(data.iter().map(file));
    }
    for item in items {
        let key = item.required_text("key")?;
        let path = item_path(&item)?;
        let mode = item.mode("mode")?.unwrap_or(mode);
        match data.get(key) {
            Some(value) => all.push(ProjectedFile { path, mode, content: value.to_vec() }),
            None if reference.is_true("optional") => {}
            None => return Err(references::waits(format!("references non-existent config key: {key}"))),
        }
    }
    Ok(())
}

fn item_path(item: &Fields<'_>) -> Result<PathBuf, BackendError> {
    relative(&format!("{}.path", item.path()), item.required_text("path")?)
}

/// Where a container sees volumes.
pub(crate) fn mounts(
    spec: &Fields<'_>,
    container: &Fields<'_>,
    env: &BTreeMap<String, String>,
) -> Result<Vec<MountSpec>, BackendError> {
    let names: Vec<&str> =
        spec.list("volumes")?.iter().filter_map(|volume| volume.text("name").ok().flatten()).collect();
    let mut mounts: Vec<MountSpec> = Vec::new();
    for mount in container.list("volumeMounts")? {
        let name = mount.required_text("name")?;
        if !names.contains(&name) {
            return Err(malformed(mount.path(), &format!("there is no volume {name}")));
        }
        let target = mount_path(&mount)?;
        let taken = mounts.iter().any(|other| other.target == target);
        if taken || mounts.len() == MAX_MOUNTS {
            let message =
                if taken { "must be unique".to_owned() } else { format!("more than {MAX_MOUNTS} mounts") };
            return Err(malformed(&format!("{}.mountPath", mount.path()), &message));
        }
        let (volume, sub_path) = (name.to_owned(), sub_path(&mount, env)?);
        mounts.push(MountSpec { volume, sub_path, target, read_only: mount.is_true("readOnly") });
    }
    Ok(mounts)
}

fn mount_path(mount: &Fields<'_>) -> Result<PathBuf, BackendError> {
    let field = format!("{}.mountPath", mount.path());
    let path = Path::new(mount.required_text("mountPath")?);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(malformed(&field, "an absolute path without .. is wanted"));
    }
    let path: PathBuf = path.components().collect();
    // A container without its own /proc and /dev can not work, and the root is every container's own.
    if path == Path::new("/") || ["/proc", "/sys"].iter().any(|system| path.starts_with(system)) {
        return Err(refuse(
            RefusalReason::UnsupportedVolume,
            &field,
            "nothing can be mounted there; choose another path",
        ));
    }
    Ok(path)
}

fn sub_path(mount: &Fields<'_>, env: &BTreeMap<String, String>) -> Result<PathBuf, BackendError> {
    if let Some(text) = mount.text("subPathExpr")? {
        return relative(&format!("{}.subPathExpr", mount.path()), &expand(text, env));
    }
    relative(&format!("{}.subPath", mount.path()), mount.text("subPath")?.unwrap_or_default())
}

fn relative(field: &str, text: &str) -> Result<PathBuf, BackendError> {
    let path = Path::new(text);
    if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        Ok(path.to_owned())
    } else {
        Err(malformed(field, "a relative path without .. is wanted"))
    }
}
