//! Events for people. One that happens again is counted, as Kubernetes' event correlator does; all go after an hour.

use std::sync::Arc;

use muster_model::{
    Answer, Document, EventSeverity, EventSpec, Key, Meta, Object, Rejection, Revision, Status, Uid, kinds,
};

use super::Step;
use crate::digest::hash128;

/// Events kept at most; past it, the oldest go first. About 0.6 kB each.
const EVENTS_MAX: u64 = 200_000;

impl Step<'_> {
    /// Tells something about an object by its key.
    pub(super) fn note_object(
        &mut self,
        involved: &Key,
        reason: &Arc<str>,
        message: &Arc<str>,
        severity: EventSeverity,
        source: &Arc<str>,
    ) -> Result<Answer, Rejection> {
        let object = self.find(involved)?;
        self.note_from(&object, reason, message, severity, source);
        Ok(Answer::Done)
    }

    /// Tells something about an object.
    pub(super) fn note(&mut self, object: &Object, reason: &str, message: &str, severity: EventSeverity) {
        self.note_from(object, reason, message, severity, "muster");
    }

    fn note_from(
        &mut self,
        object: &Object,
        reason: &str,
        message: &str,
        severity: EventSeverity,
        source: &str,
    ) {
        let hash = hash128(&(object.meta.uid, reason, message, source));
        let namespace = if object.key.namespace.is_empty() { "default" } else { &object.key.namespace };
        let key = Key::new(kinds::EVENT, namespace, &format!("{}.{:016x}", object.key.name, hash as u64));
        let again = self.state.get(&key).cloned();
        let mut event = match again.as_ref().map(|object| &object.status) {
            Some(Status::Event(event)) => event.clone(),
            Some(_) => return,
            None => Box::new(self.first_event(object, (reason, message), severity, source)),
        };
        event.count += 1;
        event.last = self.time;
        let meta = again.map_or_else(|| self.event_meta(hash), |object| object.meta.clone());
        self.store(Object { key, meta, document: Document::default(), status: Status::Event(event) });
        self.bound_events();
    }

    fn first_event(
        &self,
        object: &Object,
        (reason, message): (&str, &str),
        severity: EventSeverity,
        source: &str,
    ) -> EventSpec {
        EventSpec {
            involved: object.key.clone(),
            involved_uid: object.meta.uid,
            reason: reason.into(),
            message: message.into(),
            severity,
            count: 0,
            first: self.time,
            last: self.time,
            source: source.into(),
        }
    }

    /// A uid that every replica derives alike: from the event's content and the revision that makes it.
    fn event_meta(&self, hash: u128) -> Meta {
        Meta {
            uid: Uid(hash128(&(hash, self.next_revision()))),
            created: self.time,
            generation: 0,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        }
    }

    fn bound_events(&mut self) {
        if self.state.count(&muster_model::Kind::new(kinds::EVENT)) <= EVENTS_MAX {
            return;
        }
        let oldest = self.state.indexes.expiry.iter().find(|(_, key)| key.is(kinds::EVENT)).cloned();
        if let Some((_, key)) = oldest {
            self.remove(&key);
        }
    }
}
