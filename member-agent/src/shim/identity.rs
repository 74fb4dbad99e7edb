//! Which process a pid means. A pid alone is never trusted: it is reused, and it means nothing after a reboot.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use nix::libc;
use serde::{Deserialize, Serialize};

/// One process, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id in the namespace of the recorder's parent.
    pub pid: i32,
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// Clock ticks between boot and the process's start (proc(5), stat field 22).
    pub start_ticks: u64,
}

/// What `/proc` says about a process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is there.
    Alive,
    /// Gone, or only a zombie. For the init of a PID namespace the kernel shows this only after every
    /// process inside is gone.
    Dead,
    /// The machine was booted since.
    EarlierBoot,
}

impl ProcessIdentity {
    /// The calling process as its `/proc` mount numbers it: in a fresh PID namespace that still has the parent's
    /// `/proc`, the outer pid.
    pub fn of_self() -> io::Result<ProcessIdentity> {
        let link = fs::read_link("/proc/self")?;
        let pid =
            link.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| io::Error::other("/proc/self"))?;
        let stat = ProcessStat::read(pid)?;
        Ok(ProcessIdentity { pid, boot_id: boot_id()?, start_ticks: stat.start_ticks })
    }

    /// Whether that very process still runs.
    pub fn liveness(&self) -> io::Result<Liveness> {
        if boot_id()? != self.boot_id {
            return Ok(Liveness::EarlierBoot);
        }
        match ProcessStat::read(self.pid) {
            Ok(stat) if stat.start_ticks == self.start_ticks && !stat.is_dead() => Ok(Liveness::Alive),
            Ok(_) => Ok(Liveness::Dead),
            Err(error) if is_gone(&error) => Ok(Liveness::Dead),
            Err(error) => Err(error),
        }
    }

    /// A handle on the process; `None` when it is gone. The identity is checked after opening, so the handle
    /// can not mean a process that reused the pid.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1; no memory is passed.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
        if descriptor < 0 {
            let error = io::Error::last_os_error();
            return if is_gone(&error) { Ok(None) } else { Err(error) };
        }
        let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
        // SAFETY: the kernel just returned this descriptor to us and nobody else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok((self.liveness()? == Liveness::Alive).then_some(descriptor))
    }

    /// SIGKILL to that very process; nothing when it is gone.
    pub fn kill(&self) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let Some(handle) = self.open()? else { return Ok(()) };
        let no_siginfo = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open for the whole call; a null siginfo asks the kernel to fill its own.
        let answer = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), libc::SIGKILL, no_siginfo, 0)
        };
        let error = io::Error::last_os_error();
        if answer == 0 || is_gone(&error) { Ok(()) } else { Err(error) }
    }
}

/// The kernel's id of this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) threads: u32,
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    pub(crate) fn read(pid: i32) -> io::Result<ProcessStat> {
        let text = fs::read(Path::new("/proc").join(pid.to_string()).join("stat"))?;
        ProcessStat::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| io::Error::other("/proc/PID/stat"))
    }

    /// The second field is the command name in parentheses and may itself hold spaces and parentheses, so
    /// counting begins after the last one.
    fn parse(text: &str) -> Option<ProcessStat> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        Some(ProcessStat {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            threads: fields.get(17)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// A leader is shown as a zombie while other threads of it still end, and it is the last of these that ends
    /// a PID namespace. So only a zombie without threads is dead.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_parentheses_and_spaces() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let want = ProcessStat { state: 'S', parent: 7, threads: 1, start_ticks: 987_654 };
        assert_eq!(ProcessStat::parse(text), Some(want));
        assert_eq!(ProcessStat::parse("42 no name"), None);
    }

    #[test]
    fn a_zombie_with_threads_is_not_dead_yet() {
        let table = [('S', 1, false), ('Z', 2, false), ('Z', 1, true), ('X', 0, true)];
        for (state, threads, want) in table {
            let stat = ProcessStat { state, parent: 1, threads, start_ticks: 1 };
            assert_eq!(stat.is_dead(), want, "{stat:?}");
        }
    }

    #[test]
    fn the_same_pid_with_another_start_or_boot_is_another_process() {
        let me = ProcessIdentity::of_self().unwrap();
        assert_eq!(me.liveness().unwrap(), Liveness::Alive);
        assert!(me.open().unwrap().is_some());
        let reused = ProcessIdentity { start_ticks: me.start_ticks + 1, ..me.clone() };
        assert_eq!(reused.liveness().unwrap(), Liveness::Dead);
        assert!(reused.open().unwrap().is_none());
        let rebooted = ProcessIdentity { boot_id: "another".to_owned(), ..me };
        assert_eq!(rebooted.liveness().unwrap(), Liveness::EarlierBoot);
    }
}
