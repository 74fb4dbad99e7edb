//! S5: an attempt is stopped or fenced before the hub may start the next.
//!
//! Once an entry ends an attempt, no pod of it runs, and none starts. A pod is never asked for after its deadline. A
//! deadline that passed is final: the member starts nothing of that epoch again, and no acknowledgement names a grant whose
//! lapse was proposed.

use std::collections::{BTreeMap, BTreeSet};

use muster_member_machine::Record;
use muster_model::{AttemptOutcome, Epoch, Job, Key, PartitionPolicy};

use super::{JobChange, LivePod, Violation, note};

/// Attempts that are over for the hub.
#[derive(Debug, Default)]
pub struct FenceBeforeGrant {
    over: BTreeMap<Epoch, Key>,
    /// Fenced, as a member's journal has it.
    fenced: BTreeSet<Epoch>,
}

impl FenceBeforeGrant {
    /// An entry changed a job; these pods run.
    pub(crate) fn changed(&mut self, change: JobChange<'_>, live: &[LivePod], found: &mut Vec<Violation>) {
        let attempt = |job: Option<&Job>| job.and_then(|job| job.attempt.clone());
        let (Some(old), new) = (attempt(change.old_job()), attempt(change.new_job())) else { return };
        let duplicates = old.assignment.policy.partition == PartitionPolicy::DuplicateOk;
        if new.is_some_and(|new| new.epoch == old.epoch) || duplicates {
            return;
        }
        self.over.insert(old.epoch, change.key.clone());
        if let Some(pod) = live.iter().find(|pod| pod.id.epoch == old.epoch) {
            let seen = format!(
                "{} epoch {:x} is over for the hub while its pod {} runs on member {}",
                change.key, old.epoch.0, pod.id.serial, pod.member
            );
            note(found, "S5", seen);
        }
    }

    /// A pod begins to run.
    pub fn started(&self, pod: &LivePod, found: &mut Vec<Violation>) {
        if let Some(job) = self.over.get(&pod.id.epoch) {
            let seen =
                format!("{job} epoch {:x} starts on member {} after its end", pod.id.epoch.0, pod.member);
            note(found, "S5", seen);
        }
    }

    /// A member's journal has this record.
    pub fn recorded(&mut self, record: &Record) {
        if let Record::Ending { epoch, ending } = record
            && ending.outcome == AttemptOutcome::Fenced
        {
            self.fenced.insert(*epoch);
        }
    }

    /// A member's backend is asked to start a pod.
    pub fn asked_for(&self, member: usize, epoch: Epoch, found: &mut Vec<Violation>) {
        if self.fenced.contains(&epoch) {
            note(found, "S5", format!("member {member} starts epoch {:x} again, which it fenced", epoch.0));
        }
    }

    /// A leader that proposed the lapse of `lapsed` acknowledges a heartbeat.
    pub fn acknowledged(lapsed: &BTreeSet<Epoch>, named: &[Epoch], found: &mut Vec<Violation>) {
        if let Some(epoch) = named.iter().find(|epoch| lapsed.contains(epoch)) {
            note(
                found,
                "S5",
                format!("an acknowledgement renews epoch {:x}, whose lapse was proposed", epoch.0),
            );
        }
    }

    /// Attempts that are over: their orders are of the past.
    pub fn is_over(&self, epoch: Epoch) -> bool {
        self.over.contains_key(&epoch)
    }
}
