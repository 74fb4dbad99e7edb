//! One pod of an attempt.

use std::sync::Arc;

use muster_model::{ContainerExit, Epoch, TimeMs, Uid};

use crate::clock::Clock;
use crate::input::Observation;
use crate::record::PodRecord;
use crate::tally::Tally;

/// Names a pod for good: epochs are unique over all jobs, serials within an attempt, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId {
    /// The attempt.
    pub epoch: Epoch,
    /// Number within the attempt, in order of start.
    pub serial: u32,
}

/// A pod as the machine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Number within the attempt.
    pub serial: u32,
    /// Completion index, of Indexed jobs.
    pub index: Option<u32>,
    /// Which of the attempt's claimed places it takes.
    pub slot: u32,
    /// Of a gang: how often it had started anew when this pod was started.
    pub generation: u32,
    /// Position of its Node.
    pub node: u32,
    /// Positions of its GPUs on the Node.
    pub gpus: Vec<u32>,
    /// When its start was decided.
    pub created: Clock,
    /// Where it stands.
    pub state: PodState,
    /// When the machine heard of that.
    pub seen: Clock,
    /// How often its containers were started again in place, as far as that counts against the backoff limit.
    pub(crate) restarts: u32,
    /// The demand to stop it, if one went out in this life.
    pub(crate) stop: Option<StopDemand>,
    /// The base of the last renewal that went to it.
    pub(crate) renewed: Option<Clock>,
    /// What its end counts for.
    pub(crate) tally: Tally,
}

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodState {
    /// The backend was asked to start it.
    Starting,
    /// Its processes run.
    Running {
        /// Since when.
        since: TimeMs,
    },
    /// It may run or not.
    Unknown {
        /// Since when the machine does not know.
        since: Clock,
    },
    /// Dead.
    Ended(PodEnd),
}

/// How a pod ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEnd {
    /// When its command was executed; absent when nothing ran.
    pub started: Option<TimeMs>,
    /// When it ended.
    pub finished: TimeMs,
    /// 128 + signal for a killed process; absent when nobody saw it.
    pub exit_code: Option<i32>,
    /// Exit codes of its containers, in the order of the template; empty where they are not told apart.
    pub exits: Vec<ContainerExit>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why.
    pub reason: EndReason,
    /// One sentence, or empty.
    pub message: Arc<str>,
}

/// Why a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndReason {
    /// Exit code 0.
    Completed,
    /// Another exit code, or a signal that nobody here sent.
    Error,
    /// The command could not be executed.
    StartError,
    /// The backend does not run this template.
    Refused,
    /// Stopped because the active deadline passed.
    DeadlineExceeded,
    /// Stopped, or not started, because the fence deadline passed.
    Fenced,
    /// Stopped on request.
    Stopped,
    /// Nobody saw the end, but nothing of it is alive.
    Lost,
    /// Nothing was ever started.
    NotStarted,
    /// Stopped because it used more disk than it may.
    Evicted,
}

/// Why the machine stops a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodStop {
    /// On request.
    Stopped,
    /// The active deadline passed.
    DeadlineExceeded,
    /// The fence deadline is near.
    Fenced,
}

/// A demand to stop a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StopDemand {
    /// When it went out first.
    pub(crate) first: Clock,
    /// When it went out last.
    pub(crate) last: Clock,
    /// The grace it gave at first.
    pub(crate) grace_ms: u64,
}

impl Pod {
    pub(crate) fn new(record: PodRecord) -> Pod {
        Pod {
            serial: record.serial,
            index: record.index,
            slot: record.slot,
            generation: record.generation,
            node: record.node,
            gpus: record.gpus,
            created: record.created,
            seen: record.created,
            state: PodState::Starting,
            restarts: 0,
            stop: None,
            renewed: None,
            tally: Tally::Nothing,
        }
    }

    /// Whether anything of it may be alive.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, PodState::Ended(_))
    }

    /// How it ended, if it did.
    pub fn end(&self) -> Option<&PodEnd> {
        match &self.state {
            PodState::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Whether it completed.
    pub fn succeeded(&self) -> bool {
        self.end().is_some_and(|end| end.reason == EndReason::Completed)
    }

    /// Whether it failed by itself: stopped ones and those that never ran did not.
    pub fn failed(&self) -> bool {
        self.end().is_some_and(|end| {
            matches!(
                end.reason,
                EndReason::Error
                    | EndReason::StartError
                    | EndReason::Refused
                    | EndReason::Lost
                    | EndReason::Evicted
            )
        })
    }

    /// Takes what was seen; whether that changed anything. Dead stays dead.
    pub(crate) fn observe(&mut self, seen: &Observation, now: Clock) -> bool {
        let state = match (&self.state, seen) {
            (PodState::Ended(_), _) | (PodState::Unknown { .. }, Observation::Unknown) => return false,
            (_, Observation::Running { since }) => PodState::Running { since: *since },
            (_, Observation::Ended(end)) => PodState::Ended(end.clone()),
            (_, Observation::Refused { message, .. }) => PodState::Ended(PodEnd {
                started: None,
                finished: now.time(),
                exit_code: None,
                exits: Vec::new(),
                signal: None,
                reason: EndReason::Refused,
                message: message.clone(),
            }),
            (_, Observation::Unknown) => PodState::Unknown { since: now },
        };
        let changed = self.state != state;
        self.state = state;
        self.seen = now;
        changed
    }
}

impl PodEnd {
    /// The end of a pod that was never started.
    pub fn not_started(at: TimeMs) -> PodEnd {
        PodEnd {
            started: None,
            finished: at,
            exit_code: None,
            exits: Vec::new(),
            signal: None,
            reason: EndReason::NotStarted,
            message: "".into(),
        }
    }
}

/// Characters of a name's suffix: no vowels and nothing that looks alike, as Kubernetes picks them.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Suffixes there are: 27^5.
const SUFFIXES: u64 = 27 * 27 * 27 * 27 * 27;
/// Longest name of a pod that is also a DNS label.
const MAX_NAME_BYTES: usize = 63;

/// The name for people: `JOB[-INDEX]-xxxxx`. The same pod always gets the same, and no two pods of an attempt share one.
pub fn pod_name(job: &str, uid: Uid, id: PodId, index: Option<u32>) -> String {
    let index = index.map(|index| format!("-{index}")).unwrap_or_default();
    let room = MAX_NAME_BYTES - 6 - index.len();
    let job = job.get(..room).unwrap_or(job).trim_end_matches(['-', '.']);
    format!("{job}{index}-{}", suffix(uid, id))
}

/// The serial moved around in the space of all suffixes: the factor has no divisor in common with 27^5, so that no two
/// serials meet.
fn suffix(uid: Uid, id: PodId) -> String {
    let start = (uid.0 ^ (uid.0 >> 64)) as u64 ^ id.epoch.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut at = (start % SUFFIXES + u64::from(id.serial) % SUFFIXES * 5_196_853) % SUFFIXES;
    let mut text = String::with_capacity(5);
    for _ in 0..5 {
        text.push(char::from(ALPHABET[(at % 27) as usize]));
        at /= 27;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_and_differ() {
        let id = |serial| PodId { epoch: Epoch(77), serial };
        let mut names: Vec<String> =
            (0..2000).map(|s| pod_name("train", Uid(5 << 70), id(s), None)).collect();
        assert!(names.iter().all(|name| name.len() == "train-".len() + 5));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 2000);
        let long = pod_name(&"j".repeat(63), Uid(1), id(0), Some(100_000));
        assert_eq!(long.len(), 63);
        assert!(long.contains("j-100000-"));
    }
}
