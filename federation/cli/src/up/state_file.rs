//! `DIR/up.json`: what runs where, for people and scripts. Written by rename, so that a reader never sees half of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A replica of the hub.
    Controller,
    /// The agent of a member.
    Agent,
}

/// The file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// Of this shape: 1.
    pub version: u32,
    /// Whether a leader is there and every member was Ready once.
    pub ready: bool,
    /// When `up` was started, RFC 3339.
    pub started_at: String,
    /// The process of `up`.
    pub pid: u32,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// URL of the front port.
    pub front: String,
    /// The children.
    pub processes: Vec<ProcessEntry>,
}

/// One child.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessEntry {
    /// What it is.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Its process, or 0 between two lives.
    pub pid: u32,
    /// How often it was started again.
    pub restarts: u64,
    /// Its folder.
    pub data_dir: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// Its ports.
    pub addresses: BTreeMap<String, String>,
}

/// Writes a file in one step: all of it or nothing.
pub fn write_by_rename(path: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("new");
    // A file left by a crash may have another mode.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
