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
/// How the containers of a running pod stand; means nothing after a reboot.
pub const CONTAINERS_FILE: &str = "containers.json";
/// The folder of the pod's volumes.
pub const VOLUMES_FOLDER: &str = "volumes";
/// The folder that containers with mounts have as their root.
pub const ROOT_FOLDER: &str = "root";
/// The control socket.
pub const SOCKET_FILE: &str = "shim.sock";
/// The log of a pod with one container; the older half is beside it with [`OLD_LOG_SUFFIX`]. With several containers
/// each has its own, with its name behind a dash.
pub const LOG_FILE: &str = "log";
/// What the older half of a log is called.
pub const OLD_LOG_SUFFIX: &str = ".1";
/// Marks every process of a pod, so that leftovers can be found where there is no PID namespace.
pub const POD_VARIABLE: &str = "MUSTER_POD";
/// Marks every process of a container within its pod.
pub const CONTAINER_VARIABLE: &str = "MUSTER_CONTAINER";
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

/// One pod, ready to run: nothing in here is expanded or looked up any more. It lies on disk, so what comes from a Secret
/// is not in here but in [`super::confidential::Confidential`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimSpec {
    /// Version of this record.
    pub version: u32,
    /// Which pod.
    pub pod: PodIdentity,
    /// The boot that the fence's clock readings belong to.
    pub boot_id: String,
    /// At least one main container. Init containers and sidecars first, in their order.
    pub containers: Vec<ContainerSpec>,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace_ms: u64,
    /// The fence deadline; none when the attempt is not fenced.
    pub fence: Option<FenceGrant>,
    /// How to hold the processes together.
    pub isolation: IsolationRequest,
    /// What happens when a container fails.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Volumes that containers mount.
    #[serde(default)]
    pub volumes: Vec<VolumeSpec>,
    /// Whether the rest comes over the launcher's standard input.
    #[serde(default)]
    pub is_confidential: bool,
    /// How much disk it may use; looked after by the agent.
    #[serde(default)]
    pub disk: DiskLimits,
}

/// The most disk that a pod may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLimits {
    /// Bytes of volumes by name.
    pub volumes: BTreeMap<String, u64>,
    /// Bytes of everything in its folder.
    pub pod_bytes: Option<u64>,
}

/// What happens when an init or main container fails (Kubernetes API, `PodSpec.restartPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// The pod fails.
    #[default]
    Never,
    /// It is started again in place, with a back-off.
    OnFailure,
}

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerRole {
    /// Has to complete before the next container is started.
    Init,
    /// Started in the order of the init containers, and runs until all main containers have ended.
    Sidecar,
    /// The pod is over when all of these have ended.
    #[default]
    Main,
}

/// A volume of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name in the template, a DNS label.
    pub name: String,
    /// Where its content is.
    pub kind: VolumeKind,
}

/// Where a volume's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeKind {
    /// In a folder of the pod's folder.
    Folder,
    /// In memory.
    Memory {
        /// The most it may hold; none: what the kernel gives by default.
        limit_bytes: Option<u64>,
    },
    /// Files of ConfigMaps, Secrets and the downward API, in memory that only the pod sees.
    Files,
}

/// Where a container sees a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// The volume's name.
    pub volume: String,
    /// What of the volume; empty: all of it. Relative, without `..`.
    pub sub_path: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Whether it can not be written to.
    pub read_only: bool,
}

/// One command of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its name in the template.
    pub name: String,
    /// Program and arguments, expanded.
    pub argv: Vec<String>,
    /// The environment less what comes from Secrets; nothing is inherited from the agent.
    pub env: BTreeMap<String, String>,
    /// Absolute path of the working folder.
    pub working_dir: PathBuf,
    /// Limits of the processes.
    pub limits: ResourceLimits,
    /// The log's file name inside the pod's folder.
    pub log: PathBuf,
    /// Bytes of log that are kept, at least [`MIN_LOG_CAP_BYTES`].
    pub log_cap_bytes: u64,
    /// What it is to the pod.
    #[serde(default)]
    pub role: ContainerRole,
    /// Where it sees volumes.
    #[serde(default)]
    pub mounts: Vec<MountSpec>,
    /// What it reads.
    #[serde(default)]
    pub input: InputSpec,
    /// Whether its standard streams are a terminal.
    #[serde(default)]
    pub tty: bool,
}

/// What a container reads (Kubernetes API, `Container.stdin` and `stdinOnce`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputSpec {
    /// The end, at once.
    #[default]
    Nothing,
    /// What everybody who attaches writes; it never ends.
    Open,
    /// What is written until the first client that attaches goes.
    Once,
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

    fn check(&self) -> Result<(), ShimError> {
        let refuse = |field, reason: String| Err(ShimError::Spec { field, reason });
        if self.version != Self::VERSION {
            return refuse("version", format!("{} is not {}", self.version, Self::VERSION));
        }
        if !self.containers.iter().any(|container| container.role == ContainerRole::Main) {
            return refuse("containers", "at least one main container is needed".to_owned());
        }
        for container in &self.containers {
            if container.argv.is_empty() {
                return refuse("containers.argv", format!("{}: it is empty, give a command", container.name));
            }
            if container.log_cap_bytes < MIN_LOG_CAP_BYTES {
                return refuse("containers.log_cap_bytes", format!("at least {MIN_LOG_CAP_BYTES}"));
            }
        }
        Ok(())
    }
}
