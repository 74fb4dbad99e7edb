//! S19: a member reports only on itself, and acts only on what it was given.
//!
//! An entry with a member's reports moves only jobs whose attempt was on that member. A member starts a pod only of an epoch
//! that the hub granted to it.

use std::collections::BTreeMap;

use muster_model::{Command, Epoch, MemberName};

use super::{JobChange, Violation, note};

/// Grants by epoch.
#[derive(Debug, Default)]
pub struct OwnWord {
    granted: BTreeMap<Epoch, MemberName>,
}

impl OwnWord {
    /// An entry changed a job.
    pub(crate) fn changed(&mut self, command: &Command, change: JobChange<'_>, found: &mut Vec<Violation>) {
        if let Some(attempt) = change.new_job().and_then(|job| job.attempt.as_deref()) {
            self.granted.entry(attempt.epoch).or_insert_with(|| attempt.assignment.member.clone());
        }
        let Command::ReportAttempts { member, reports, .. } = command else { return };
        let attempt = change.old_job().and_then(|job| job.attempt.as_deref());
        let is_reported = reports.iter().any(|report| report.job == *change.key);
        if let Some(attempt) = attempt.filter(|_| is_reported)
            && attempt.assignment.member != *member
        {
            let on = &attempt.assignment.member;
            note(found, "S19", format!("a report of {member} moved {}, which is on {on}", change.key));
        }
    }

    /// A member's backend is asked to start a pod of this epoch.
    pub fn asked_for(&self, member: &MemberName, epoch: Epoch, found: &mut Vec<Violation>) {
        if self.granted.get(&epoch) != Some(member) {
            let granted = self.granted.get(&epoch);
            let seen =
                format!("{member} starts a pod of epoch {:x}, which is granted to {granted:?}", epoch.0);
            note(found, "S19", seen);
        }
    }
}
