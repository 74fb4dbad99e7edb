//! S2: no phantom, no double submit.
//!
//! Each job in the log comes from a submit that a client made, and each submit makes one job, however often it was
//! retried. A client that retries under its idempotency key is never told that somebody else has the name.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{DocumentHash, Key};

use super::{JobChange, Violation, note};

/// Submits and what they made.
#[derive(Debug, Default)]
pub struct NoDoubleSubmit {
    submitted: BTreeSet<DocumentHash>,
    made: BTreeMap<DocumentHash, Key>,
}

impl NoDoubleSubmit {
    /// A client begins to submit under this key.
    pub fn submitted(&mut self, key: DocumentHash) {
        self.submitted.insert(key);
    }

    /// A client was told that the name of its submit is taken, though nobody else uses it.
    pub fn refused_as_taken(&mut self, key: &Key, found: &mut Vec<Violation>) {
        note(found, "S2", format!("the retry of {key} was refused as if it were another job"));
    }

    /// An entry changed a job.
    pub(crate) fn changed(&mut self, change: JobChange<'_>, found: &mut Vec<Violation>) {
        let (None, Some(object)) = (change.old, change.new) else { return };
        let Some(submit) = object.meta.idempotency.filter(|submit| self.submitted.contains(submit)) else {
            return note(found, "S2", format!("{} was made; no client submitted it", change.key));
        };
        if let Some(first) = self.made.insert(submit, change.key.clone()) {
            note(found, "S2", format!("one submit made {first} and {}", change.key));
        }
    }
}
