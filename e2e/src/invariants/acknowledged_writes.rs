//! S1: an acknowledged write is never lost.
//!
//! A job whose creation was acknowledged is there on every replica after healing, with the uid that was acknowledged,
//! unless somebody asked to delete it or its time to live passed. The last acknowledged suspend or resume holds.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::State;
use muster_model::{JobPhase, Key, TimeMs, Uid};

use super::{JobChange, Violation, note};

/// What clients were told.
#[derive(Debug, Default)]
pub struct AcknowledgedWrites {
    created: BTreeMap<Key, Uid>,
    delete_asked: BTreeSet<Key>,
    removed: BTreeSet<Key>,
    suspended: BTreeMap<Key, bool>,
}

impl AcknowledgedWrites {
    /// A client was told that this job is there.
    pub fn created(&mut self, key: &Key, uid: Uid) {
        self.created.insert(key.clone(), uid);
    }

    /// A client is about to ask for the end of this job.
    pub fn delete_asked(&mut self, key: &Key) {
        self.delete_asked.insert(key.clone());
    }

    /// A client was told that the job is suspended or not; `None`: it gave up asking, so either may be.
    pub fn suspended(&mut self, key: &Key, suspended: Option<bool>) {
        match suspended {
            Some(suspended) => drop(self.suspended.insert(key.clone(), suspended)),
            None => drop(self.suspended.remove(key)),
        }
    }

    /// How many creations were acknowledged.
    pub fn count(&self) -> usize {
        self.created.len()
    }

    /// An entry changed a job.
    pub(crate) fn changed(&mut self, change: JobChange<'_>, time: TimeMs, found: &mut Vec<Violation>) {
        let (Some(old), None) = (change.old_job(), change.new) else { return };
        self.removed.insert(change.key.clone());
        let expired = match (&old.phase, old.spec.ttl_after_finished) {
            (JobPhase::Finished(finish), Some(ttl)) => finish.at.plus(ttl) <= time,
            _ => false,
        };
        if !expired && !self.delete_asked.contains(change.key) {
            note(found, "S1", format!("{} was removed; nobody asked for it", change.key));
        }
    }

    /// After healing.
    pub fn check(&self, replica: usize, state: &State, found: &mut Vec<Violation>) {
        for (key, uid) in self.created.iter().filter(|(key, _)| !self.removed.contains(*key)) {
            let Some(object) = state.get(key) else {
                note(found, "S1", format!("{key} was acknowledged; replica {replica} does not have it"));
                continue;
            };
            if object.meta.uid != *uid {
                note(found, "S1", format!("{key} was acknowledged as {uid}, it is {}", object.meta.uid));
            }
            let suspended = object.job().map(|job| job.spec.suspend);
            if let Some(told) = self.suspended.get(key)
                && suspended != Some(*told)
            {
                note(found, "S1", format!("{key}: suspend {told} was acknowledged, it is {suspended:?}"));
            }
        }
    }
}
