//! A pod's volumes, made once in the shim's own mount namespace before anything is started.
//!
//! ```text
//!  Folder  pods/ID/volumes/NAME        on disk, counted against the pod's limits
//!  Memory  pods/ID/volumes/NAME        a tmpfs that only the pod sees
//!  Files   pods/ID/volumes/NAME        the same, with files of ConfigMaps, Secrets, downward API
//! ```
//!
//! What lies in memory goes with the namespace, whatever becomes of the shim: nothing has to be wiped.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::confidential::{Confidential, ProjectedFile};
use super::error::ShimError;
use super::spec::{ROOT_FOLDER, ShimSpec, VOLUMES_FOLDER, VolumeKind, VolumeSpec};

/// Makes all volumes of `spec` in the current folder.
pub(crate) fn prepare(spec: &ShimSpec, confidential: &Confidential) -> Result<(), ShimError> {
    for volume in &spec.volumes {
        let folder = folder_of(&volume.name);
        make_folder(&folder)?;
        match volume.kind {
            VolumeKind::Folder => {}
            VolumeKind::Memory { limit_bytes } => {
                let size = limit_bytes.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
                mount_memory(&folder, &format!("mode=0777{size}"))?;
            }
            VolumeKind::Files => fill(volume, &folder, confidential)?,
        }
    }
    if spec.containers.iter().any(|container| !container.mounts.is_empty()) {
        make_folder(Path::new(ROOT_FOLDER))?;
    }
    Ok(())
}

/// Where a volume is, inside the pod's folder.
pub(crate) fn folder_of(volume: &str) -> PathBuf {
    Path::new(VOLUMES_FOLDER).join(volume)
}

fn fill(volume: &VolumeSpec, folder: &Path, confidential: &Confidential) -> Result<(), ShimError> {
    mount_memory(folder, "mode=0700")?;
    for file in confidential.files.get(&volume.name).into_iter().flatten() {
        let path = folder.join(&file.path);
        write_file(&path, file).map_err(ShimError::file("write", path))?;
    }
    Ok(())
}

fn write_file(path: &Path, file: &ProjectedFile) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    opened.write_all(&file.content)?;
    // Not by the mode of creation, which the umask would cut.
    opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(file.mode))
}

fn make_folder(folder: &Path) -> Result<(), ShimError> {
    fs::create_dir_all(folder).map_err(ShimError::file("make", folder))
}

fn mount_memory(folder: &Path, options: &str) -> Result<(), ShimError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), folder, Some("tmpfs"), flags, Some(options))
        .map_err(ShimError::system("mount a volume in memory"))
}
