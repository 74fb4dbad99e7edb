//! The control socket's language: one JSON line asks, one answers, any number per connection.

use serde::{Deserialize, Serialize};

use super::deadline::FenceGrant;
use super::isolation::Isolation;

/// What the agent may ask of a shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// How is it.
    Status,
    /// A later fence deadline.
    Renew(FenceGrant),
    /// SIGTERM to everything, SIGKILL to what is left after the grace.
    Stop {
        /// Milliseconds between the two.
        grace_ms: u64,
        /// Becomes the reason of the exit record.
        reason: StopReason,
        /// Becomes its message.
        #[serde(default)]
        message: String,
    },
    /// One signal to the groups of all running containers, for example to write a checkpoint.
    Signal {
        /// Linux's number.
        number: i32,
    },
    /// A copy of our end of a container's input. The connection stays with it: when it closes, whoever attached is gone;
    /// the shim closes it when the container has ended.
    Attach {
        /// Its name.
        container: String,
        /// Whether something is to be written, or only the terminal's size is to be set.
        input: bool,
    },
}

/// Why a pod is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// By request: delete, suspend, eviction, shutdown.
    Stopped,
    /// The job's `activeDeadlineSeconds` passed.
    DeadlineExceeded,
    /// The agent found the fence deadline passed.
    Fenced,
    /// It used more disk than it may.
    Evicted,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(ShimStatus),
    /// Done.
    Done,
    /// Understood and refused.
    Refused {
        /// Why.
        reason: Refusal,
        /// For people.
        message: String,
    },
    /// To [`Request::Attach`].
    Attached {
        /// Whether bytes are taken. A descriptor comes with the answer if they are, or if there is a terminal.
        takes_bytes: bool,
    },
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Not a request of this version.
    Malformed,
    /// The fence has begun; it is final.
    Fenced,
    /// The pod was started without a fence.
    NotFenced,
    /// The pod is over.
    Ended,
    /// As many are attached as the shim takes.
    TooMany,
}

/// A shim's view of its pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimStatus {
    /// Where it stands.
    pub phase: ShimPhase,
    /// How its processes are held together.
    pub isolation: Isolation,
    /// Milliseconds until the fence deadline.
    pub fence_left_ms: Option<u64>,
    /// Bytes of output that could not be stored.
    pub dropped_log_bytes: u64,
}

/// The life of a pod's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShimPhase {
    /// Its containers run.
    Running,
    /// SIGTERM went out.
    Stopping,
    /// The pod is over or SIGKILL went out; the rest is being collected.
    Ending,
    /// Over; only the record is not on disk yet.
    Ended,
}
