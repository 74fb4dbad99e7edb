//! What members say of attempts. Only the member that holds the grant is heard, only the incarnation that ran it, only of
//! the epoch that the job has (S6, S19); what an old attempt still says is passed over.

use std::sync::Arc;

use muster_model::{
    Answer, Attempt, AttemptOutcome, AttemptReport, AttemptState, EventSeverity, FailureAction, Finish,
    FinishReason, Incarnation, Job, JobPhase, JobRules, MemberName, Object, PodCounts, ReportedState, TimeMs,
};

use super::Step;
use super::runs::RunEnd;

/// How an attempt ended, and what was known when it did.
pub(super) struct Ending {
    pub outcome: AttemptOutcome,
    pub exit_code: Option<i32>,
    pub at: TimeMs,
}

impl Step<'_> {
    /// Takes reports of a member.
    pub(super) fn report(
        &mut self,
        member: &MemberName,
        incarnation: &Incarnation,
        reports: &[AttemptReport],
    ) -> Answer {
        for report in reports {
            self.take_report(member, incarnation, report);
        }
        Answer::Done
    }

    fn take_report(&mut self, member: &MemberName, incarnation: &Incarnation, report: &AttemptReport) {
        let Some(object) = self.state.get(&report.job).cloned() else { return };
        if object.meta.uid != report.uid {
            return;
        }
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        if !is_heard(attempt, member, incarnation, report) {
            return;
        }
        match &report.state {
            ReportedState::Running { since } => self.running(&object, incarnation, report, *since),
            ReportedState::Ended { outcome, exit_code, at } => {
                // So short that its start was never reported by itself: it did run.
                let ran = *outcome == AttemptOutcome::Succeeded || exit_code.is_some();
                if ran && attempt.state == AttemptState::Granted {
                    self.tell_start(&object);
                }
                let object = self.change_job(&object, |job| take_counts(job, report));
                self.end(&object, &Ending { outcome: outcome.clone(), exit_code: *exit_code, at: *at });
            }
        }
    }

    fn running(&mut self, object: &Object, incarnation: &Incarnation, report: &AttemptReport, since: TimeMs) {
        let is_new = object
            .job()
            .and_then(|job| job.attempt.as_ref())
            .is_some_and(|a| a.state == AttemptState::Granted);
        let object = self.change_job(object, |job| {
            take_counts(job, report);
            let Some(attempt) = &mut job.attempt else { return };
            attempt.incarnation = Some(incarnation.clone());
            match &mut attempt.state {
                state @ AttemptState::Granted => *state = AttemptState::Running { since },
                AttemptState::Running { .. } => {}
                AttemptState::Stopping { started, .. } => {
                    started.get_or_insert(since);
                }
            }
        });
        if is_new {
            self.mark_run_running(&object);
            self.tell_start(&object);
        }
    }

    fn tell_start(&mut self, object: &Object) {
        if let Some(attempt) = object.job().and_then(|job| job.attempt.as_ref()) {
            let message = format!("Running on {}", attempt.assignment.member);
            self.note(object, "Started", &message, EventSeverity::Normal);
        }
    }

    /// An attempt is over: its Nodes are free, its run is closed, and the job ends, waits again, or goes.
    pub(super) fn end(&mut self, object: &Object, ending: &Ending) {
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref().cloned()) else { return };
        if object.job().is_some_and(|job| needs_no_other_place(job, &attempt, ending)) {
            self.release_reservation(object);
        }
        self.close_run(object, &attempt, &RunEnd::of(ending, self.time));
        let now = self.time;
        let object = self.change_job(object, |job| settle(job, &attempt, ending, now));
        self.give_claims(&attempt.assignment);
        self.tell_end(&object, &attempt, ending);
        self.tell_disruption(&object, ending);
        self.grant_reserved();
        if object.meta.deletion.is_some() {
            self.remove_if_free(&object.key);
        }
    }

    /// A job that failed because its attempt was ended from outside: its own rules ask for that.
    fn tell_disruption(&mut self, object: &Object, ending: &Ending) {
        let by_rule = matches!(ending.outcome, AttemptOutcome::Fenced | AttemptOutcome::Lost);
        let Some(JobPhase::Finished(Finish { failure: Some(why), .. })) =
            object.job().filter(|_| by_rule).map(|job| &job.phase)
        else {
            return;
        };
        let message = format!("{}: {}", why.reason, why.message);
        self.note(object, "Failed", &message, EventSeverity::Warning);
    }

    fn tell_end(&mut self, object: &Arc<Object>, attempt: &Attempt, ending: &Ending) {
        let member = &attempt.assignment.member;
        let waits = object.job().is_some_and(|job| !job.is_finished());
        let next = if waits { " and the job waits again" } else { "" };
        let (reason, severity, message) = match &ending.outcome {
            AttemptOutcome::Succeeded => {
                ("Completed", EventSeverity::Normal, format!("Job completed on {member}"))
            }
            AttemptOutcome::Failed(why) => {
                ("Failed", EventSeverity::Warning, format!("{}: {}", why.reason, why.message))
            }
            AttemptOutcome::Stopped => {
                ("Stopped", EventSeverity::Normal, format!("Attempt on {member} was stopped"))
            }
            AttemptOutcome::Fenced => (
                "Fenced",
                EventSeverity::Warning,
                format!("Attempt on {member} passed its fence deadline out of contact; it is over{next}"),
            ),
            AttemptOutcome::Lost => {
                ("Lost", EventSeverity::Warning, format!("Attempt on {member} is lost{next}"))
            }
        };
        self.note(object, reason, &message, severity);
    }
}

fn is_heard(
    attempt: &Attempt,
    member: &MemberName,
    incarnation: &Incarnation,
    report: &AttemptReport,
) -> bool {
    let same_epoch = attempt.epoch == report.epoch || muster_model::mutant!(epoch_check_skipped);
    same_epoch
        && attempt.assignment.member == *member
        && attempt.incarnation.as_ref().is_none_or(|first| first == incarnation)
}

fn take_counts(job: &mut Job, report: &AttemptReport) {
    job.pods = report.pods;
    job.completed_indexes = Arc::clone(&report.completed_indexes);
    job.index_failures = report.index_failures.clone();
}

fn finish(attempt: &Attempt, failure: Option<FinishReason>, now: TimeMs) -> Finish {
    let place = &attempt.assignment;
    let (member, because) = (place.member.clone(), Arc::clone(&place.because));
    Finish { at: now, failure, member, because, granted_at: attempt.granted_at }
}

/// What becomes of a job when its attempt is over.
fn settle(job: &mut Job, attempt: &Attempt, ending: &Ending, now: TimeMs) {
    job.attempt = None;
    let seen_last = job.pods;
    job.pods = PodCounts { active: 0, ready: 0, terminating: 0, ..seen_last };
    match &ending.outcome {
        AttemptOutcome::Succeeded => job.phase = JobPhase::Finished(finish(attempt, None, now)),
        AttemptOutcome::Failed(why) => {
            job.phase = JobPhase::Finished(finish(attempt, Some(why.clone()), now));
        }
        AttemptOutcome::Fenced | AttemptOutcome::Lost => {
            job.pods.failed = failed_by_disruption(&job.spec.rules, &seen_last);
            match disruption_failure(job, attempt, &seen_last) {
                Some(why) => job.phase = JobPhase::Finished(finish(attempt, Some(why), now)),
                None => wait_again(job, now),
            }
        }
        AttemptOutcome::Stopped => wait_again(job, now),
    }
}

/// Whether the job is over with this end of its attempt: then it needs no other place, even while it is being moved.
fn needs_no_other_place(job: &Job, attempt: &Attempt, ending: &Ending) -> bool {
    match ending.outcome {
        AttemptOutcome::Succeeded | AttemptOutcome::Failed(_) => true,
        AttemptOutcome::Fenced | AttemptOutcome::Lost => {
            disruption_failure(job, attempt, &job.pods).is_some()
        }
        AttemptOutcome::Stopped => false,
    }
}

/// Failed pods after an attempt ended from outside. Pods that the member saw end are in its report already, and none of
/// them is active any more.
fn failed_by_disruption(rules: &JobRules, pods: &PodCounts) -> u32 {
    let counts = rules.disruption().is_some_and(|found| found.action == FailureAction::Count);
    pods.failed.saturating_add(if counts { pods.active } else { 0 })
}

/// Why the job fails because an attempt ended from outside, if its rules ask for that.
fn disruption_failure(job: &Job, attempt: &Attempt, pods: &PodCounts) -> Option<FinishReason> {
    let found = job.spec.rules.disruption()?;
    match found.action {
        FailureAction::FailJob => {
            let pod = format!("of the attempt on {}", attempt.assignment.member);
            Some(FinishReason { reason: "PodFailurePolicy".into(), message: found.message(&pod).into() })
        }
        FailureAction::Count => {
            let failed = failed_by_disruption(&job.spec.rules, pods);
            (failed > job.spec.backoff_limit).then(|| FinishReason {
                reason: "BackoffLimitExceeded".into(),
                message: "Job has reached the specified backoff limit".into(),
            })
        }
        // Which indexes were being worked on is not known here: they run again.
        FailureAction::FailIndex | FailureAction::Ignore => None,
    }
}

fn wait_again(job: &mut Job, now: TimeMs) {
    if job.phase == JobPhase::Active {
        job.phase = JobPhase::Queued;
        job.queued_at = now;
    }
}
