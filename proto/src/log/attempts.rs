//! Where a job is placed, how far it is, and what members say of it.

use muster_model::{
    Assignment, Attempt, AttemptOutcome, AttemptReport, AttemptState, Epoch, Finish, FinishReason,
    GrantPolicy, Job, JobPhase, Key, PodClaim, PodCounts, ReportedState, Reservation, StopReason, TimeMs,
};

use super::FieldError;
use super::durable::{Durable, message, value};
use super::pb::{self, Outcome, attempt, attempt_report, job};
use super::sharing::{Share, Shared};

durable_enums! {
    StopReason { Deleted, Suspended, Evicted }
}

durable_structs! {
    Assignment => Assignment {
        member: member,
        claims: claims,
        gpu_model: gpu_model,
        requests: requests,
        hourly: hourly_micro_usd,
        one_off: one_off,
        policy: policy required,
        after: after,
        because: because,
        data: data,
    }
    PodClaim => PodClaim { pod_set: pod_set, node: node, pods: pods }
    GrantPolicy => GrantPolicy { partition: partition, fence_after: fence_after_ms }
    Reservation => Reservation { assignment: assignment required, expires: expires_ms, held: held }
    Finish => Finish {
        at: at_ms, failure: failure, member: member, because: because, granted_at: granted_at_ms
    }
    FinishReason => FinishReason { reason: reason, message: message }
    PodCounts => PodCounts { active: active, ready: ready, succeeded: succeeded, failed: failed, terminating: terminating }
}

impl Durable for (Key, Epoch) {
    type Form = pb::AttemptId;

    fn form(&self) -> pb::AttemptId {
        pb::AttemptId { job: Some(self.0.form()), epoch: self.1.form() }
    }

    fn read(form: pb::AttemptId) -> Result<Self, FieldError> {
        Ok((message("job", form.job)?, Epoch(form.epoch)))
    }
}

/// The form of a job whose spec goes where `share` says.
pub(super) fn job_form(job: &Job, share: &mut impl Share) -> pb::Job {
    let phase = match &job.phase {
        JobPhase::Suspended => job::Phase::Suspended(job::Suspended {}),
        JobPhase::Queued => job::Phase::Queued(job::Queued {}),
        JobPhase::Reserved(reservation) => job::Phase::Reserved(reservation.form()),
        JobPhase::Active => job::Phase::Active(job::Active {}),
        JobPhase::Finished(finish) => job::Phase::Finished(finish.form()),
    };
    pb::Job {
        spec: Some(share.spec(&job.spec)),
        attempt: job.attempt.form(),
        start_time_ms: job.start_time.form(),
        pods: Some(job.pods.form()),
        completed_indexes: job.completed_indexes.form(),
        attempts: job.attempts,
        queued_at_ms: job.queued_at.form(),
        suspension_changed_ms: job.suspension_changed.form(),
        index_failures: job.index_failures.form(),
        phase: Some(phase),
    }
}

/// The job of a form that may name a shared spec.
pub(super) fn read_job(form: pb::Job, shared: &impl Shared) -> Result<Job, FieldError> {
    let phase = match form.phase.ok_or_else(|| FieldError::missing("phase"))? {
        job::Phase::Suspended(job::Suspended {}) => JobPhase::Suspended,
        job::Phase::Queued(job::Queued {}) => JobPhase::Queued,
        job::Phase::Reserved(reservation) => JobPhase::Reserved(value("reserved", reservation)?),
        job::Phase::Active(job::Active {}) => JobPhase::Active,
        job::Phase::Finished(finish) => JobPhase::Finished(value("finished", finish)?),
    };
    Ok(Job {
        spec: shared.read_spec("spec", form.spec)?,
        phase,
        attempt: value("attempt", form.attempt)?,
        start_time: value("start_time_ms", form.start_time_ms)?,
        pods: message("pods", form.pods)?,
        completed_indexes: form.completed_indexes.into(),
        attempts: form.attempts,
        queued_at: TimeMs(form.queued_at_ms),
        suspension_changed: value("suspension_changed_ms", form.suspension_changed_ms)?,
        index_failures: value("index_failures", form.index_failures)?,
    })
}

impl Durable for Attempt {
    type Form = pb::Attempt;

    fn form(&self) -> pb::Attempt {
        let state = match &self.state {
            AttemptState::Granted => attempt::State::Granted(attempt::Granted {}),
            AttemptState::Running { since } => {
                attempt::State::Running(attempt::Running { since_ms: since.0 })
            }
            AttemptState::Stopping { reason, since, started } => {
                attempt::State::Stopping(attempt::Stopping {
                    reason: reason.form(),
                    since_ms: since.0,
                    started_ms: started.form(),
                })
            }
        };
        pb::Attempt {
            epoch: self.epoch.form(),
            assignment: Some(self.assignment.form()),
            granted_at_ms: self.granted_at.form(),
            incarnation: self.incarnation.form(),
            state: Some(state),
        }
    }

    fn read(form: pb::Attempt) -> Result<Attempt, FieldError> {
        let state = match form.state.ok_or_else(|| FieldError::missing("state"))? {
            attempt::State::Granted(attempt::Granted {}) => AttemptState::Granted,
            attempt::State::Running(running) => AttemptState::Running { since: TimeMs(running.since_ms) },
            attempt::State::Stopping(stopping) => AttemptState::Stopping {
                reason: value("stopping.reason", stopping.reason)?,
                since: TimeMs(stopping.since_ms),
                started: stopping.started_ms.map(TimeMs),
            },
        };
        Ok(Attempt {
            epoch: Epoch(form.epoch),
            assignment: message("assignment", form.assignment)?,
            granted_at: TimeMs(form.granted_at_ms),
            incarnation: value("incarnation", form.incarnation)?,
            state,
        })
    }
}

impl Durable for AttemptReport {
    type Form = pb::AttemptReport;

    fn form(&self) -> pb::AttemptReport {
        let state = match &self.state {
            ReportedState::Running { since } => {
                attempt_report::State::Running(attempt_report::Running { since_ms: since.0 })
            }
            ReportedState::Ended { outcome, exit_code, at } => {
                let (outcome, failure) = outcome_form(outcome);
                let ended = attempt_report::Ended {
                    at_ms: at.0,
                    exit_code: *exit_code,
                    outcome: outcome.into(),
                    failure,
                };
                attempt_report::State::Ended(ended)
            }
        };
        pb::AttemptReport {
            job: Some(self.job.form()),
            uid: self.uid.form(),
            epoch: self.epoch.form(),
            pods: Some(self.pods.form()),
            completed_indexes: self.completed_indexes.form(),
            index_failures: self.index_failures.form(),
            state: Some(state),
        }
    }

    fn read(form: pb::AttemptReport) -> Result<AttemptReport, FieldError> {
        let state = match form.state.ok_or_else(|| FieldError::missing("state"))? {
            attempt_report::State::Running(running) => {
                ReportedState::Running { since: TimeMs(running.since_ms) }
            }
            attempt_report::State::Ended(ended) => ReportedState::Ended {
                outcome: read_outcome(ended.outcome, ended.failure).map_err(|e| e.inside("ended"))?,
                exit_code: ended.exit_code,
                at: TimeMs(ended.at_ms),
            },
        };
        Ok(AttemptReport {
            job: message("job", form.job)?,
            uid: value("uid", form.uid)?,
            epoch: Epoch(form.epoch),
            state,
            pods: message("pods", form.pods)?,
            completed_indexes: form.completed_indexes.into(),
            index_failures: value("index_failures", form.index_failures)?,
        })
    }
}

fn outcome_form(outcome: &AttemptOutcome) -> (Outcome, Option<pb::FinishReason>) {
    match outcome {
        AttemptOutcome::Succeeded => (Outcome::Succeeded, None),
        AttemptOutcome::Failed(why) => (Outcome::Failed, Some(why.form())),
        AttemptOutcome::Stopped => (Outcome::Stopped, None),
        AttemptOutcome::Fenced => (Outcome::Fenced, None),
        AttemptOutcome::Lost => (Outcome::Lost, None),
    }
}

fn read_outcome(outcome: i32, failure: Option<pb::FinishReason>) -> Result<AttemptOutcome, FieldError> {
    let known = Outcome::try_from(outcome);
    if failure.is_some() && known != Ok(Outcome::Failed) {
        return Err(FieldError::new("must be absent with this outcome").inside("failure"));
    }
    match known {
        Ok(Outcome::Succeeded) => Ok(AttemptOutcome::Succeeded),
        Ok(Outcome::Failed) => message("failure", failure).map(AttemptOutcome::Failed),
        Ok(Outcome::Stopped) => Ok(AttemptOutcome::Stopped),
        Ok(Outcome::Fenced) => Ok(AttemptOutcome::Fenced),
        Ok(Outcome::Lost) => Ok(AttemptOutcome::Lost),
        Ok(Outcome::Unspecified) | Err(_) => {
            Err(FieldError::new(format!("{outcome} is not a value of this version")).inside("outcome"))
        }
    }
}
