//! What the machine hears.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_model::{CapacityChange, ToMember, Uid};

use crate::pod::{PodEnd, PodId};
use muster_model::TimeMs;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The first input of every life: what the backend found of pods that earlier lives started.
    Adopted {
        /// Every pod that the backend knows.
        pods: Vec<(PodId, Observation)>,
        /// What it means that a recorded pod is not among them.
        absent: Absent,
    },
    /// A stream to a hub is open. Numbers grow; everything that belongs to another session is passed over.
    SessionOpened {
        /// Its number.
        session: u64,
    },
    /// The stream is gone.
    SessionLost {
        /// Its number.
        session: u64,
    },
    /// The hub said something.
    FromHub {
        /// Over which session.
        session: u64,
        /// What.
        message: ToMember,
    },
    /// The hub no longer has these jobs: their pods, logs included, may go.
    ForgetJobs {
        /// Uids of the jobs.
        uids: Vec<Uid>,
    },
    /// The backend saw a pod change, or answered a start or a stop.
    PodChanged {
        /// Which.
        pod: PodId,
        /// What it saw.
        seen: Observation,
    },
    /// Containers of a pod were started again in place under `restartPolicy: OnFailure`.
    PodRestarted {
        /// Which.
        pod: PodId,
        /// How often in all.
        restarts: u32,
    },
    /// The inventory changed.
    CapacityChanged(CapacityChange),
    /// Which GPUs do not work now, by the positions of Node and GPU: nothing is started on them. What was started there is
    /// left alone; it fails by itself, if it does.
    GpusFailed {
        /// All of them.
        gpus: BTreeSet<(u32, u32)>,
    },
    /// The agent goes down in good order: running attempts are stopped, nothing is started.
    Shutdown {
        /// The most grace that a pod gets.
        grace_cap_ms: u64,
    },
    /// Time passed.
    Tick,
}

/// What it means that the backend does not know a pod that was recorded before its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Nothing was ever started: the backend writes its own record first.
    NeverStarted,
    /// It may run.
    Unknown,
}

/// How a pod was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Its processes run.
    Running {
        /// Since when.
        since: TimeMs,
    },
    /// Nothing of it is left.
    Ended(PodEnd),
    /// The backend will never run this template: the job fails.
    Refused {
        /// One word: `InvalidTemplate`, ...
        reason: Arc<str>,
        /// One sentence, with the field.
        message: Arc<str>,
    },
    /// It may run or not.
    Unknown,
}
