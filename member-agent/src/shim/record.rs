//! What the shim leaves behind: who it is, and how the pod ended.

use serde::{Deserialize, Serialize};

use super::identity::ProcessIdentity;
use super::isolation::Isolation;
use super::protocol::StopReason;

/// `shim.json`: written before the command is executed, so that whoever finds a folder without it knows that
/// nothing ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimRecord {
    /// The shim, as processes outside its namespace see it.
    pub shim: ProcessIdentity,
    /// How the pod's processes are held together.
    pub isolation: Isolation,
    /// Unix milliseconds.
    pub started_at_ms: u64,
}

/// `exit.json`: the end of a pod. Never rewritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Unix milliseconds; none when nothing ran.
    pub started_at_ms: Option<u64>,
    /// Unix milliseconds.
    pub finished_at_ms: u64,
    /// Exit code as a shell and Kubernetes give it, 128 + signal for a killed process; none when nobody saw it.
    pub code: Option<i32>,
    /// The signal that ended the main process.
    pub signal: Option<i32>,
    /// Why it ended.
    pub reason: ExitReason,
    /// For people; empty when the reason says it all.
    pub message: String,
    /// Bytes of output that could not be stored.
    pub dropped_log_bytes: u64,
    /// Every container, in the order of the spec; empty when nobody knows.
    #[serde(default)]
    pub containers: Vec<ContainerStatus>,
}

/// One container of a pod: an entry of `containers.json` while the pod runs, of `exit.json` afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its name in the template.
    pub name: String,
    /// Whether it is an init container, sidecars included.
    pub init: bool,
    /// How often it was started again in place.
    pub restarts: u32,
    /// Where it stands.
    pub state: ContainerState,
    /// How it ended before it was started again.
    pub last: Option<ContainerEnd>,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Not started, or not started again yet.
    Waiting {
        /// One word, as the kubelet says it.
        reason: String,
    },
    /// Its process runs.
    Running {
        /// Unix milliseconds.
        since_ms: u64,
    },
    /// Ended, and is not started again.
    Ended(ContainerEnd),
}

/// How a container ended once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// Unix milliseconds; none when its command could not be executed.
    pub started_at_ms: Option<u64>,
    /// Unix milliseconds.
    pub finished_at_ms: u64,
    /// Exit code, 128 + signal for a killed process.
    pub code: Option<i32>,
    /// The signal that ended its first process.
    pub signal: Option<i32>,
    /// `Completed`, `Error` or `StartError`.
    pub reason: ExitReason,
    /// For people; empty when the reason says it all.
    pub message: String,
}

/// Why a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// Exit code 0.
    Completed,
    /// Another exit code, or a signal that neither shim nor agent sent.
    Error,
    /// The command could not be executed.
    StartError,
    /// Stopped because the job's active deadline passed.
    DeadlineExceeded,
    /// Stopped, or never started, because the fence deadline passed.
    Fenced,
    /// Stopped on request.
    Stopped,
    /// Nobody saw the end, but every process is known to be gone: the machine rebooted, or the shim was killed.
    Lost,
    /// Nothing was ever started.
    NotStarted,
    /// Stopped because it used more disk than it may.
    Evicted,
}

impl From<StopReason> for ExitReason {
    fn from(reason: StopReason) -> ExitReason {
        match reason {
            StopReason::Stopped => ExitReason::Stopped,
            StopReason::DeadlineExceeded => ExitReason::DeadlineExceeded,
            StopReason::Fenced => ExitReason::Fenced,
            StopReason::Evicted => ExitReason::Evicted,
        }
    }
}
