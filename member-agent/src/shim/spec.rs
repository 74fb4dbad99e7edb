//! What the agent writes before it starts a shim, and the names inside a pod's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::deadline::FenceGrant;
use super::durable;
use super::error::ShimError;
use super::isolation::IsolationRequest;

/// The spec, written durably by the agent.
pub const SPEC_FILE: &str = "spec.json";
/// The lock that a shim holds as long as it lives.
pub const LOCK_FILE: &str = "lock";
/// Which process the shim is.
pub const SHIM_FILE: &str = "shim.json";
/// How the pod ended, written durably by the shim.
pub const EXIT_FILE: &str = "exit.json";
/// The control socket.
pub const SOCKET_FILE: &str = "shim.sock";
/// The current log; the older half is beside it with [`OLD_LOG_SUFFIX`].
pub const LOG_FILE: &str = "log";
/// What the older half of a log is called.
pub const OLD_LOG_SUFFIX: &str = ".1";
/// The least that a log may be capped at: several batches of the log writer.
pub const MIN_LOG_CAP_BYTES: u64 = 128 * 1024;

/// Which pod of which attempt: what every record about a pod carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentity {
    /// Name of the Pod as users see it.
    pub name: String,
    /// Namespace of the job.
    pub namespace: String,
    /// Name of the job.
    pub job: String,
    /// Uid of the job.
    pub job_uid: String,
    /// Epoch of the attempt, in decimal.
    pub epoch: String,
    /// Completion index, for Indexed jobs.
    pub index: Option<u32>,
    /// GPUs the pod was assigned, as the inventory names them.
    pub gpus: Vec<String>,
}

/// One pod, ready to run: nothing in here is expanded or looked up any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimSpec {
    /// Version of this record.
    pub version: u32,
    /// Which pod.
    pub pod: PodIdentity,
    /// The boot that the fence's clock readings belong to.
    pub boot_id: String,
    /// Exactly one for now.
    pub containers: Vec<ContainerSpec>,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace_ms: u64,
    /// The fence deadline; none when the attempt is not fenced.
    pub fence: Option<FenceGrant>,
    /// How to hold the processes together.
    pub isolation: IsolationRequest,
}

/// One command of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its name in the template.
    pub name: String,
    /// Program and arguments, expanded.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited from the agent.
    pub env: BTreeMap<String, String>,
    /// Absolute path of the working folder.
    pub working_dir: PathBuf,
    /// Limits of the processes.
    pub limits: ResourceLimits,
    /// The log's file name inside the pod's folder.
    pub log: PathBuf,
    /// Bytes of log that are kept, at least [`MIN_LOG_CAP_BYTES`].
    pub log_cap_bytes: u64,
}

/// Limits set between fork and exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// RLIMIT_CORE in bytes.
    pub core_bytes: u64,
    /// RLIMIT_NOFILE, cut to the hard limit in force.
    pub open_files: u64,
}

impl ShimSpec {
    /// The version this build reads and writes.
    pub const VERSION: u32 = 1;

    /// Reads the spec in `dir` and checks what the shim relies on.
    pub fn read(dir: &Path) -> Result<ShimSpec, ShimError> {
        let spec: ShimSpec = durable::read_json(dir, SPEC_FILE)?.ok_or_else(|| ShimError::Malformed {
            path: dir.join(SPEC_FILE),
            reason: "it does not exist; the agent writes it before it starts the shim".to_owned(),
        })?;
        spec.check()?;
        Ok(spec)
    }

    /// The one container.
    pub fn container(&self) -> &ContainerSpec {
        &self.containers[0]
    }

    fn check(&self) -> Result<(), ShimError> {
        let refuse = |field, reason: String| Err(ShimError::Spec { field, reason });
        if self.version != Self::VERSION {
            return refuse("version", format!("{} is not {}", self.version, Self::VERSION));
        }
        let [container] = self.containers.as_slice() else {
            return refuse(
                "containers",
                format!("{} given, exactly one is supported", self.containers.len()),
            );
        };
        if container.argv.is_empty() {
            return refuse("containers[0].argv", "it is empty, give a command".to_owned());
        }
        if container.log_cap_bytes < MIN_LOG_CAP_BYTES {
            return refuse("containers[0].log_cap_bytes", format!("at least {MIN_LOG_CAP_BYTES}"));
        }
        Ok(())
    }
}
