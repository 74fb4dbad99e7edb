//! What a member shall run: read from the state, and compared with what the member was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    Attempt, AttemptState, DesiredAttempt, DurationMs, Epoch, Job, JobSpec, Object, PodCounts, StopReason,
    TimeMs,
};

/// What a session was told.
#[derive(Clone, Debug, Default)]
pub struct Told(BTreeMap<Epoch, ToldAttempt>);

/// What it was told of one attempt: what may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ToldAttempt {
    spec: Arc<JobSpec>,
    body: Arc<str>,
    stop: Option<StopReason>,
    grace: DurationMs,
}

impl Told {
    /// The attempt as it shall be, if the member has to be told.
    pub fn tell(&mut self, object: &Object, now: TimeMs) -> Option<Arc<DesiredAttempt>> {
        let job = object.job()?;
        let attempt = job.attempt.as_deref()?;
        let new = ToldAttempt {
            spec: Arc::clone(&job.spec),
            body: Arc::clone(&object.document.body),
            stop: stop_of(attempt),
            grace: grace_of(object, job),
        };
        if self.0.get(&attempt.epoch) == Some(&new) {
            return None;
        }
        self.0.insert(attempt.epoch, new);
        Some(Arc::new(desired(object, job, attempt, now)))
    }

    /// The attempt is over. Whether the member has to be told.
    pub fn forget(&mut self, epoch: Epoch) -> bool {
        self.0.remove(&epoch).is_some()
    }
}

/// An attempt as the member gets it. What earlier attempts left is exact until the member reports for the first time;
/// after that the member goes by what it knows.
fn desired(object: &Object, job: &Job, attempt: &Attempt, now: TimeMs) -> DesiredAttempt {
    let uid = object.meta.uid;
    let left = |deadline: DurationMs| {
        let active = job.start_time.map_or(DurationMs(0), |start| now.since(start));
        DurationMs(deadline.0.saturating_sub(active.0))
    };
    DesiredAttempt {
        job: object.key.clone(),
        uid,
        epoch: attempt.epoch,
        spec: Arc::clone(&job.spec),
        body: object.document.body_text(&object.key.name, &uid.to_string()).into(),
        claims: attempt.assignment.claims.clone(),
        gpu_model: attempt.assignment.gpu_model.clone(),
        requests: attempt.assignment.requests.clone(),
        policy: attempt.assignment.policy,
        stop: stop_of(attempt),
        grace: grace_of(object, job),
        before: PodCounts { active: 0, ready: 0, terminating: 0, ..job.pods },
        completed_indexes: Arc::clone(&job.completed_indexes),
        index_failures: job.index_failures.clone(),
        active_deadline_left: job.spec.active_deadline.map(left),
        data: attempt.assignment.data.iter().map(|need| need.data.clone()).collect(),
    }
}

fn stop_of(attempt: &Attempt) -> Option<StopReason> {
    match attempt.state {
        AttemptState::Granted | AttemptState::Running { .. } => None,
        AttemptState::Stopping { reason, .. } => Some(reason),
    }
}

/// A deletion brings its own grace.
fn grace_of(object: &Object, job: &Job) -> DurationMs {
    object.meta.deletion.map_or(job.spec.grace, |deletion| DurationMs(deletion.grace_s.saturating_mul(1000)))
}
