//! From what apply emits to what is kept: audit records, bookings with the labels of their job, and what people were told.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_kubeapi::kinds;
use muster_model::{AuditRecord, Booking, Event, Object, Revision, Status, kinds as kind_names};
use muster_proto::history::{Booked, Told, encode_audit, encode_booking, encode_event};

use super::stream::StreamName;

/// One record before it is encoded.
#[derive(Clone, Debug)]
pub enum Item {
    /// A link of the audit chain.
    Audited(AuditRecord),
    /// A line of the ledger, and the job as it was then.
    Booked(Box<Booking>, Option<Arc<Object>>),
    /// An event as of a revision.
    Told(Arc<Object>, Revision),
}

/// What is kept of the events of one entry.
pub fn items_of(events: &[Event], out: &mut Vec<Item>) {
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Audited(record) => out.push(Item::Audited(record.clone())),
            Event::Booked(booking) => {
                let job = job_of(booking, &events[at..]);
                out.push(Item::Booked(booking.clone(), job));
            }
            Event::Changed { key, new: Some(new), revision, .. } if key.is(kind_names::EVENT) => {
                out.push(Item::Told(Arc::clone(new), *revision));
            }
            Event::Changed { .. } => {}
        }
    }
}

/// The job of a booking: the end of an attempt changes its job in the same entry.
fn job_of(booking: &Booking, behind: &[Event]) -> Option<Arc<Object>> {
    behind.iter().find_map(|event| match event {
        Event::Changed { key, old, new, .. } if *key == booking.run.job => {
            let object = new.as_ref().or(old.as_ref())?;
            (object.meta.uid == booking.run.job_uid).then(|| Arc::clone(object))
        }
        _ => None,
    })
}

/// A record that is ready to be written.
pub struct Encoded {
    /// Where it goes.
    pub stream: StreamName,
    /// Its key.
    pub key: u64,
    /// When it happened.
    pub time_ms: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Item {
    /// The record; `None` for an event that a client made, which is kept for an hour as an object only.
    pub fn encode(&self) -> Option<Encoded> {
        match self {
            Item::Audited(record) => Some(Encoded {
                stream: StreamName::Audit,
                key: record.sequence,
                time_ms: record.time.0,
                payload: encode_audit(record),
            }),
            Item::Booked(booking, job) => {
                let labels = job.as_ref().map(|job| labels_of(job)).unwrap_or_default();
                let (key, time_ms) = (booking.sequence, booking.time.0);
                let payload = encode_booking(&Booked { booking: Booking::clone(booking), labels });
                Some(Encoded { stream: StreamName::Ledger, key, time_ms, payload })
            }
            Item::Told(object, revision) => {
                let Status::Event(event) = &object.status else { return None };
                let told = Told {
                    revision: *revision,
                    namespace: Arc::clone(&object.key.namespace),
                    name: Arc::clone(&object.key.name),
                    event: (**event).clone(),
                };
                let payload = encode_event(&told);
                Some(Encoded { stream: StreamName::Events, key: revision.0, time_ms: event.last.0, payload })
            }
        }
    }
}

fn labels_of(job: &Object) -> BTreeMap<Arc<str>, Arc<str>> {
    kinds::labels(job).into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}
