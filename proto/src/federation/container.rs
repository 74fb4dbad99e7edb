//! Containers of a mirrored pod.

use muster_model::TimeMs;

use super::field::{FieldError, convert, nonempty, required};
use super::pb;
use super::pb::container_mirror::State;

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMirror {
    /// Its name in the template.
    pub name: String,
    /// Whether it is an init container, sidecars included.
    pub init: bool,
    /// Where it stands.
    pub state: ContainerState,
    /// How it ended before it was started again.
    pub last: Option<ContainerEnd>,
    /// How often it was started again in place.
    pub restarts: u32,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Not started, or not started again yet.
    Waiting {
        /// One word.
        reason: String,
        /// One sentence, or empty.
        message: String,
    },
    /// Runs.
    Running {
        /// Since when.
        since: TimeMs,
    },
    /// Ended, and is not started again.
    Terminated(ContainerEnd),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEnd {
    /// When its command was executed.
    pub started: Option<TimeMs>,
    /// When it ended.
    pub finished: TimeMs,
    /// Exit code, 128 + signal for a killed process.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// One word.
    pub reason: String,
    /// One sentence, or empty.
    pub message: String,
}

impl From<&ContainerMirror> for pb::ContainerMirror {
    fn from(container: &ContainerMirror) -> Self {
        let state = match &container.state {
            ContainerState::Waiting { reason, message } => {
                State::Waiting(pb::ContainerWaiting { reason: reason.clone(), message: message.clone() })
            }
            ContainerState::Running { since } => State::RunningSinceMs(since.0),
            ContainerState::Terminated(end) => State::Terminated(end.into()),
        };
        Self {
            name: container.name.clone(),
            init: container.init,
            state: Some(state),
            last: container.last.as_ref().map(Into::into),
            restarts: container.restarts,
        }
    }
}

impl TryFrom<pb::ContainerMirror> for ContainerMirror {
    type Error = FieldError;

    fn try_from(container: pb::ContainerMirror) -> Result<Self, FieldError> {
        let state = match required(container.state, "state")? {
            State::Waiting(waiting) => {
                ContainerState::Waiting { reason: waiting.reason, message: waiting.message }
            }
            State::RunningSinceMs(since) => ContainerState::Running { since: TimeMs(since) },
            State::Terminated(end) => ContainerState::Terminated(end.try_into()?),
        };
        Ok(Self {
            name: nonempty(container.name, "name")?,
            init: container.init,
            state,
            last: container.last.map(|end| convert(Some(end), "last")).transpose()?,
            restarts: container.restarts,
        })
    }
}

impl From<&ContainerEnd> for pb::ContainerEnd {
    fn from(end: &ContainerEnd) -> Self {
        Self {
            started_ms: end.started.map(|time| time.0),
            finished_ms: end.finished.0,
            exit_code: end.exit_code,
            signal: end.signal,
            reason: end.reason.clone(),
            message: end.message.clone(),
        }
    }
}

impl TryFrom<pb::ContainerEnd> for ContainerEnd {
    type Error = FieldError;

    fn try_from(end: pb::ContainerEnd) -> Result<Self, FieldError> {
        Ok(Self {
            started: end.started_ms.map(TimeMs),
            finished: TimeMs(end.finished_ms),
            exit_code: end.exit_code,
            signal: end.signal,
            reason: end.reason,
            message: end.message,
        })
    }
}
