//! What people were told.

use std::sync::Arc;

use muster_model::TimeMs;
use muster_model::{EventSeverity, EventSpec, Key, Revision, Uid};
use prost::Message;

use super::{RecordError, bytes_of, pb};

/// An event as of a revision: one that happens again is told again, with a higher count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The revision of the change.
    pub revision: Revision,
    /// The event's namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What it says.
    pub event: EventSpec,
}

/// The bytes of an event.
pub fn encode_event(told: &Told) -> Vec<u8> {
    let event = &told.event;
    let form = pb::EventRecord {
        revision: told.revision.0,
        time_ms: event.last.0,
        namespace: told.namespace.to_string(),
        name: told.name.to_string(),
        kind: event.involved.kind.as_str().to_owned(),
        involved_namespace: event.involved.namespace.to_string(),
        involved_name: event.involved.name.to_string(),
        involved_uid: event.involved_uid.0.to_be_bytes().to_vec(),
        reason: event.reason.to_string(),
        message: event.message.to_string(),
        warning: event.severity == EventSeverity::Warning,
        count: event.count,
        first_ms: event.first.0,
        source: event.source.to_string(),
    };
    form.encode_to_vec()
}

/// The event of these bytes.
///
/// # Errors
/// Bytes that are none.
pub fn decode_event(bytes: &[u8]) -> Result<Told, RecordError> {
    let form = pb::EventRecord::decode(bytes).map_err(RecordError::Malformed)?;
    let event = EventSpec {
        involved: Key::new(&form.kind, &form.involved_namespace, &form.involved_name),
        involved_uid: Uid(u128::from_be_bytes(bytes_of("involved_uid", &form.involved_uid)?)),
        reason: form.reason.into(),
        message: form.message.into(),
        severity: if form.warning { EventSeverity::Warning } else { EventSeverity::Normal },
        count: form.count,
        first: TimeMs(form.first_ms),
        last: TimeMs(form.time_ms),
        source: form.source.into(),
    };
    Ok(Told {
        revision: Revision(form.revision),
        namespace: form.namespace.into(),
        name: form.name.into(),
        event,
    })
}
