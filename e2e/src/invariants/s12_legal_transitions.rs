//! S12: only legal transitions; terminal is final; retries are bounded.
//!
//! ```text
//!  (new) -> Suspended | Queued | Finished (nothing to do)
//!  Suspended -> Queued | Finished      Queued -> Reserved | Active | Suspended | Finished
//!  Reserved -> Queued | Active | Suspended | Finished
//!  Active -> Queued | Suspended | Finished      Finished -> nothing but removal
//! ```
//!
//! An attempt begins granted, runs, is stopped, and ends; none takes another's place without an end between them.

use muster_model::{AttemptState, Job, JobPhase, Key};

use super::{JobChange, Violation, note};

/// An entry changed a job.
pub(crate) fn check_transition(change: JobChange<'_>, found: &mut Vec<Violation>) {
    let Some(new) = change.new_job() else { return };
    let old = change.old_job();
    if !is_legal(old, new) {
        let seen = format!("{} went from {} to {}", change.key, phase_of(old), phase_of(Some(new)));
        note(found, "S12", seen);
    }
    if let Some(old) = old {
        check_attempts(change.key, old, new, found);
    }
    if !new.is_finished() && new.pods.failed > most_failures(new) {
        let seen = format!(
            "{} goes on after {} failures, {} are allowed",
            change.key,
            new.pods.failed,
            most_failures(new)
        );
        note(found, "S12", seen);
    }
}

fn is_legal(old: Option<&Job>, new: &Job) -> bool {
    use JobPhase::{Active, Finished, Reserved, Suspended};
    let Some(old) = old else {
        return !matches!(new.phase, Active | Reserved(_)) && new.attempt.is_none();
    };
    match (&old.phase, &new.phase) {
        (Finished(before), Finished(after)) => before == after && new.attempt.is_none(),
        (Finished(_), _) | (Suspended, Active | Reserved(_)) | (Active, Reserved(_)) => false,
        _ => true,
    }
}

fn check_attempts(key: &Key, old: &Job, new: &Job, found: &mut Vec<Violation>) {
    use AttemptState::{Granted, Running, Stopping};
    let granted = match (old.attempt.as_deref(), new.attempt.as_deref()) {
        (Some(before), Some(after)) if before.epoch == after.epoch => {
            let goes_back = matches!(
                (before.state, after.state),
                (Running { .. }, Granted) | (Stopping { .. }, Granted | Running { .. })
            );
            if goes_back {
                note(
                    found,
                    "S12",
                    format!("the attempt of {key} went back from {:?} to {:?}", before.state, after.state),
                );
            }
            0
        }
        (Some(before), Some(after)) => {
            let seen =
                format!("{key} got epoch {:x} while {:x} had not ended", after.epoch.0, before.epoch.0);
            note(found, "S12", seen);
            1
        }
        (None, Some(_)) => 1,
        (_, None) => 0,
    };
    if new.attempts != old.attempts + granted {
        let seen = format!("{key} counts {} attempts after {}", new.attempts, old.attempts);
        note(found, "S12", seen);
    }
}

/// The limit, and one more for each pod that may have run when it was reached.
fn most_failures(job: &Job) -> u32 {
    let at_once: u32 = job.spec.pod_sets.iter().map(|set| set.count).sum();
    job.spec.backoff_limit.saturating_add(at_once)
}

fn phase_of(job: Option<&Job>) -> &'static str {
    match job.map(|job| &job.phase) {
        None => "nothing",
        Some(JobPhase::Suspended) => "Suspended",
        Some(JobPhase::Queued) => "Queued",
        Some(JobPhase::Reserved(_)) => "Reserved",
        Some(JobPhase::Active) => "Active",
        Some(JobPhase::Finished(_)) => "Finished",
    }
}
