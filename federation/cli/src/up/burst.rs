//! Members that burst pools made on this machine: they belong to no process of `muster up`, and end with it all the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Stops every agent below the folder: its jobs end as on any member that stops, and its state stays.
pub async fn stop_members(root: &Path, patience: Duration) {
    let agents: Vec<Pid> = agents(root).collect();
    let deadline = Instant::now() + patience;
    for pid in &agents {
        let _ = kill(*pid, Signal::SIGTERM);
    }
    for pid in agents {
        while Instant::now() < deadline && kill(pid, None).is_ok() {
            tokio::time::sleep(LOOK).await;
        }
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// The agents below the folder that run: `ROOT/POOL/INTENT/agent.pid`, if the process has that folder as an argument.
fn agents(root: &Path) -> impl Iterator<Item = Pid> {
    let below =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let intents = below(root.to_owned()).flat_map(below);
    intents.filter_map(|folder| {
        let pid: i32 = std::fs::read_to_string(folder.join("agent.pid")).ok()?.trim().parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let folder = folder.to_str()?.as_bytes();
        line.split(|byte| *byte == 0).any(|argument| argument == folder).then(|| Pid::from_raw(pid))
    })
}
