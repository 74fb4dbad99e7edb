//! Rows of `kubectl get jobs`: the real server's columns, and the cluster.

use muster_model::{AttemptState, Finish, Job, JobPhase, Object};
use serde_json::{Value, json};

use crate::kinds::column::{AGE, NAME, NONE, or_none, text, wide};
use crate::kinds::rows::Rows;
use crate::resource::Column;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    text("Status", "Where the job is in its life."),
    text("Completions", "Successes there are, of those needed."),
    text("Duration", "Time from its start to its end."),
    AGE,
    wide("Cluster", "Member that runs it, or keeps a place for it."),
    wide("Containers", "Names of the containers."),
    wide("Images", "Images of the containers."),
    wide("Selector", "Labels that its pods have."),
];

/// Cells of one job.
pub(super) fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Some(job) = object.job() else { return vec![Value::Null; COLUMNS.len()] };
    let mut cells = vec![
        json!(&*object.key.name),
        json!(status(object, job)),
        json!(completions(job)),
        duration(job, rows),
        rows.age(object),
        json!(cluster(job)),
    ];
    cells.extend(rows.texts(object, template_texts).iter().map(|text| or_none(text)));
    cells
}

fn status(object: &Object, job: &Job) -> &'static str {
    match &job.phase {
        JobPhase::Finished(Finish { failure: None, .. }) => "Complete",
        JobPhase::Finished(_) => "Failed",
        _ if object.meta.deletion.is_some() => "Terminating",
        _ if job.attempt.as_ref().is_some_and(|a| matches!(a.state, AttemptState::Stopping { .. })) => {
            "Stopping"
        }
        JobPhase::Suspended => "Suspended",
        JobPhase::Queued => "Queued",
        JobPhase::Reserved(_) => "Reserved",
        JobPhase::Active => match job.attempt.as_ref().map(|attempt| attempt.state) {
            Some(AttemptState::Running { .. }) => "Running",
            _ => "Starting",
        },
    }
}

fn completions(job: &Job) -> String {
    let (done, completion) = (job.pods.succeeded, &job.spec.completion);
    match completion.completions {
        Some(wanted) => format!("{done}/{wanted}"),
        None if completion.parallelism > 1 => format!("{done}/1 of {}", completion.parallelism),
        None => format!("{done}/1"),
    }
}

fn duration(job: &Job, rows: &Rows) -> Value {
    match (job.start_time, &job.phase) {
        (None, _) => json!(""),
        (Some(start), JobPhase::Finished(finish)) => rows.between(start, finish.at),
        (Some(start), _) => rows.since(start),
    }
}

fn cluster(job: &Job) -> &str {
    match (&job.attempt, &job.phase) {
        (Some(attempt), _) => attempt.assignment.member.as_str(),
        (None, JobPhase::Reserved(held)) => held.assignment.member.as_str(),
        (None, JobPhase::Finished(finish)) if !finish.member.as_str().is_empty() => finish.member.as_str(),
        _ => NONE,
    }
}

fn template_texts(body: &Value) -> Vec<String> {
    let containers = body.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let joined = |field: &str| {
        let texts = containers.into_iter().flatten().filter_map(|item| item.get(field)?.as_str());
        texts.collect::<Vec<_>>().join(",")
    };
    let labels = body.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    vec![joined("name"), joined("image"), pairs.collect::<Vec<_>>().join(",")]
}
