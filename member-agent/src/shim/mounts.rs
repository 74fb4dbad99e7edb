//! The file tree of a container that mounts volumes: this machine's tree with the volumes at their paths.
//!
//! ```text
//!  planned in the shim            carried out between fork and exec, by system calls only
//!  mounts --MountPlan::new--> steps --perform--> own mount namespace, pivot_root
//! ```
//!
//! A path that does not exist on the machine is not made there: the deepest folder that exists is replaced, for this
//! container only, by one in memory with the same entries and the missing one. This keeps containers out of each
//! other's way; it is no jail, the rest of the machine stays visible.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use super::spec::{ContainerSpec, MountSpec, ROOT_FOLDER};
use super::volumes::folder_of;

/// The most entries of a folder that is replaced by one in memory.
const MAX_ENTRIES: usize = 4_096;
/// What may be written into such a folder.
const SHADOW_OPTIONS: &std::ffi::CStr = c"mode=0755,size=16m";

/// What to do, in order.
pub(crate) struct MountPlan {
    steps: Vec<Step>,
}

enum Step {
    /// A mount namespace of its own, from which nothing spreads.
    Detach,
    Folder(CString),
    File(CString),
    Link {
        to: CString,
        at: CString,
    },
    Bind {
        from: CString,
        at: CString,
    },
    Memory(CString),
    ReadOnly(CString),
    /// Makes this the root.
    Enter(CString),
    /// Begins here.
    Into(CString),
}

impl MountPlan {
    /// The plan for a container; none if it mounts nothing. The current folder is the pod's.
    pub(crate) fn new(container: &ContainerSpec) -> io::Result<Option<MountPlan>> {
        if container.mounts.is_empty() {
            return Ok(None);
        }
        let pod = std::env::current_dir()?;
        let mut planner =
            Planner { root: pod.join(ROOT_FOLDER), steps: vec![Step::Detach], mounted: Vec::new() };
        planner.plan(&pod, &container.mounts, &container.working_dir)?;
        Ok(Some(MountPlan { steps: planner.steps }))
    }

    /// Carries the plan out in a process of its own. Makes system calls only. A failure leaves the number of its step
    /// in the pipe `failed`.
    pub(crate) fn perform(&self, failed: RawFd) -> io::Result<()> {
        for (number, step) in self.steps.iter().enumerate() {
            if let Err(error) = step.perform() {
                let number = (number as u64).to_ne_bytes();
                // SAFETY: the bytes outlive the call; the descriptor is the writing end of a pipe.
                let _reader_gone = unsafe { libc::write(failed, number.as_ptr().cast(), number.len()) };
                return Err(io::Error::from_raw_os_error(error as i32));
            }
        }
        Ok(())
    }

    /// A step in words, for a failure's message.
    pub(crate) fn describe(&self, number: u64) -> String {
        let step = usize::try_from(number).ok().and_then(|number| self.steps.get(number));
        step.map_or_else(|| "prepare its mounts".to_owned(), Step::describe)
    }
}

impl Step {
    fn perform(&self) -> Result<(), Errno> {
        match self {
            Step::Detach => {
                // SAFETY: no memory is passed.
                check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
                mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)
            }
            Step::Folder(path) => {
                // SAFETY: the path is a C string that outlives the call.
                there_is_fine(check(unsafe { libc::mkdir(path.as_ptr(), 0o755) }))
            }
            Step::File(path) => {
                // SAFETY: the path is a C string that outlives the call.
                there_is_fine(check(unsafe { libc::mknod(path.as_ptr(), libc::S_IFREG | 0o644, 0) }))
            }
            Step::Link { to, at } => {
                // SAFETY: both are C strings that outlive the call.
                there_is_fine(check(unsafe { libc::symlink(to.as_ptr(), at.as_ptr()) }))
            }
            Step::Bind { from, at } => mount(Some(from), at, None, libc::MS_BIND | libc::MS_REC, None),
            Step::Memory(at) => {
                mount(Some(c"tmpfs"), at, Some(c"tmpfs"), libc::MS_NOSUID, Some(SHADOW_OPTIONS))
            }
            Step::ReadOnly(at) => read_only(at),
            Step::Enter(root) => enter(root),
            // SAFETY: the path is a C string that outlives the call.
            Step::Into(path) => check(unsafe { libc::chdir(path.as_ptr()) }),
        }
    }

    fn describe(&self) -> String {
        let text = |path: &CString| path.to_string_lossy().into_owned();
        match self {
            Step::Detach => "make a mount namespace".to_owned(),
            Step::Folder(path) | Step::File(path) | Step::Link { at: path, .. } => {
                format!("make {}", text(path))
            }
            Step::Bind { from, at } => format!("mount {} at {}", text(from), text(at)),
            Step::Memory(at) => format!("mount memory at {}", text(at)),
            Step::ReadOnly(at) => format!("make {} read-only", text(at)),
            Step::Enter(root) => format!("make {} the root", text(root)),
            Step::Into(path) => format!("enter the working folder {}", text(path)),
        }
    }
}

/// A return value of libc.
fn check(answer: libc::c_int) -> Result<(), Errno> {
    if answer == 0 { Ok(()) } else { Err(Errno::last()) }
}

fn there_is_fine(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::EEXIST) => Ok(()),
        done => done,
    }
}

fn mount(
    from: Option<&std::ffi::CStr>,
    at: &std::ffi::CStr,
    kind: Option<&std::ffi::CStr>,
    flags: libc::c_ulong,
    options: Option<&std::ffi::CStr>,
) -> Result<(), Errno> {
    let pointer = |text: Option<&std::ffi::CStr>| text.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: every pointer is null or a C string that outlives the call.
    check(unsafe { libc::mount(pointer(from), at.as_ptr(), pointer(kind), flags, pointer(options).cast()) })
}

/// Only this attribute is changed: in a user namespace the others may be locked.
fn read_only(at: &std::ffi::CStr) -> Result<(), Errno> {
    // SAFETY: the structure is plain integers, for which zero is a value.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    let size = std::mem::size_of::<libc::mount_attr>();
    // SAFETY: path and structure outlive the call, and the size is the structure's.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            at.as_ptr(),
            libc::AT_RECURSIVE,
            &attributes,
            size,
        )
    };
    if answer == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// pivot_root(2), "new_root and put_old may be the same directory": the old root is stacked on the new one and let go.
fn enter(root: &std::ffi::CStr) -> Result<(), Errno> {
    // SAFETY: all paths are C strings that outlive the calls.
    unsafe {
        check(libc::chdir(root.as_ptr()))?;
        if libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) != 0 {
            return Err(Errno::last());
        }
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        check(libc::chdir(c"/".as_ptr()))
    }
}

struct Planner {
    /// Where the container's tree is put together.
    root: PathBuf,
    steps: Vec<Step>,
    /// Targets that are mounted so far, without symbolic links.
    mounted: Vec<PathBuf>,
}

/// A mount whose path was looked up on this machine.
struct Target<'a> {
    spec: &'a MountSpec,
    source: PathBuf,
    is_folder: bool,
    /// The deepest part that exists, without symbolic links.
    existing: PathBuf,
    /// What is missing below it.
    missing: PathBuf,
}

impl Planner {
    fn plan(&mut self, pod: &Path, mounts: &[MountSpec], working_dir: &Path) -> io::Result<()> {
        let mut targets = Vec::new();
        for spec in mounts {
            targets.push(self.look_up(pod, spec)?);
        }
        // Parents first, so that what lies deeper is mounted into what is there by then.
        targets.sort_by_key(|target| target.path().components().count());
        self.lay_ground(&targets)?;
        for target in &targets {
            self.mount(target)?;
        }
        if self.is_below_mount(working_dir) {
            self.make_below_mount(working_dir, true)?;
        }
        for target in targets.iter().filter(|target| target.spec.read_only) {
            let at = self.inside(&target.path())?;
            self.steps.push(Step::ReadOnly(at));
        }
        self.steps.push(Step::Enter(c_path(&self.root)?));
        self.steps.push(Step::Into(c_path(working_dir)?));
        Ok(())
    }

    fn look_up<'a>(&mut self, pod: &Path, spec: &'a MountSpec) -> io::Result<Target<'a>> {
        let volume = pod.join(folder_of(&spec.volume));
        let source = volume.join(&spec.sub_path);
        if !source.exists() {
            // A part of a volume that nobody has made yet is a folder, as the kubelet makes it.
            fs::create_dir_all(&source)?;
        }
        let (existing, missing) = deepest_existing(&spec.target)?;
        Ok(Target { spec, is_folder: source.is_dir(), source, existing, missing })
    }

    /// The root, and folders in memory where something has to be made that the machine does not have.
    fn lay_ground(&mut self, targets: &[Target<'_>]) -> io::Result<()> {
        let earlier = |target: &Target<'_>| {
            let path = target.path();
            targets.iter().any(|other| path != other.path() && path.starts_with(other.path()))
        };
        let in_memory: BTreeSet<&Path> = targets
            .iter()
            .filter(|target| !target.missing.as_os_str().is_empty() && !earlier(target))
            .map(|target| target.existing.as_path())
            .collect();
        if !in_memory.contains(Path::new("/")) {
            let at = c_path(&self.root)?;
            self.steps.push(Step::Bind { from: c"/".to_owned(), at });
        }
        // In the order of paths: a folder comes before what is in it.
        for folder in in_memory {
            self.shadow(folder)?;
        }
        Ok(())
    }

    fn shadow(&mut self, folder: &Path) -> io::Result<()> {
        let at = self.inside(folder)?;
        self.steps.push(Step::Memory(at));
        let entries = fs::read_dir(folder)?.take(MAX_ENTRIES + 1).collect::<io::Result<Vec<_>>>()?;
        if entries.len() > MAX_ENTRIES {
            return Err(io::Error::other(format!(
                "{} has more than {MAX_ENTRIES} entries; mount at a path that exists, or below a smaller folder",
                folder.display()
            )));
        }
        entries.iter().try_for_each(|entry| self.show(entry))
    }

    fn show(&mut self, entry: &fs::DirEntry) -> io::Result<()> {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let at = self.inside(&path)?;
        if kind.is_symlink() {
            self.steps.push(Step::Link { to: c_path(&fs::read_link(&path)?)?, at });
            return Ok(());
        }
        self.steps.push(if kind.is_dir() { Step::Folder(at.clone()) } else { Step::File(at.clone()) });
        self.steps.push(Step::Bind { from: c_path(&path)?, at });
        Ok(())
    }

    fn mount(&mut self, target: &Target<'_>) -> io::Result<()> {
        let path = target.path();
        if self.is_below_mount(&path) {
            self.make_below_mount(&path, target.is_folder)?;
        } else if target.missing.as_os_str().is_empty() {
            if path.is_dir() != target.is_folder {
                let kind = if target.is_folder { "is no folder" } else { "is no file" };
                return Err(io::Error::other(format!("{} {kind} on this machine", path.display())));
            }
        } else {
            self.make(&target.existing, &target.missing, target.is_folder)?;
        }
        let at = self.inside(&path)?;
        self.steps.push(Step::Bind { from: c_path(&target.source)?, at });
        self.mounted.push(path);
        Ok(())
    }

    fn is_below_mount(&self, path: &Path) -> bool {
        self.mounted.iter().any(|mounted| path.starts_with(mounted))
    }

    fn make_below_mount(&mut self, path: &Path, is_folder: bool) -> io::Result<()> {
        let above = self.mounted.iter().filter(|mounted| path.starts_with(mounted));
        let Some(above) = above.max_by_key(|mounted| mounted.components().count()).cloned() else {
            return Ok(());
        };
        let below = path.strip_prefix(&above).unwrap_or(path).to_owned();
        self.make(&above, &below, is_folder)
    }

    fn make(&mut self, above: &Path, below: &Path, is_folder: bool) -> io::Result<()> {
        let mut path = above.to_owned();
        let mut parts = below.components().peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let at = self.inside(&path)?;
            let last_is_file = parts.peek().is_none() && !is_folder;
            self.steps.push(if last_is_file { Step::File(at) } else { Step::Folder(at) });
        }
        Ok(())
    }

    /// A path of the container, while its tree is put together.
    fn inside(&self, path: &Path) -> io::Result<CString> {
        c_path(&self.root.join(path.strip_prefix("/").unwrap_or(path)))
    }
}

impl Target<'_> {
    fn path(&self) -> PathBuf {
        if self.missing.as_os_str().is_empty() {
            self.existing.clone()
        } else {
            self.existing.join(&self.missing)
        }
    }
}

/// The part of `path` that exists, without symbolic links, and the rest. Links are followed here, since an absolute one
/// would lead out of a tree that is still being put together.
fn deepest_existing(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let normal: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let mut missing: Vec<&std::ffi::OsStr> = Vec::new();
    let mut existing = normal.as_path();
    loop {
        match existing.canonicalize() {
            Ok(real) => return Ok((real, missing.iter().rev().collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        missing.push(name);
        existing = parent;
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
