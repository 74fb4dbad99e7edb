//! What the machine asks for.

use std::sync::Arc;

use muster_model::{DesiredAttempt, EventSeverity, Key, ToHub, Uid};
use muster_model::{DurationMs, Epoch};

use crate::clock::Clock;
use crate::pod::{PodId, PodStop};
use crate::record::Record;

/// One thing to do. They are done in order; what is persisted is durable before the next one is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Append to the journal and sync. A failure is fatal for the agent.
    Persist(Vec<Record>),
    /// Send over this session, if it is still the open one.
    Send {
        /// The session's number.
        session: u64,
        /// What.
        message: ToHub,
    },
    /// Close this session and open another.
    Reconnect {
        /// The session's number.
        session: u64,
    },
    /// Start a pod. Answered by `PodChanged`.
    StartPod(Box<PodStart>),
    /// Stop a pod: SIGTERM, then SIGKILL after the grace. Repeated until the pod is known dead.
    StopPod {
        /// Which.
        pod: PodId,
        /// Between the two signals.
        grace: DurationMs,
        /// Becomes the reason on record.
        reason: PodStop,
    },
    /// Move a pod's fence deadline to `fence_after` from `base`.
    RenewDeadline {
        /// Which.
        pod: PodId,
        /// When the acknowledged heartbeat was sent.
        base: Clock,
        /// From then until the last process is dead.
        fence_after: DurationMs,
    },
    /// Remove an ended pod with its log.
    RemovePod {
        /// Which.
        pod: PodId,
    },
    /// A pod changed for people: send its mirror.
    ShowPod {
        /// Which.
        pod: PodId,
    },
    /// A pod is no longer kept.
    HidePod {
        /// Its job.
        job_uid: Uid,
        /// Its name.
        name: String,
    },
    /// Tell people something about a job.
    Warn(Note),
}

/// A pod to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodStart {
    /// Its id.
    pub id: PodId,
    /// Its name for people.
    pub name: String,
    /// The attempt, with the job's document.
    pub attempt: Arc<DesiredAttempt>,
    /// Completion index, of Indexed jobs.
    pub index: Option<u32>,
    /// Position of its Node in the member.
    pub node: u32,
    /// Positions of its GPUs on that Node.
    pub gpus: Vec<u32>,
    /// Under `Fence`: when counting began. The pod must be dead `policy.fence_after` after it.
    pub fence_base: Option<Clock>,
}

/// Something that people should see at a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The job.
    pub job: Key,
    /// Its uid.
    pub uid: Uid,
    /// The attempt.
    pub epoch: Epoch,
    /// One word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// How grave.
    pub severity: EventSeverity,
}

/// Collects what one step asks for. Records come first, in one batch: nothing is done before it is known durably.
#[derive(Debug, Default)]
pub(crate) struct Out {
    records: Vec<Record>,
    actions: Vec<Action>,
}

impl Out {
    pub(crate) fn persist(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn into_actions(self) -> Vec<Action> {
        let persist = (!self.records.is_empty()).then_some(Action::Persist(self.records));
        persist.into_iter().chain(self.actions).collect()
    }
}
