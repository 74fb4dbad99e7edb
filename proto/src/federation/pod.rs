//! Mirrors of pods: what a member shows of the pods of our own attempts, for people.

use muster_model::{Epoch, Key, TimeMs, Uid};

use super::container::ContainerMirror;
use super::field::{FieldError, UNKNOWN_VALUE, convert, convert_all, id_bytes, nonempty, uid};
use super::pb;

/// Changes of pod mirrors. Not in the hub's log: the leader keeps them as long as the session lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodUpdates {
    /// What is not named in this message or after it is gone: set on the first one after a hello.
    pub resync: bool,
    /// New or changed pods.
    pub pods: Vec<PodMirror>,
    /// Pods that the member no longer keeps.
    pub removed: Vec<PodRef>,
}

/// Names a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Its job.
    pub job_uid: Uid,
    /// Its name.
    pub name: String,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMirror {
    /// The job.
    pub job: Key,
    /// Its uid.
    pub job_uid: Uid,
    /// The attempt.
    pub epoch: Epoch,
    /// `JOB[-INDEX]-xxxxx`.
    pub name: String,
    /// Completion index, of Indexed jobs.
    pub index: Option<u32>,
    /// Where it stands.
    pub phase: PodPhase,
    /// Name of its container.
    pub container: String,
    /// The Node it counts on.
    pub node: String,
    /// When its command was executed.
    pub started: Option<TimeMs>,
    /// When it ended.
    pub finished: Option<TimeMs>,
    /// Exit code, 128 + signal for a killed process.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// One word: `Completed`, `Error`, `DeadlineExceeded`, ...
    pub reason: String,
    /// One sentence, or empty.
    pub message: String,
    /// The GPUs it was given, as the inventory names them.
    pub gpus: Vec<String>,
    /// How often its containers were started again in place.
    pub restarts: u32,
    /// Init containers first, each in the order of the template. Empty from members that do not tell.
    pub containers: Vec<ContainerMirror>,
}

/// Where a pod stands, as `status.phase` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodPhase {
    /// Not started yet.
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly, or was stopped.
    Failed,
    /// It may run or not.
    Unknown,
}

impl From<&PodUpdates> for pb::PodUpdates {
    fn from(updates: &PodUpdates) -> Self {
        let removed = |pod: &PodRef| pb::PodRef { job_uid: id_bytes(pod.job_uid.0), name: pod.name.clone() };
        Self {
            resync: updates.resync,
            pods: updates.pods.iter().map(Into::into).collect(),
            removed: updates.removed.iter().map(removed).collect(),
        }
    }
}

impl TryFrom<pb::PodUpdates> for PodUpdates {
    type Error = FieldError;

    fn try_from(updates: pb::PodUpdates) -> Result<Self, FieldError> {
        Ok(Self {
            resync: updates.resync,
            pods: convert_all(updates.pods, "pods")?,
            removed: convert_all(updates.removed, "removed")?,
        })
    }
}

impl TryFrom<pb::PodRef> for PodRef {
    type Error = FieldError;

    fn try_from(pod: pb::PodRef) -> Result<Self, FieldError> {
        Ok(Self { job_uid: uid(&pod.job_uid, "job_uid")?, name: nonempty(pod.name, "name")? })
    }
}

impl From<&PodMirror> for pb::PodMirror {
    fn from(pod: &PodMirror) -> Self {
        Self {
            job: Some((&pod.job).into()),
            job_uid: id_bytes(pod.job_uid.0),
            epoch: pod.epoch.0,
            name: pod.name.clone(),
            index: pod.index,
            phase: pb::PodPhase::from(pod.phase).into(),
            container: pod.container.clone(),
            node: pod.node.clone(),
            started_ms: pod.started.map(|t| t.0),
            finished_ms: pod.finished.map(|t| t.0),
            exit_code: pod.exit_code,
            signal: pod.signal,
            reason: pod.reason.clone(),
            message: pod.message.clone(),
            gpus: pod.gpus.clone(),
            restarts: pod.restarts,
            containers: pod.containers.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::PodMirror> for PodMirror {
    type Error = FieldError;

    fn try_from(pod: pb::PodMirror) -> Result<Self, FieldError> {
        Ok(Self {
            phase: phase(pod.phase())?,
            job: convert(pod.job, "job")?,
            job_uid: uid(&pod.job_uid, "job_uid")?,
            epoch: Epoch(pod.epoch),
            name: nonempty(pod.name, "name")?,
            index: pod.index,
            container: pod.container,
            node: pod.node,
            started: pod.started_ms.map(TimeMs),
            finished: pod.finished_ms.map(TimeMs),
            exit_code: pod.exit_code,
            signal: pod.signal,
            reason: pod.reason,
            message: pod.message,
            gpus: pod.gpus,
            restarts: pod.restarts,
            containers: convert_all(pod.containers, "containers")?,
        })
    }
}

impl From<PodPhase> for pb::PodPhase {
    fn from(phase: PodPhase) -> Self {
        match phase {
            PodPhase::Pending => Self::Pending,
            PodPhase::Running => Self::Running,
            PodPhase::Succeeded => Self::Succeeded,
            PodPhase::Failed => Self::Failed,
            PodPhase::Unknown => Self::Unknown,
        }
    }
}

fn phase(phase: pb::PodPhase) -> Result<PodPhase, FieldError> {
    match phase {
        pb::PodPhase::Pending => Ok(PodPhase::Pending),
        pb::PodPhase::Running => Ok(PodPhase::Running),
        pb::PodPhase::Succeeded => Ok(PodPhase::Succeeded),
        pb::PodPhase::Failed => Ok(PodPhase::Failed),
        pb::PodPhase::Unknown => Ok(PodPhase::Unknown),
        pb::PodPhase::Unspecified => Err(FieldError::new("phase", UNKNOWN_VALUE)),
    }
}
