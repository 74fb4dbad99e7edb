//! Everything that a member sends over its stream.

use bytes::Bytes;
use muster_model::{DataReport, Epoch, EventSeverity, Hello, Key, ToHub, Uid};

use super::field::{
    FieldError, UNKNOWN_VALUE, convert, convert_all, id_bytes, log_forms, nonempty, required, uid,
};
use super::pb;
use super::pb::member_message::Body;
use super::pod::PodUpdates;
use crate::log::forms;

/// Member to hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberMessage {
    /// What the machines of both sides say to each other.
    ToHub(ToHub),
    /// Pods, for people.
    Pods(PodUpdates),
    /// A part of the answer to a request.
    Chunk(StreamChunk),
    /// Something that people should see at a job.
    Note(JobNote),
}

/// A part of the answer to a request of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamChunk {
    /// The request's number.
    pub request: u64,
    /// Bytes; may be empty on the last one.
    pub data: Bytes,
    /// Whether it is the last one.
    pub eof: bool,
    /// Why the request failed; only on the last one.
    pub error: Option<StreamError>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// For programs.
    pub code: StreamErrorCode,
    /// For people.
    pub message: String,
}

/// Why a request failed, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamErrorCode {
    /// No such pod here: 404.
    NotFound,
    /// The pod has no such container, or an option is wrong: 400.
    BadRequest,
    /// Too many requests are open: 429.
    TooMany,
    /// The member could not do it: 500.
    Internal,
}

/// Something that people should see at a job: becomes an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobNote {
    /// The job.
    pub job: Key,
    /// Its uid.
    pub uid: Uid,
    /// The attempt.
    pub epoch: Epoch,
    /// One word.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// How grave.
    pub severity: EventSeverity,
}

impl From<&MemberMessage> for pb::MemberMessage {
    fn from(message: &MemberMessage) -> Self {
        let body = match message {
            MemberMessage::ToHub(ToHub::Hello(hello)) => Body::Hello(pb::Hello {
                capacity: Some((&hello.capacity).into()),
                attempts: hello.attempts.iter().map(Into::into).collect(),
            }),
            MemberMessage::ToHub(ToHub::Heartbeat { seq }) => Body::Heartbeat(pb::Heartbeat { seq: *seq }),
            MemberMessage::ToHub(ToHub::Reports { seq, reports }) => {
                Body::Reports(pb::Reports { seq: *seq, reports: reports.iter().map(Into::into).collect() })
            }
            MemberMessage::ToHub(ToHub::Capacity(capacity)) => Body::Capacity(capacity.into()),
            MemberMessage::ToHub(ToHub::Data(report)) => Body::Data(pb::DataReport {
                copies: forms(&report.copies),
                transfers: forms(&report.transfers),
            }),
            MemberMessage::Pods(updates) => Body::Pods(updates.into()),
            MemberMessage::Chunk(chunk) => Body::Chunk(chunk.into()),
            MemberMessage::Note(note) => Body::Note(note.into()),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<pb::MemberMessage> for MemberMessage {
    type Error = FieldError;

    fn try_from(message: pb::MemberMessage) -> Result<Self, FieldError> {
        let inside = |outer: &'static str| move |error: FieldError| error.inside(outer);
        Ok(match required(message.body, "body")? {
            Body::Fragment(_) => return Err(FieldError::new("fragment", "must be put together first")),
            Body::Hello(hello) => {
                MemberMessage::ToHub(ToHub::Hello(hello.try_into().map_err(inside("hello"))?))
            }
            Body::Heartbeat(heartbeat) => MemberMessage::ToHub(ToHub::Heartbeat { seq: heartbeat.seq }),
            Body::Reports(reports) => MemberMessage::ToHub(ToHub::Reports {
                seq: reports.seq,
                reports: convert_all(reports.reports, "reports.reports")?,
            }),
            Body::Capacity(capacity) => {
                MemberMessage::ToHub(ToHub::Capacity(capacity.try_into().map_err(inside("capacity"))?))
            }
            Body::Data(report) => MemberMessage::ToHub(ToHub::Data(DataReport {
                copies: log_forms(report.copies, "data.copies")?,
                transfers: log_forms(report.transfers, "data.transfers")?,
            })),
            Body::Pods(updates) => MemberMessage::Pods(updates.try_into().map_err(inside("pods"))?),
            Body::Chunk(chunk) => MemberMessage::Chunk(chunk.try_into().map_err(inside("chunk"))?),
            Body::Note(note) => MemberMessage::Note(note.try_into().map_err(inside("note"))?),
        })
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = FieldError;

    fn try_from(hello: pb::Hello) -> Result<Self, FieldError> {
        let capacity: muster_model::CapacityChange = convert(hello.capacity, "capacity")?;
        Ok(Self {
            incarnation: capacity.incarnation.clone(),
            capacity,
            attempts: convert_all(hello.attempts, "attempts")?,
        })
    }
}

impl From<&StreamChunk> for pb::StreamChunk {
    fn from(chunk: &StreamChunk) -> Self {
        let error = chunk.error.as_ref().map(Into::into);
        Self { request: chunk.request, data: chunk.data.clone(), eof: chunk.eof, error }
    }
}

impl TryFrom<pb::StreamChunk> for StreamChunk {
    type Error = FieldError;

    fn try_from(chunk: pb::StreamChunk) -> Result<Self, FieldError> {
        let error = chunk.error.map(StreamError::try_from).transpose().map_err(|e| e.inside("error"))?;
        Ok(Self { request: chunk.request, data: chunk.data, eof: chunk.eof, error })
    }
}

impl From<&StreamError> for pb::StreamError {
    fn from(error: &StreamError) -> Self {
        let code = match error.code {
            StreamErrorCode::NotFound => pb::StreamErrorCode::NotFound,
            StreamErrorCode::BadRequest => pb::StreamErrorCode::BadRequest,
            StreamErrorCode::TooMany => pb::StreamErrorCode::TooMany,
            StreamErrorCode::Internal => pb::StreamErrorCode::Internal,
        };
        Self { code: code.into(), message: error.message.clone() }
    }
}

impl TryFrom<pb::StreamError> for StreamError {
    type Error = FieldError;

    fn try_from(error: pb::StreamError) -> Result<Self, FieldError> {
        let code = match error.code() {
            pb::StreamErrorCode::NotFound => StreamErrorCode::NotFound,
            pb::StreamErrorCode::BadRequest => StreamErrorCode::BadRequest,
            pb::StreamErrorCode::TooMany => StreamErrorCode::TooMany,
            pb::StreamErrorCode::Internal => StreamErrorCode::Internal,
            pb::StreamErrorCode::Unspecified => return Err(FieldError::new("code", UNKNOWN_VALUE)),
        };
        Ok(Self { code, message: error.message })
    }
}

impl From<&JobNote> for pb::JobNote {
    fn from(note: &JobNote) -> Self {
        Self {
            job: Some((&note.job).into()),
            uid: id_bytes(note.uid.0),
            epoch: note.epoch.0,
            reason: note.reason.clone(),
            message: note.message.clone(),
            warning: note.severity == EventSeverity::Warning,
        }
    }
}

impl TryFrom<pb::JobNote> for JobNote {
    type Error = FieldError;

    fn try_from(note: pb::JobNote) -> Result<Self, FieldError> {
        Ok(Self {
            job: convert(note.job, "job")?,
            uid: uid(&note.uid, "uid")?,
            epoch: Epoch(note.epoch),
            reason: nonempty(note.reason, "reason")?,
            message: note.message,
            severity: if note.warning { EventSeverity::Warning } else { EventSeverity::Normal },
        })
    }
}
