//! What goes into a backend and what comes out.

use std::fmt;

use serde_json::Value;

use super::documents::Documents;
pub use crate::data::PodData;
use crate::shim::deadline::FenceGrant;
use crate::shim::protocol::StopReason;
use crate::shim::record::{ContainerStatus, ExitRecord};
use crate::shim::spec::PodIdentity;

/// Names one pod on this member for good: the name of its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(String);

impl PodId {
    /// `UID8-EPOCH-INDEX-SUFFIX`; the suffix tells the pods of one index apart, and is chosen by the caller.
    /// `None` when a part has other characters than lower-case letters and digits.
    pub fn new(job_uid: &str, epoch: &str, index: u32, suffix: &str) -> Option<PodId> {
        let uid8: String = job_uid.chars().filter(|character| *character != '-').take(8).collect();
        PodId::parse(&format!("{uid8}-{epoch}-{index}-{suffix}"))
    }

    /// Takes a name that is safe as a folder's.
    pub fn parse(text: &str) -> Option<PodId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound =
            !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) && !text.starts_with('-');
        sound.then(|| PodId(text.to_owned()))
    }

    /// The folder's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One pod to run.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSpec {
    /// Which folder.
    pub id: PodId,
    /// Which pod of which attempt.
    pub identity: PodIdentity,
    /// Name of the Node it counts on, for the downward API.
    pub node: String,
    /// The job's pod template (`metadata` and `spec`), as the user gave it.
    pub template: Value,
    /// The gang it belongs to; its rank is its completion index.
    pub gang: Option<Gang>,
    /// What the template names.
    pub documents: Documents,
    /// Until when it may live; none when the attempt is not fenced.
    pub fence: Option<FenceGrant>,
    /// Datasets that it reads.
    pub data: Vec<PodData>,
}

/// Pods of one attempt that run together and know of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gang {
    /// How many pods it has.
    pub size: u32,
    /// Ports for them, by rank; for rank 0 only in a very large gang. Reserved by the backend.
    pub ports: Vec<u16>,
}

/// A start that was carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// What of the template is not honoured here, for Events; each a sentence.
    pub warnings: Vec<String>,
}

/// How to end a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace_ms: u64,
    /// Becomes the reason on record.
    pub reason: StopReason,
}

/// One pod as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPod {
    /// Which folder.
    pub id: PodId,
    /// Which pod of which attempt.
    pub identity: PodIdentity,
    /// Where it stands.
    pub state: PodState,
    /// Its containers, in the order of the template, init containers first; empty when nobody knows.
    pub containers: Vec<ContainerStatus>,
    /// Restarts in place that stand for failures of the job: those under `restartPolicy: OnFailure`.
    pub restarts: u32,
}

/// Three-valued, because absence of evidence is not death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodState {
    /// Its processes run.
    Running {
        /// Unix milliseconds.
        started_at_ms: u64,
    },
    /// Nothing of it is left, and this is how it ended.
    Ended(ExitRecord),
    /// It may run or not. `stop` settles it.
    Unknown {
        /// What is missing, a sentence.
        why: String,
    },
}

/// What a backend can promise on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether a fence deadline is kept even when agent and shim are killed.
    pub fence: bool,
    /// Whether pods are only played.
    pub simulated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_safe_folder_name() {
        let id = PodId::new("0d7e3c1a-5b2f-4a8e", "281474976710657", 3, "x7k2p").unwrap();
        assert_eq!(id.as_str(), "0d7e3c1a-281474976710657-3-x7k2p");
        for text in ["", "..", "a/b", "-a", "A", ".removed", "a\0"] {
            assert_eq!(PodId::parse(text), None, "{text:?}");
        }
    }
}
