//! Events for people. One that happens again is counted, as Kubernetes' event correlator does; all go after an hour.

use std::sync::Arc;

use muster_model::{
    Answer, Document, EventSeverity, EventSpec, Key, Meta, Object, Rejection, Revision, Status, Uid, kinds,
};

use super::Step;
use crate::by_key::ByKey;
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

    /// Tells something about an object that was just created: nothing was told of it before.
    pub(super) fn note_created(&mut self, object: &Object, reason: &str, message: &str) {
        let first = self.first_event(object, (reason, message), EventSeverity::Normal, "muster");
        self.tell(object, None, Box::new(first));
    }

    fn note_from(
        &mut self,
        object: &Object,
        reason: &str,
        message: &str,
        severity: EventSeverity,
        source: &str,
    ) {
        let again = self.told_before(object, (reason, message), source);
        let event = match again.as_ref().map(|object| &object.status) {
            Some(Status::Event(event)) => event.clone(),
            _ => Box::new(self.first_event(object, (reason, message), severity, source)),
        };
        self.tell(object, again, event);
    }

    /// Stores the event as one that happened once more: in place of `again`, or as a new one.
    fn tell(&mut self, object: &Object, again: Option<Arc<Object>>, mut event: Box<EventSpec>) {
        event.count += 1;
        event.last = self.time;
        let (key, meta) = match again {
            Some(object) => (object.key.clone(), object.meta.clone()),
            None => {
                // By revision: a list of an object's events is in the order in which they happened, whatever the second.
                let name = format!("{}.{:016x}", object.key.name, self.next_revision().0);
                let hash = hash128(&(object.meta.uid, &*event.reason, &*event.message, &*event.source));
                (Key::new(kinds::EVENT, namespace_of(object), &name), self.event_meta(hash))
            }
        };
        self.store(Object { key, meta, document: Document::default(), status: Status::Event(event) });
        self.bound_events();
    }

    /// The event that said the same of this object. An object has few: they go after an hour.
    fn told_before(
        &self,
        object: &Object,
        (reason, message): (&str, &str),
        source: &str,
    ) -> Option<Arc<Object>> {
        let namespace = namespace_of(object);
        let first = Key::new(kinds::EVENT, namespace, &format!("{}.", object.key.name));
        let its_own = self.state.list(&first.kind, Some(namespace), Some(&first));
        let its_own = its_own.take_while(|found| found.key.name.starts_with(&*first.name));
        let mut its_own = its_own.filter(|found| match &found.status {
            Status::Event(event) => {
                event.involved_uid == object.meta.uid
                    && (&*event.reason, &*event.message, &*event.source) == (reason, message, source)
            }
            _ => false,
        });
        its_own.next().cloned()
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
        let oldest =
            self.state.indexes.expiry.iter().find(|(_, object)| object.0.key.is(kinds::EVENT)).cloned();
        if let Some((_, ByKey(event))) = oldest {
            self.remove(&event.key);
        }
    }
}

/// Where the events of an object are: with it, or in `default`.
fn namespace_of(object: &Object) -> &str {
    if object.key.namespace.is_empty() { "default" } else { &object.key.namespace }
}
