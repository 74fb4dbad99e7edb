//! A disk that loses power: ext4 on a loop device, whose cache is thrown away on command. What was not synced is gone then, as
//! in a real machine; what was synced is found by the file system's own recovery.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};

/// `FS_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587d;
/// `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`: at once, nothing more is written.
const WITHOUT_FLUSH: u32 = 2;

/// Does something where mounts are nobody else's: a pod that is started beside it, by another test, would take a copy of them
/// along, and a file system is not gone before its last copy is. None, with the reason on stderr, where that is not permitted.
pub fn with_own_mounts<T: Send>(what: impl FnOnce() -> T + Send) -> Option<T> {
    const NONE: Option<&str> = None;
    let apart = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        nix::mount::mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match apart() {
            Ok(()) => Some(what()),
            Err(error) => {
                eprintln!("skipped, because mounts of one's own are not permitted here: {error}");
                None
            }
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A mounted disk, taken away when the guard goes.
pub struct LossyDisk {
    image: PathBuf,
    folder: PathBuf,
}

impl LossyDisk {
    /// Makes one of so many MiB in the file `image` and mounts it on an empty folder. None, with the reason on stderr, where
    /// that is not possible.
    pub fn mount(image: &Path, folder: &Path, size_mib: u64) -> Option<LossyDisk> {
        let file = File::create(image).expect("a file for the disk");
        file.set_len(size_mib << 20).expect("a sparse file");
        if let Err(reason) = run("mkfs.ext4", &["-q", "-F"], image).and_then(|()| mount(image, folder)) {
            eprintln!("skipped, because a disk cannot be made here: {reason}");
            return None;
        }
        Some(LossyDisk { image: image.to_owned(), folder: folder.to_owned() })
    }

    /// From now on nothing reaches the disk any more, and what had not is lost.
    pub fn lose_power(&self) {
        let folder = File::open(&self.folder).expect("it is mounted");
        // SAFETY: the request reads one integer, a local one that outlives the call.
        let answer = unsafe { libc::ioctl(folder.as_raw_fd(), SHUTDOWN, &WITHOUT_FLUSH) };
        assert!(answer == 0, "{}: cannot be shut down: {}", self.folder.display(), Errno::last());
    }

    /// Mounts what is left on the disk. Nobody may have a file open on it any more.
    pub fn come_back(&self) {
        umount2(&self.folder, MntFlags::empty()).expect("nobody uses it");
        mount(&self.image, &self.folder).expect("it could be mounted before");
    }
}

fn mount(image: &Path, folder: &Path) -> Result<(), String> {
    let (image, folder) = (image.display().to_string(), folder.display().to_string());
    run("mount", &["-o", "loop,noatime", &image], Path::new(&folder))
}

fn run(program: &str, arguments: &[&str], last: &Path) -> Result<(), String> {
    let output = Command::new(program).args(arguments).arg(last).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        // Detached at once, even if something of a failed test still has a file open on it; the loop device goes with it.
        if let Err(error) = umount2(&self.folder, MntFlags::MNT_DETACH) {
            eprintln!("{}: cannot be unmounted: {error}", self.folder.display());
        }
    }
}
