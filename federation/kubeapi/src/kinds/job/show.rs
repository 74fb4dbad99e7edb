//! `status` of a job, in the words of the real job controller, and one condition of ours that says where it is.

use std::borrow::Cow;

use muster_model::{Finish, IndexSet, Job, JobPhase, Object, TimeMs};

use crate::kinds::json::Fields;
use crate::kinds::kind::Live;
use crate::kinds::render::{Condition, condition, show_field};

/// Our condition: whether the job has a place.
const PLACED: &str = "Placed";
/// The conditions of a completed job.
const COMPLETE: [&str; 2] = ["SuccessCriteriaMet", "Complete"];

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
    fields.literal("terminating", &pods.terminating);
    fields.filled("completedIndexes", &job.completed_indexes);
    if job.spec.rules.backoff_limit_per_index.is_some() {
        fields.text("failedIndexes", &job.index_failures.failed);
    }
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
        JobPhase::Finished(finish) => {
            let after = (!finish.member.as_str().is_empty()).then(|| placed(job));
            finished(job, finish).into_iter().chain(after).collect()
        }
        JobPhase::Suspended if job.spec.suspend => vec![suspended(object, job)],
        JobPhase::Suspended => resumed(job).into_iter().chain([placed(job)]).collect(),
        JobPhase::Queued | JobPhase::Reserved(_) | JobPhase::Active => {
            resumed(job).into_iter().chain([placed(job)]).collect()
        }
    }
}

/// The two conditions of each end: the first when it is decided, the second when no pod is left. Here both at once.
fn finished<'a>(job: &'a Job, finish: &'a Finish) -> Vec<Told<'a>> {
    let (kinds, reason, message): (_, _, Cow<'a, str>) = match (&finish.failure, success_rule(job)) {
        (Some(why), _) => (["FailureTarget", "Failed"], &*why.reason, (&*why.message).into()),
        (None, Some(rule)) => (COMPLETE, "SuccessPolicy", format!("Matched rules at index {rule}").into()),
        (None, None) => (COMPLETE, "CompletionsReached", "Reached expected number of succeeded pods".into()),
    };
    let told = |kind| Told { kind, holds: true, since: finish.at, reason, message: message.clone() };
    kinds.map(told).into()
}

/// The rule of the success policy that the job's completed indexes meet.
fn success_rule(job: &Job) -> Option<usize> {
    let all = job.spec.completion.completions?;
    if job.spec.rules.on_success.is_empty() {
        return None;
    }
    job.spec.rules.success(&IndexSet::parse(&job.completed_indexes, all), all)
}

fn suspended<'a>(object: &Object, job: &Job) -> Told<'a> {
    let since = job.suspension_changed.unwrap_or(object.meta.created);
    Told { kind: "Suspended", holds: true, since, reason: "JobSuspended", message: "Job suspended".into() }
}

/// A job that was suspended once says so for good.
fn resumed<'a>(job: &Job) -> Option<Told<'a>> {
    job.suspension_changed.map(|since| Told {
        kind: "Suspended",
        holds: false,
        since,
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
        JobPhase::Suspended => {
            let message = "wants no pods: spec.parallelism is 0";
            told(false, job.queued_at, "NoParallelism", message.into())
        }
        _ => told(false, job.queued_at, "Queued", "waits for a place; `muster why` says for what".into()),
    }
}

fn because(because: &str) -> String {
    if because.is_empty() { String::new() } else { format!(" because {because}") }
}
