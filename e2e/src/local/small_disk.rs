//! A disk so small that it can be filled: a tmpfs on a folder, taken away when the guard goes.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mounted tmpfs.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB on an empty folder. None, with the reason on stderr, where mounting is not permitted.
    pub fn mount(folder: &Path, size_mib: u32) -> Option<SmallDisk> {
        SmallDisk::mount_as(folder, size_mib, MsFlags::empty())
    }

    /// The same, but nothing can be written to it.
    pub fn mount_read_only(folder: &Path) -> Option<SmallDisk> {
        SmallDisk::mount_as(folder, 1, MsFlags::MS_RDONLY)
    }

    fn mount_as(folder: &Path, size_mib: u32, flags: MsFlags) -> Option<SmallDisk> {
        let options = format!("size={size_mib}m,mode=700");
        match mount(Some("muster-e2e"), folder, Some("tmpfs"), flags, Some(options.as_str())) {
            Ok(()) => Some(SmallDisk { folder: folder.to_owned() }),
            Err(Errno::EPERM) => {
                eprintln!("skipped: mounting a tmpfs needs root");
                None
            }
            Err(error) => panic!("tmpfs on {}: {error}", folder.display()),
        }
    }

    /// Takes all space that is left.
    pub fn fill(&self) {
        let filler = OpenOptions::new().create(true).append(true).open(self.filler()).expect("a file");
        for chunk in [1 << 20, 4_096, 1] {
            write_until_full(&filler, &vec![0; chunk]);
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

fn write_until_full(mut file: &File, chunk: &[u8]) {
    loop {
        match file.write_all(chunk) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("filling the disk: {error}"),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached at once, even if something of a failed test still has a file open in it.
        if let Err(error) = umount2(&self.folder, MntFlags::MNT_DETACH) {
            eprintln!("{}: cannot be unmounted: {error}", self.folder.display());
        }
    }
}
