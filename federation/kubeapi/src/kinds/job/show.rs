//! `status` of a job, in the words of the real job controller, and one condition of ours that says where it is.

use std::borrow::Cow;

use muster_model::{Finish, Job, JobPhase, Object, TimeMs};

use crate::kinds::json::Fields;
use crate::kinds::kind::Live;
use crate::kinds::render::{Condition, condition, show_field};

/// Our condition: whether the job has a place.
const PLACED: &str = "Placed";

/// Appends `,"status":{...}`.
pub(super) fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Some(job) = object.job() else { return };
    let mut fields = Fields::open(show_field(out, "status"));
    fields.list("conditions", conditions(object, job), |out, one| one.push(out));
    if let Some(start) = job.start_time {
        fields.time("startTime", start);
    }
    if let JobPhase::Finished(Finish { at, failure: None, .. }) = &job.phase {
        fields.time("completionTime", *at);
    }
    let pods = &job.pods;
    for (name, count) in [("active", pods.active), ("succeeded", pods.succeeded), ("failed", pods.failed)] {
        if count > 0 {
            fields.literal(name, &count);
        }
    }
    fields.literal("terminating", &0);
    fields.filled("completedIndexes", &job.completed_indexes);
    fields.literal("uncountedTerminatedPods", &"{}");
    fields.literal("ready", &pods.ready);
    fields.close();
}

/// A condition whose message may be made for it.
struct Told<'a> {
    kind: &'static str,
    holds: bool,
    since: TimeMs,
    reason: &'a str,
    message: Cow<'a, str>,
}

impl Told<'_> {
    fn push(&self, out: &mut String) {
        let status = if self.holds { "True" } else { "False" };
        let told = Condition {
            kind: self.kind,
            status,
            since: self.since,
            reason: self.reason,
            message: &self.message,
        };
        condition(out, &told);
    }
}

fn conditions<'a>(object: &'a Object, job: &'a Job) -> Vec<Told<'a>> {
    match &job.phase {
        JobPhase::Finished(finish) => finished(finish).into_iter().chain([placed(job)]).collect(),
        JobPhase::Suspended => vec![suspended(object, job)],
        JobPhase::Queued | JobPhase::Reserved(_) | JobPhase::Active => {
            resumed(object, job).into_iter().chain([placed(job)]).collect()
        }
    }
}

/// The two conditions of each end: the first when it is decided, the second when no pod is left. Here both at once.
fn finished(finish: &Finish) -> Vec<Told<'_>> {
    let (kinds, reason, message) = match &finish.failure {
        None => (
            ["SuccessCriteriaMet", "Complete"],
            "CompletionsReached",
            "Reached expected number of succeeded pods",
        ),
        Some(why) => (["FailureTarget", "Failed"], &*why.reason, &*why.message),
    };
    let told = |kind| Told { kind, holds: true, since: finish.at, reason, message: message.into() };
    kinds.map(told).into()
}

fn suspended<'a>(object: &Object, job: &Job) -> Told<'a> {
    let since = job.queued_at.max(object.meta.created);
    Told { kind: "Suspended", holds: true, since, reason: "JobSuspended", message: "Job suspended".into() }
}

/// A job that waits again without ever having been placed was suspended before.
fn resumed<'a>(object: &Object, job: &Job) -> Option<Told<'a>> {
    let was_suspended = job.attempts == 0 && job.queued_at > object.meta.created;
    was_suspended.then(|| Told {
        kind: "Suspended",
        holds: false,
        since: job.queued_at,
        reason: "JobResumed",
        message: "Job resumed".into(),
    })
}

fn placed(job: &Job) -> Told<'_> {
    let told = |holds, since, reason, message| Told { kind: PLACED, holds, since, reason, message };
    if let Some(attempt) = job.attempt.as_deref().filter(|_| job.phase == JobPhase::Active) {
        let place = &attempt.assignment;
        let message = format!("on {}{}", place.member, because(&place.because));
        return told(true, attempt.granted_at, "Placed", message.into());
    }
    match &job.phase {
        JobPhase::Finished(finish) => {
            let message = format!("on {}{}", finish.member, because(&finish.because));
            told(true, finish.granted_at, "Placed", message.into())
        }
        JobPhase::Reserved(held) => {
            let place = &held.assignment;
            let message = format!(
                "has a place on {}{}, and gets it when the attempts in the way have ended",
                place.member,
                because(&place.because)
            );
            told(false, job.queued_at, "Reserved", message.into())
        }
        _ => told(false, job.queued_at, "Queued", "waits for a place; `muster why` says for what".into()),
    }
}

fn because(because: &str) -> String {
    if because.is_empty() { String::new() } else { format!(" because {because}") }
}
