//! Everything that the hub sends over a member's stream.

use std::sync::Arc;

use bytes::Bytes;
use muster_model::{DesiredAttempt, Epoch, FaultOrder, Revision, TimeMs, ToMember, Uid};

use super::documents::AttemptDocuments;
use super::exec::ExecRequest;
use super::field::{FieldError, convert_all, id_bytes, log_forms, nonempty, required, uid};
use super::pb;
use super::pb::hub_message::Body;
use crate::log::forms;

/// Hub to member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubMessage {
    /// What the machines of both sides say to each other.
    ToMember(ToMember),
    /// Send a pod's log, in chunks of this request's number.
    Log(LogRequest),
    /// Nobody waits for the answer to this request any more.
    Cancel {
        /// Its number.
        request: u64,
    },
    /// The hub no longer has these jobs: their pods and logs may go. Sent when a job goes, and again when a mirrored pod
    /// is of a job that is not there, so that a lost message does not matter.
    ForgetJobs {
        /// The jobs.
        uids: Vec<Uid>,
    },
    /// Faults that shall be in effect at the member itself, or shall not any more. What is not named is not changed.
    Faults(Vec<FaultOrder>),
    /// This replica does not lead: dial one of these instead, best first.
    LeaderHint {
        /// `HOST:PORT` of agent ports.
        addresses: Vec<String>,
    },
    /// Run a command in a pod: dial an exec call for it.
    Exec(ExecRequest),
    /// What the templates of these attempts name. Sent before the attempts themselves, and again when it changes.
    Documents(Vec<AttemptDocuments>),
    /// The hub's authorities changed: renew the certificate now, and open a new session with it. Said again until a
    /// session shows such a certificate.
    RenewNow,
}

/// A pod's log, as `PodLogOptions` of the Kubernetes API asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Chosen by the hub, unique in a session.
    pub request: u64,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Which container; none means the only one.
    pub container: Option<String>,
    /// Whether to go on until the pod has ended.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only what is not older. `sinceSeconds` is made a time by the hub.
    pub since: Option<TimeMs>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
    /// The most bytes to return.
    pub limit_bytes: Option<u64>,
}

impl From<&HubMessage> for pb::HubMessage {
    fn from(message: &HubMessage) -> Self {
        let body = match message {
            HubMessage::ToMember(message) => to_member(message),
            HubMessage::Log(request) => Body::Log(request.into()),
            HubMessage::Cancel { request } => Body::Cancel(pb::CancelRequest { request: *request }),
            HubMessage::ForgetJobs { uids } => {
                Body::Forget(pb::ForgetJobs { uids: uids.iter().map(|uid| id_bytes(uid.0)).collect() })
            }
            HubMessage::Faults(orders) => {
                Body::Faults(pb::FaultOrders { orders: orders.iter().map(Into::into).collect() })
            }
            HubMessage::LeaderHint { addresses } => {
                Body::Leader(pb::LeaderHint { addresses: addresses.clone() })
            }
            HubMessage::Exec(request) => Body::Exec(request.into()),
            HubMessage::Documents(attempts) => {
                Body::Documents(pb::DesiredDocuments { attempts: attempts.iter().map(Into::into).collect() })
            }
            HubMessage::RenewNow => Body::Renew(pb::RenewNow {}),
        };
        Self { body: Some(body) }
    }
}

fn to_member(message: &ToMember) -> Body {
    let attempts = |all: &[Arc<DesiredAttempt>]| all.iter().map(|attempt| (&**attempt).into()).collect();
    match message {
        ToMember::Ack { seq, epochs } => {
            Body::Ack(pb::Ack { seq: *seq, epochs: epochs.iter().map(|epoch| epoch.0).collect() })
        }
        ToMember::Full { revision, attempts: all } => {
            Body::Full(pb::Full { revision: revision.0, attempts: attempts(all) })
        }
        ToMember::Delta { revision, changed, gone } => Body::Delta(pb::Delta {
            revision: revision.0,
            changed: attempts(changed),
            gone: gone.iter().map(|epoch| epoch.0).collect(),
        }),
        ToMember::ReportsTaken { seq } => Body::ReportsTaken(pb::ReportsTaken { seq: *seq }),
        ToMember::Close { reason } => Body::Close(pb::Close { reason: reason.to_string() }),
        ToMember::Transfers { orders } => Body::Transfers(pb::TransferOrders { orders: forms(orders) }),
    }
}

impl TryFrom<pb::HubMessage> for HubMessage {
    type Error = FieldError;

    fn try_from(message: pb::HubMessage) -> Result<Self, FieldError> {
        let epochs = |epochs: Vec<u64>| epochs.into_iter().map(Epoch).collect();
        let to_member = match required(message.body, "body")? {
            Body::Fragment(_) => return Err(FieldError::new("fragment", "must be put together first")),
            Body::Log(request) => {
                return request.try_into().map(HubMessage::Log).map_err(|e: FieldError| e.inside("log"));
            }
            Body::Cancel(cancel) => return Ok(HubMessage::Cancel { request: cancel.request }),
            Body::Leader(hint) => return Ok(HubMessage::LeaderHint { addresses: hint.addresses }),
            Body::Faults(faults) => {
                return convert_all(faults.orders, "faults.orders").map(HubMessage::Faults);
            }
            Body::Renew(pb::RenewNow {}) => return Ok(HubMessage::RenewNow),
            Body::Forget(forget) => return forget_jobs(&forget.uids),
            Body::Exec(request) => {
                return request.try_into().map(HubMessage::Exec).map_err(|e: FieldError| e.inside("exec"));
            }
            Body::Documents(documents) => {
                return convert_all(documents.attempts, "documents.attempts").map(HubMessage::Documents);
            }
            Body::Ack(ack) => ToMember::Ack { seq: ack.seq, epochs: epochs(ack.epochs) },
            Body::Full(full) => ToMember::Full {
                revision: Revision(full.revision),
                attempts: desired(full.attempts, "full.attempts")?,
            },
            Body::Delta(delta) => ToMember::Delta {
                revision: Revision(delta.revision),
                changed: desired(delta.changed, "delta.changed")?,
                gone: epochs(delta.gone),
            },
            Body::ReportsTaken(taken) => ToMember::ReportsTaken { seq: taken.seq },
            Body::Close(close) => ToMember::Close { reason: close.reason.into() },
            Body::Transfers(all) => {
                ToMember::Transfers { orders: log_forms(all.orders, "transfers.orders")? }
            }
        };
        Ok(HubMessage::ToMember(to_member))
    }
}

fn forget_jobs(uids: &[Bytes]) -> Result<HubMessage, FieldError> {
    let read = |(i, bytes): (usize, &Bytes)| uid(bytes, &format!("forget.uids[{i}]"));
    let uids = uids.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(HubMessage::ForgetJobs { uids })
}

fn desired(attempts: Vec<pb::DesiredAttempt>, field: &str) -> Result<Vec<Arc<DesiredAttempt>>, FieldError> {
    Ok(convert_all(attempts, field)?.into_iter().map(Arc::new).collect())
}

impl From<&LogRequest> for pb::LogRequest {
    fn from(request: &LogRequest) -> Self {
        Self {
            request: request.request,
            namespace: request.namespace.clone(),
            pod: request.pod.clone(),
            container: request.container.clone(),
            follow: request.follow,
            tail_lines: request.tail_lines,
            since_ms: request.since.map(|time| time.0),
            timestamps: request.timestamps,
            limit_bytes: request.limit_bytes,
        }
    }
}

impl TryFrom<pb::LogRequest> for LogRequest {
    type Error = FieldError;

    fn try_from(request: pb::LogRequest) -> Result<Self, FieldError> {
        Ok(Self {
            request: request.request,
            namespace: nonempty(request.namespace, "namespace")?,
            pod: nonempty(request.pod, "pod")?,
            container: request.container,
            follow: request.follow,
            tail_lines: request.tail_lines,
            since: request.since_ms.map(TimeMs),
            timestamps: request.timestamps,
            limit_bytes: request.limit_bytes,
        })
    }
}
