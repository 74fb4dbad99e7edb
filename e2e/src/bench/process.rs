//! Processes: what they cost, and children that end with us.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How long a child may take to end by itself.
const GOODBYE: Duration = Duration::from_secs(5);

/// CPU time of processes since their start, in ms; their ended threads and waited-for children are not left out.
pub fn cpu_ms(pids: &[i32]) -> f64 {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let ticks: u64 = pids.iter().map(|pid| cpu_ticks(*pid)).sum();
    ticks as f64 * 1000.0 / ticks_per_second as f64
}

/// utime + stime: fields 14 and 15 of `/proc/PID/stat`, counted behind the name, which may hold anything.
fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Resident memory of a process in bytes; 0 if it is gone.
pub fn rss_bytes(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one under the system's temporary folder.
    pub fn new(what: &str) -> anyhow::Result<Folder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("muster-bench-{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("a folder at {}", path.display()))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A child that ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program; what it prints goes to `log`, behind what is there.
    pub fn start(program: &Path, arguments: &[impl AsRef<OsStr>], log: &Path) -> anyhow::Result<Server> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Server { child, log: log.to_owned() })
    }

    /// Its id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of what it printed.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<&str>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < GOODBYE {
            if !self.is_running() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.kill();
    }
}

/// A TCP port of 127.0.0.1 that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_time() {
        let own = std::process::id().cast_signed();
        assert!(rss_bytes(own) > 1 << 20);
        let start = Instant::now();
        while cpu_ms(&[own]) < 20.0 {
            assert!(start.elapsed() < Duration::from_secs(20), "spinning costs time");
        }
        assert_eq!(rss_bytes(-1), 0);
    }

    #[test]
    fn a_server_ends_with_its_owner() {
        let folder = Folder::new("test").expect("a folder");
        let server = Server::start(
            Path::new("/bin/sh"),
            &["-c", "echo hello; exec sleep 60"],
            &folder.path().join("log"),
        );
        let server = server.expect("a shell");
        let pid = server.pid();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
