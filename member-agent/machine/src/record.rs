//! What survives the agent: the machine's memory, one record per change.
//!
//! `Machine::recover` over all records gives the machine back, up to what the hub says again in the next session:
//! grants have to be renewed, and the document (`DesiredAttempt::body`) is not kept.

use std::sync::Arc;

use muster_model::{DesiredAttempt, Epoch, Incarnation, Uid};

use crate::attempt::{Ended, Ending};
use crate::clock::Clock;
use crate::pod::PodEnd;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A life began.
    Life(Incarnation),
    /// The greatest epoch seen of a job; older ones are refused.
    Seen {
        /// The job.
        uid: Uid,
        /// The epoch.
        epoch: Epoch,
    },
    /// An attempt was accepted, or its desired form changed.
    Attempt(AttemptRecord),
    /// A pod is about to be started.
    Pod(PodRecord),
    /// A pod is known dead.
    PodEnded {
        /// The attempt.
        epoch: Epoch,
        /// The pod.
        serial: u32,
        /// How.
        end: PodEnd,
        /// When the machine heard of it.
        seen: Clock,
    },
    /// How an attempt ends was decided. Final.
    Ending {
        /// The attempt.
        epoch: Epoch,
        /// How.
        ending: Ending,
    },
    /// Every pod of an attempt is dead. Final.
    Ended {
        /// The attempt.
        epoch: Epoch,
        /// How.
        ended: Ended,
    },
    /// The hub committed the end of an attempt.
    Taken {
        /// The attempt.
        epoch: Epoch,
    },
    /// Nothing of an attempt is kept any more.
    Forgotten {
        /// The attempt.
        epoch: Epoch,
    },
}

/// An accepted attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// What the hub asked for, with an empty `body`.
    pub desired: Arc<DesiredAttempt>,
    /// When it came first; the active deadline counts from here.
    pub received: Clock,
    /// Under `Fence`: what its deadline counted from when this was written.
    pub fence_base: Option<Clock>,
}

/// A pod about to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRecord {
    /// The attempt.
    pub epoch: Epoch,
    /// Number within the attempt.
    pub serial: u32,
    /// Completion index, of Indexed jobs.
    pub index: Option<u32>,
    /// Which of the attempt's claimed places.
    pub slot: u32,
    /// Of a gang: how often it had started anew.
    pub generation: u32,
    /// Position of its Node.
    pub node: u32,
    /// Positions of its GPUs on the Node.
    pub gpus: Vec<u32>,
    /// When.
    pub created: Clock,
}
