//! The life of a job as far as its own spec moves it: created, suspended, resumed, deleted.

use std::sync::Arc;

use muster_model::{
    AttemptState, EventSeverity, Job, JobPhase, JobSpec, Object, PodCounts, Status, StopReason, TimeMs,
};

use super::Step;

/// A job that was just created.
pub(super) fn new_job(spec: &Arc<JobSpec>, now: TimeMs) -> Job {
    Job {
        spec: Arc::clone(spec),
        phase: if spec.suspend { JobPhase::Suspended } else { JobPhase::Queued },
        attempt: None,
        start_time: None,
        pods: PodCounts::default(),
        completed_indexes: "".into(),
        attempts: 0,
        queued_at: now,
    }
}

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
            JobPhase::Suspended => self.note(object, "Suspended", "Job suspended", EventSeverity::Normal),
            _ => self.note(object, "Queued", "Waiting for a place in the federation", EventSeverity::Normal),
        }
    }

    /// After a job's document was replaced: what its new spec asks of its phase.
    pub(super) fn follow_job_spec(&mut self, old: &Object, object: Arc<Object>) -> Arc<Object> {
        let Some(job) = object.job() else { return object };
        if job.is_finished() || old.job().is_none_or(|old| old.spec.suspend == job.spec.suspend) {
            return object;
        }
        if job.spec.suspend { self.suspend(&object) } else { self.resume(&object) }
    }

    fn suspend(&mut self, object: &Object) -> Arc<Object> {
        let now = self.time;
        self.release_reservation(object);
        let object = self.change_job(object, |job| {
            stop(job, StopReason::Suspended, now);
            job.phase = JobPhase::Suspended;
            job.start_time = None;
        });
        self.note(&object, "Suspended", "Job suspended", EventSeverity::Normal);
        object
    }

    fn resume(&mut self, object: &Object) -> Arc<Object> {
        let now = self.time;
        let object = self.change_job(object, |job| {
            job.phase = JobPhase::Queued;
            job.queued_at = now;
        });
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

/// Transitions that must never happen (S12): terminal is final.
fn assert_legal(before: &Job, after: &Job) {
    if before.is_finished() {
        assert_eq!(before.phase, after.phase, "a finished job never changes its phase");
        assert!(after.attempt.is_none(), "a finished job has no attempt");
    }
}
