//! How much disk pods use: measured about once a second, and a pod over a limit is evicted, as the kubelet does.
//!
//! Counted is what lies in the pod's folder: working folder, volumes on disk, logs. A file that was deleted while it is
//! open is not seen, nor is what a command writes elsewhere on the machine.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::shim::spec::{DiskLimits, VOLUMES_FOLDER};

/// The least between two measurements.
const PERIOD: Duration = Duration::from_secs(1);
/// Measuring takes at most one part in so many of the time.
const REST_FACTOR: u32 = 10;
/// Units that `stat` counts blocks in.
const BLOCK_BYTES: u64 = 512;

/// When to measure next. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct DiskWatch {
    /// None while somebody measures.
    next: Arc<Mutex<Option<Instant>>>,
    began: Arc<Mutex<bool>>,
}

impl DiskWatch {
    /// Whether it is the caller's turn to measure. Then it has to say when it is done.
    pub(crate) fn take_turn(&self) -> bool {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = !*began || next.is_some_and(|next| next <= Instant::now());
        if due {
            *began = true;
            *next = None;
        }
        due
    }

    /// Measured, and it took so long.
    pub(crate) fn done(&self, took: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Instant::now() + PERIOD.max(took * REST_FACTOR));
    }
}

/// Which limit the pod in `dir` is over, in a sentence; `None` if it keeps all.
pub(crate) fn over_limit(dir: &Path, limits: &DiskLimits) -> Option<String> {
    for (volume, limit) in &limits.volumes {
        let used = used_bytes(&dir.join(VOLUMES_FOLDER).join(volume));
        if used > *limit {
            return Some(format!(
                "usage of emptyDir volume {volume:?} exceeds its sizeLimit: {used} of {limit} bytes"
            ));
        }
    }
    let limit = limits.pod_bytes?;
    let used = used_bytes(dir);
    (used > limit)
        .then(|| format!("the pod uses {used} bytes of disk; its limit is {limit} (ephemeral-storage)"))
}

/// Bytes on disk of everything below `dir`, which stays on its file system. What vanishes meanwhile does not count.
fn used_bytes(dir: &Path) -> u64 {
    let Ok(own) = fs::symlink_metadata(dir) else { return 0 };
    let mut used = 0u64;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // A file of several names is counted in parts.
            let blocks = if metadata.is_dir() {
                metadata.blocks()
            } else {
                metadata.blocks() / metadata.nlink().max(1)
            };
            used = used.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
            if metadata.is_dir() && metadata.dev() == own.dev() {
                folders.push(entry.path());
            }
        }
    }
    used
}

/// The limit of a pod whose template names none: half of what is free where its folder is.
pub(crate) fn default_limit(dir: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(dir)?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()) / 2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_limit_is_passed_by_what_is_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join(VOLUMES_FOLDER).join("scratch/deep");
        fs::create_dir_all(&volume).unwrap();
        let limits = |volume_bytes, pod_bytes| DiskLimits {
            volumes: BTreeMap::from([("scratch".to_owned(), volume_bytes)]),
            pod_bytes,
        };
        assert_eq!(over_limit(dir.path(), &limits(1 << 20, Some(2 << 20))), None);
        fs::write(volume.join("data"), vec![1; 1 << 20]).unwrap();
        let said = over_limit(dir.path(), &limits(1 << 20, None)).unwrap();
        assert!(said.starts_with("usage of emptyDir volume \"scratch\" exceeds its sizeLimit: "), "{said}");
        let said = over_limit(dir.path(), &limits(8 << 20, Some(1 << 20))).unwrap();
        assert!(said.ends_with("its limit is 1048576 (ephemeral-storage)"), "{said}");
        // Sparse files count by what they take.
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(over_limit(dir.path(), &limits(8 << 20, Some(8 << 20))), None);
    }

    #[test]
    fn one_measures_at_a_time() {
        let watch = DiskWatch::default();
        assert!(watch.take_turn());
        assert!(!watch.take_turn());
        watch.done(Duration::ZERO);
        assert!(!watch.take_turn(), "not before the period is over");
    }
}
