//! S6: whatever an old attempt still does is refused.
//!
//! At each grant a copy of the state is told that the job's previous attempt succeeded: the new one must not notice. On a
//! member no pod of an older epoch starts once a newer one of the job did.

use std::collections::BTreeMap;

use muster_core::State;
use muster_model::{
    AttemptOutcome, AttemptReport, Command, Entry, Epoch, Key, PodCounts, ReportedState, TimeMs, Uid,
};

use super::{JobChange, LivePod, Violation, note};

/// Epochs seen.
#[derive(Debug, Default)]
pub struct StaleEpochs {
    last: BTreeMap<Uid, Epoch>,
    newest_started: BTreeMap<(usize, Uid), Epoch>,
}

impl StaleEpochs {
    /// An entry changed a job, and gave this state.
    pub(crate) fn changed(&mut self, change: JobChange<'_>, after: &State, found: &mut Vec<Violation>) {
        let Some(object) = change.new else { return };
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        let uid = object.meta.uid;
        let previous = self.last.insert(uid, attempt.epoch).filter(|previous| *previous != attempt.epoch);
        let Some(previous) = previous else { return };
        if previous > attempt.epoch {
            note(
                found,
                "S6",
                format!("{} got epoch {:x} after {:x}", change.key, attempt.epoch.0, previous.0),
            );
        }
        let Some(incarnation) = attempt.incarnation.clone() else { return };
        let mut copy = after.clone();
        let command = Command::ReportAttempts {
            member: attempt.assignment.member.clone(),
            incarnation,
            reports: vec![late_report(change.key, uid, previous, after.time())],
        };
        copy.apply(&Entry { time: after.time(), command });
        let unmoved =
            copy.get(change.key).map(|object| &object.status) == after.get(change.key).map(|o| &o.status);
        if !unmoved {
            let seen =
                format!("{}: a report of epoch {:x} moved {:x}", change.key, previous.0, attempt.epoch.0);
            note(found, "S6", seen);
        }
    }

    /// A pod begins to run.
    pub fn started(&mut self, pod: &LivePod, found: &mut Vec<Violation>) {
        let newest = self.newest_started.entry((pod.member, pod.uid)).or_insert(pod.id.epoch);
        if *newest > pod.id.epoch {
            let seen = format!(
                "member {} starts epoch {:x} of job {} after {:x}",
                pod.member, pod.id.epoch.0, pod.uid, newest.0
            );
            note(found, "S6", seen);
        }
        *newest = pod.id.epoch.max(*newest);
    }
}

fn late_report(job: &Key, uid: Uid, epoch: Epoch, at: TimeMs) -> AttemptReport {
    AttemptReport {
        job: job.clone(),
        uid,
        epoch,
        state: ReportedState::Ended { outcome: AttemptOutcome::Succeeded, exit_code: Some(0), at },
        pods: PodCounts { succeeded: 1, ..PodCounts::default() },
        completed_indexes: "".into(),
        index_failures: muster_model::IndexFailures::default(),
    }
}
