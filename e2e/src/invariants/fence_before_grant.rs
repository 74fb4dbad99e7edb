//! S5: an attempt is stopped or fenced before the hub may start the next.
//!
//! Once an entry ends an attempt, no pod of it runs, and none starts. A pod is never asked for after its deadline.

use std::collections::BTreeMap;

use muster_model::{Epoch, Job, Key, PartitionPolicy};

use super::{JobChange, LivePod, Violation, note};

/// Attempts that are over for the hub.
#[derive(Debug, Default)]
pub struct FenceBeforeGrant {
    over: BTreeMap<Epoch, Key>,
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

    /// Attempts that are over: their orders are of the past.
    pub fn is_over(&self, epoch: Epoch) -> bool {
        self.over.contains_key(&epoch)
    }
}
