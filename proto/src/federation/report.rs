//! What a member says of an attempt.

use muster_model::{AttemptOutcome, AttemptReport, Epoch, FinishReason, ReportedState, TimeMs};

use super::field::{FieldError, UNKNOWN_VALUE, convert, id_bytes, required, uid};
use super::pb;
use super::pb::attempt_report::State;
use crate::log::{index_failures_form, read_index_failures};

impl From<&AttemptReport> for pb::AttemptReport {
    fn from(report: &AttemptReport) -> Self {
        let state = match &report.state {
            ReportedState::Running { since } => State::Running(pb::RunningState { since_ms: since.0 }),
            ReportedState::Ended { outcome, exit_code, at } => State::Ended(ended(outcome, *exit_code, *at)),
        };
        Self {
            job: Some((&report.job).into()),
            uid: id_bytes(report.uid.0),
            epoch: report.epoch.0,
            state: Some(state),
            pods: Some(report.pods.into()),
            completed_indexes: report.completed_indexes.to_string(),
            index_failures: index_failures_form(&report.index_failures),
        }
    }
}

impl TryFrom<pb::AttemptReport> for AttemptReport {
    type Error = FieldError;

    fn try_from(report: pb::AttemptReport) -> Result<Self, FieldError> {
        let state = match required(report.state, "state")? {
            State::Running(running) => ReportedState::Running { since: TimeMs(running.since_ms) },
            State::Ended(ended) => ended.try_into().map_err(|error: FieldError| error.inside("ended"))?,
        };
        Ok(Self {
            job: convert(report.job, "job")?,
            uid: uid(&report.uid, "uid")?,
            epoch: Epoch(report.epoch),
            state,
            pods: required(report.pods, "pods")?.into(),
            completed_indexes: report.completed_indexes.into(),
            index_failures: read_index_failures(report.index_failures),
        })
    }
}

fn ended(outcome: &AttemptOutcome, exit_code: Option<i32>, at: TimeMs) -> pb::EndedState {
    let (outcome, failure) = match outcome {
        AttemptOutcome::Succeeded => (pb::Outcome::Succeeded, None),
        AttemptOutcome::Failed(why) => (pb::Outcome::Failed, Some(why)),
        AttemptOutcome::Stopped => (pb::Outcome::Stopped, None),
        AttemptOutcome::Fenced => (pb::Outcome::Fenced, None),
        AttemptOutcome::Lost => (pb::Outcome::Lost, None),
    };
    let failure = failure
        .map(|why| pb::FinishReason { reason: why.reason.to_string(), message: why.message.to_string() });
    pb::EndedState { outcome: outcome.into(), failure, exit_code, at_ms: at.0 }
}

impl TryFrom<pb::EndedState> for ReportedState {
    type Error = FieldError;

    fn try_from(ended: pb::EndedState) -> Result<Self, FieldError> {
        let outcome = match ended.outcome() {
            pb::Outcome::Succeeded => AttemptOutcome::Succeeded,
            pb::Outcome::Failed => {
                let why = required(ended.failure, "failure")?;
                AttemptOutcome::Failed(FinishReason {
                    reason: why.reason.into(),
                    message: why.message.into(),
                })
            }
            pb::Outcome::Stopped => AttemptOutcome::Stopped,
            pb::Outcome::Fenced => AttemptOutcome::Fenced,
            pb::Outcome::Lost => AttemptOutcome::Lost,
            pb::Outcome::Unspecified => return Err(FieldError::new("outcome", UNKNOWN_VALUE)),
        };
        Ok(ReportedState::Ended { outcome, exit_code: ended.exit_code, at: TimeMs(ended.at_ms) })
    }
}
