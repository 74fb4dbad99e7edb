//! One record as bytes: protobuf, so that fields can be added.

use std::sync::Arc;

use muster_member_machine::{
    AttemptRecord, Clock, EndReason, Ended, Ending, PodEnd, PodRecord, PodStop, Record,
};
use muster_model::{
    AttemptOutcome, ContainerExit, DesiredAttempt, Epoch, FinishReason, Incarnation, TimeMs, Uid,
};
use muster_proto::federation::pb;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Life(pb::Incarnation),
    #[prost(message, tag = "2")]
    Seen(Seen),
    #[prost(message, tag = "3")]
    Attempt(Box<StoredAttempt>),
    #[prost(message, tag = "4")]
    Pod(StoredPod),
    #[prost(message, tag = "5")]
    PodEnded(StoredPodEnd),
    #[prost(message, tag = "6")]
    Ending(StoredEnding),
    #[prost(message, tag = "7")]
    Ended(StoredEnding),
    #[prost(uint64, tag = "8")]
    Taken(u64),
    #[prost(uint64, tag = "9")]
    Forgotten(u64),
}

#[derive(Clone, PartialEq, Message)]
struct Seen {
    #[prost(bytes = "vec", tag = "1")]
    uid: Vec<u8>,
    #[prost(uint64, tag = "2")]
    epoch: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredClock {
    #[prost(uint64, tag = "1")]
    boot_ms: u64,
    #[prost(uint64, tag = "2")]
    real_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredAttempt {
    #[prost(message, optional, tag = "1")]
    desired: Option<pb::DesiredAttempt>,
    #[prost(message, optional, tag = "2")]
    received: Option<StoredClock>,
    #[prost(message, optional, tag = "3")]
    fence_base: Option<StoredClock>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPod {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(uint32, tag = "2")]
    serial: u32,
    #[prost(uint32, optional, tag = "3")]
    index: Option<u32>,
    #[prost(uint32, tag = "4")]
    slot: u32,
    #[prost(uint32, tag = "5")]
    node: u32,
    #[prost(uint32, repeated, tag = "6")]
    gpus: Vec<u32>,
    #[prost(message, optional, tag = "7")]
    created: Option<StoredClock>,
    #[prost(uint32, tag = "110")]
    generation: u32,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPodEnd {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(uint32, tag = "2")]
    serial: u32,
    #[prost(uint64, optional, tag = "3")]
    started_ms: Option<u64>,
    #[prost(uint64, tag = "4")]
    finished_ms: u64,
    #[prost(int32, optional, tag = "5")]
    exit_code: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    signal: Option<i32>,
    #[prost(uint32, tag = "7")]
    reason: u32,
    #[prost(string, tag = "8")]
    message: String,
    #[prost(message, optional, tag = "9")]
    seen: Option<StoredClock>,
    #[prost(message, repeated, tag = "110")]
    exits: Vec<StoredExit>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredExit {
    #[prost(string, optional, tag = "1")]
    container: Option<String>,
    #[prost(int32, tag = "2")]
    code: i32,
}

/// Of a decided end `stop` and `grace_ms`, of an end `at_ms`.
#[derive(Clone, PartialEq, Message)]
struct StoredEnding {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(uint32, tag = "2")]
    outcome: u32,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    message: String,
    #[prost(int32, optional, tag = "5")]
    exit_code: Option<i32>,
    #[prost(uint32, tag = "6")]
    stop: u32,
    #[prost(uint64, tag = "7")]
    grace_ms: u64,
    #[prost(uint64, tag = "8")]
    at_ms: u64,
}

/// Numbers of the reasons on disk: the position. Append only.
const REASONS: [EndReason; 10] = [
    EndReason::Completed,
    EndReason::Error,
    EndReason::StartError,
    EndReason::Refused,
    EndReason::DeadlineExceeded,
    EndReason::Fenced,
    EndReason::Stopped,
    EndReason::Lost,
    EndReason::NotStarted,
    EndReason::Evicted,
];
/// The same for what pods are told.
const STOPS: [PodStop; 3] = [PodStop::Stopped, PodStop::DeadlineExceeded, PodStop::Fenced];

/// A record as bytes.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let body = match record {
        Record::Life(incarnation) => Body::Life(incarnation.into()),
        Record::Seen { uid, epoch } => Body::Seen(Seen { uid: uid.0.to_be_bytes().to_vec(), epoch: epoch.0 }),
        Record::Attempt(attempt) => Body::Attempt(Box::new(StoredAttempt {
            desired: Some((&*attempt.desired).into()),
            received: Some(store_clock(attempt.received)),
            fence_base: attempt.fence_base.map(store_clock),
        })),
        Record::Pod(pod) => Body::Pod(store_pod(pod)),
        Record::PodEnded { epoch, serial, end, seen } => Body::PodEnded(StoredPodEnd {
            epoch: epoch.0,
            serial: *serial,
            started_ms: end.started.map(|time| time.0),
            finished_ms: end.finished.0,
            exit_code: end.exit_code,
            signal: end.signal,
            reason: position(&REASONS, end.reason),
            message: end.message.to_string(),
            seen: Some(store_clock(*seen)),
            exits: end.exits.iter().map(store_exit).collect(),
        }),
        Record::Ending { epoch, ending } => Body::Ending(StoredEnding {
            stop: position(&STOPS, ending.stop),
            grace_ms: ending.grace_ms,
            ..store_outcome(*epoch, &ending.outcome, ending.exit_code)
        }),
        Record::Ended { epoch, ended } => Body::Ended(StoredEnding {
            at_ms: ended.at.0,
            ..store_outcome(*epoch, &ended.outcome, ended.exit_code)
        }),
        Record::Taken { epoch } => Body::Taken(epoch.0),
        Record::Forgotten { epoch } => Body::Forgotten(epoch.0),
    };
    Stored { body: Some(body) }.encode_to_vec()
}

/// The record, or what does not fit.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, String> {
    let stored = Stored::decode(bytes).map_err(|error| error.to_string())?;
    Ok(match stored.body.ok_or("a record of a kind that this version does not know")? {
        Body::Life(incarnation) => {
            Record::Life(Incarnation::try_from(incarnation).map_err(|e| e.to_string())?)
        }
        Body::Seen(seen) => {
            let uid = seen.uid.as_slice().try_into().map_err(|_| "uid: must be 16 bytes")?;
            Record::Seen { uid: Uid(u128::from_be_bytes(uid)), epoch: Epoch(seen.epoch) }
        }
        Body::Attempt(attempt) => {
            let desired = attempt.desired.ok_or("desired: is missing")?;
            Record::Attempt(AttemptRecord {
                desired: Arc::new(DesiredAttempt::try_from(desired).map_err(|e| e.to_string())?),
                received: clock(attempt.received)?,
                fence_base: attempt.fence_base.map(|base| clock(Some(base))).transpose()?,
            })
        }
        Body::Pod(pod) => Record::Pod(load_pod(pod)?),
        Body::PodEnded(end) => Record::PodEnded {
            epoch: Epoch(end.epoch),
            serial: end.serial,
            seen: clock(end.seen)?,
            end: PodEnd {
                started: end.started_ms.map(TimeMs),
                finished: TimeMs(end.finished_ms),
                exit_code: end.exit_code,
                exits: end.exits.into_iter().map(load_exit).collect(),
                signal: end.signal,
                reason: at(&REASONS, end.reason)?,
                message: end.message.into(),
            },
        },
        Body::Ending(ending) => Record::Ending {
            epoch: Epoch(ending.epoch),
            ending: Ending {
                stop: at(&STOPS, ending.stop)?,
                grace_ms: ending.grace_ms,
                exit_code: ending.exit_code,
                outcome: load_outcome(ending)?,
            },
        },
        Body::Ended(ended) => Record::Ended {
            epoch: Epoch(ended.epoch),
            ended: Ended {
                at: TimeMs(ended.at_ms),
                exit_code: ended.exit_code,
                outcome: load_outcome(ended)?,
            },
        },
        Body::Taken(epoch) => Record::Taken { epoch: Epoch(epoch) },
        Body::Forgotten(epoch) => Record::Forgotten { epoch: Epoch(epoch) },
    })
}

fn store_exit(exit: &ContainerExit) -> StoredExit {
    StoredExit { container: exit.container.as_deref().map(str::to_owned), code: exit.code }
}

fn load_exit(exit: StoredExit) -> ContainerExit {
    ContainerExit { container: exit.container.map(Into::into), code: exit.code }
}

fn store_clock(clock: Clock) -> StoredClock {
    StoredClock { boot_ms: clock.boot_ms, real_ms: clock.real_ms }
}

fn clock(stored: Option<StoredClock>) -> Result<Clock, String> {
    let stored = stored.ok_or("a clock reading is missing")?;
    Ok(Clock { boot_ms: stored.boot_ms, real_ms: stored.real_ms })
}

fn store_pod(pod: &PodRecord) -> StoredPod {
    StoredPod {
        epoch: pod.epoch.0,
        serial: pod.serial,
        index: pod.index,
        slot: pod.slot,
        generation: pod.generation,
        node: pod.node,
        gpus: pod.gpus.clone(),
        created: Some(store_clock(pod.created)),
    }
}

fn load_pod(pod: StoredPod) -> Result<PodRecord, String> {
    Ok(PodRecord {
        epoch: Epoch(pod.epoch),
        serial: pod.serial,
        index: pod.index,
        slot: pod.slot,
        generation: pod.generation,
        node: pod.node,
        created: clock(pod.created)?,
        gpus: pod.gpus,
    })
}

fn store_outcome(epoch: Epoch, outcome: &AttemptOutcome, exit_code: Option<i32>) -> StoredEnding {
    let (number, why) = match outcome {
        AttemptOutcome::Succeeded => (0, None),
        AttemptOutcome::Failed(why) => (1, Some(why)),
        AttemptOutcome::Stopped => (2, None),
        AttemptOutcome::Fenced => (3, None),
        AttemptOutcome::Lost => (4, None),
    };
    StoredEnding {
        epoch: epoch.0,
        outcome: number,
        reason: why.map(|why| why.reason.to_string()).unwrap_or_default(),
        message: why.map(|why| why.message.to_string()).unwrap_or_default(),
        exit_code,
        ..StoredEnding::default()
    }
}

fn load_outcome(ending: StoredEnding) -> Result<AttemptOutcome, String> {
    Ok(match ending.outcome {
        0 => AttemptOutcome::Succeeded,
        1 => AttemptOutcome::Failed(FinishReason {
            reason: ending.reason.into(),
            message: ending.message.into(),
        }),
        2 => AttemptOutcome::Stopped,
        3 => AttemptOutcome::Fenced,
        4 => AttemptOutcome::Lost,
        other => return Err(format!("outcome: {other} is not known to this version")),
    })
}

fn position<T: PartialEq + Copy>(all: &[T], value: T) -> u32 {
    let position = all.iter().position(|other| *other == value).expect("every value is in the table");
    u32::try_from(position).expect("the table is short")
}

fn at<T: Copy>(all: &[T], position: u32) -> Result<T, String> {
    let value = all.get(position as usize).copied();
    value.ok_or_else(|| format!("{position} is not known to this version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_record_comes_back() {
        let epoch = Epoch(5);
        let seen = Clock { boot_ms: 1, real_ms: 2 };
        let why = FinishReason { reason: "DeadlineExceeded".into(), message: "too long".into() };
        let mut records = vec![
            Record::Life(Incarnation { folder: 1, boot: u128::MAX }),
            Record::Seen { uid: Uid(7), epoch },
            Record::Pod(PodRecord {
                epoch,
                serial: 1,
                index: Some(0),
                slot: 2,
                generation: 1,
                node: 3,
                gpus: vec![0, 7],
                created: seen,
            }),
            Record::Taken { epoch },
            Record::Forgotten { epoch },
        ];
        for reason in REASONS {
            let end = PodEnd {
                started: None,
                finished: TimeMs(9),
                exit_code: Some(-1),
                exits: vec![ContainerExit { container: Some("main".into()), code: -1 }],
                signal: Some(9),
                reason,
                message: "m".into(),
            };
            records.push(Record::PodEnded { epoch, serial: 1, end, seen });
        }
        use AttemptOutcome::{Failed, Fenced, Lost, Stopped, Succeeded};
        for outcome in [Succeeded, Failed(why), Stopped, Fenced, Lost] {
            let ended = Ended { outcome: outcome.clone(), exit_code: None, at: TimeMs(1) };
            records.push(Record::Ended { epoch, ended });
            let ending = Ending { outcome, exit_code: Some(3), stop: PodStop::Fenced, grace_ms: 4 };
            records.push(Record::Ending { epoch, ending });
        }
        for record in records {
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
    }
}
