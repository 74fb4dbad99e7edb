//! The life of a job as far as its own spec moves it: created, suspended, resumed, deleted.

use std::sync::Arc;

use muster_model::{AttemptState, EventSeverity, Job, JobPhase, Object, Status, StopReason, TimeMs};

use super::Step;

/// Asks for the end of the job's attempt, if it has one that nobody asked to end. A deletion goes before other reasons.
pub(super) fn stop(job: &mut Job, reason: StopReason, now: TimeMs) {
    let Some(attempt) = &mut job.attempt else { return };
    let started = match attempt.state {
        AttemptState::Granted => None,
        AttemptState::Running { since } => Some(since),
        AttemptState::Stopping { .. } if reason != StopReason::Deleted => return,
        AttemptState::Stopping { started, .. } => started,
    };
    attempt.state = AttemptState::Stopping { reason, since: now, started };
}

/// A deleted job's attempt ends; its reservation goes.
pub(super) fn stop_for_deletion(object: &mut Object, now: TimeMs) {
    let Status::Job(job) = &mut object.status else { return };
    let already = matches!(
        job.attempt.as_ref().map(|attempt| attempt.state),
        Some(AttemptState::Stopping { reason: StopReason::Deleted, .. })
    );
    if !already {
        stop(job, StopReason::Deleted, now);
    }
}

impl Step<'_> {
    /// Tells people that a job was taken in.
    pub(super) fn tell_created_job(&mut self, object: &Object) {
        let Some(job) = object.job() else { return };
        match job.phase {
            JobPhase::Suspended => self.note_created(object, "Suspended", held_because(job)),
            JobPhase::Finished(_) => self.tell_empty(object),
            _ => self.note_created(object, "Queued", "Waiting for a place in the federation"),
        }
    }

    /// After a job's document was replaced: what its new spec asks of its phase.
    pub(super) fn follow_job_spec(&mut self, old: &Object, object: Arc<Object>) -> Arc<Object> {
        let Some(job) = object.job() else { return object };
        let Some(before) = old.job().filter(|_| !job.is_finished()) else { return object };
        let now = self.time;
        let object = if before.spec.suspend == job.spec.suspend {
            object
        } else {
            self.change_job(&object, |job| job.suspension_changed = Some(now))
        };
        let Some(job) = object.job() else { return object };
        match (before.spec.is_held(), job.spec.is_held()) {
            (false, true) => self.hold(&object),
            (true, false) => self.resume(&object),
            // Made smaller while it waited, nothing may be left to do.
            _ => self.change_job(&object, |job| job.complete_if_empty(now)),
        }
    }

    fn hold(&mut self, object: &Object) -> Arc<Object> {
        let now = self.time;
        self.release_reservation(object);
        let object = self.change_job(object, |job| {
            stop(job, StopReason::Suspended, now);
            job.phase = JobPhase::Suspended;
            if job.spec.suspend {
                job.start_time = None;
            }
        });
        if let Some(job) = object.job() {
            self.note(&object, "Suspended", held_because(job), EventSeverity::Normal);
        }
        object
    }

    fn tell_empty(&mut self, object: &Object) {
        self.note(object, "Completed", "Job completed: it wants no completions", EventSeverity::Normal);
    }

    fn resume(&mut self, object: &Object) -> Arc<Object> {
        let now = self.time;
        let object = self.change_job(object, |job| {
            job.phase = JobPhase::Queued;
            job.queued_at = now;
            job.complete_if_empty(now);
        });
        if object.job().is_some_and(Job::is_finished) {
            self.tell_empty(&object);
            return object;
        }
        self.note(
            &object,
            "Resumed",
            "Job resumed; waiting for a place in the federation",
            EventSeverity::Normal,
        );
        object
    }

    /// Stores a job changed by `change`. Gives the object as it is then; unchanged if there was nothing to change.
    pub(super) fn change_job(&mut self, object: &Object, change: impl FnOnce(&mut Job)) -> Arc<Object> {
        let mut object =
            self.state.get(&object.key).map_or_else(|| object.clone(), |there| Object::clone(there));
        let Status::Job(job) = &mut object.status else { return Arc::new(object) };
        let before = job.clone();
        change(job);
        assert_legal(&before, job);
        if **job == *before {
            return Arc::new(object);
        }
        self.store(object)
    }
}

fn held_because(job: &Job) -> &'static str {
    if job.spec.suspend { "Job suspended" } else { "Job wants no pods: spec.parallelism is 0" }
}

/// Transitions that must never happen (S12): terminal is final.
fn assert_legal(before: &Job, after: &Job) {
    if before.is_finished() {
        assert_eq!(before.phase, after.phase, "a finished job never changes its phase");
        assert!(after.attempt.is_none(), "a finished job has no attempt");
    }
}
