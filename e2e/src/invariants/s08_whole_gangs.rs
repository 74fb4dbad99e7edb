//! S8: a gang is placed whole or not at all, and no reservation outlives its time.
//!
//! Each grant claims a place for every pod of every pod set. Once an entry has expired what was due, no reservation is left
//! whose time is up; at the end nothing is reserved beyond its time.

use std::collections::BTreeMap;

use muster_core::State;
use muster_model::{Command, Job, JobPhase, Key, TimeMs};

use super::{JobChange, Violation, note};

/// Reservations that stand.
#[derive(Debug, Default)]
pub struct WholeGangs {
    reserved: BTreeMap<Key, TimeMs>,
}

impl WholeGangs {
    /// An entry changed a job.
    pub(crate) fn changed(&mut self, change: JobChange<'_>, found: &mut Vec<Violation>) {
        match change.new_job().map(|job| &job.phase) {
            Some(JobPhase::Reserved(reservation)) => {
                self.reserved.insert(change.key.clone(), reservation.expires);
            }
            _ => drop(self.reserved.remove(change.key)),
        }
        let epoch = |job: Option<&Job>| job?.attempt.as_ref().map(|attempt| attempt.epoch);
        if let Some(job) = change.new_job()
            && epoch(Some(job)) != epoch(change.old_job())
        {
            check_whole(change.key, job, found);
        }
    }

    /// The whole entry is applied.
    pub fn after(&self, command: &Command, state: &State, found: &mut Vec<Violation>) {
        if let Command::Expire { limit } = command
            && self.reserved.len() < *limit as usize
        {
            self.check_expired(state, found);
        }
    }

    /// What is left of reservations whose time is up.
    pub fn check_expired(&self, state: &State, found: &mut Vec<Violation>) {
        let late = self.reserved.iter().find(|(_, expires)| **expires <= state.time());
        if let Some((key, expires)) = late {
            note(found, "S8", format!("the reservation of {key} should have been over at {expires}"));
        }
    }
}

fn check_whole(key: &Key, job: &Job, found: &mut Vec<Violation>) {
    let Some(attempt) = &job.attempt else { return };
    for (position, set) in job.spec.pod_sets.iter().enumerate() {
        let claims = attempt.assignment.claims.iter().filter(|claim| usize::from(claim.pod_set) == position);
        let placed: u64 = claims.map(|claim| u64::from(claim.pods)).sum();
        if placed != u64::from(set.count) {
            let seen = format!("{key} was granted {placed} of the {} pods of {}", set.count, set.name);
            note(found, "S8", seen);
        }
    }
}
