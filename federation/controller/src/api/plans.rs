//! Questions to the leader's planner: where would these jobs go (`muster plan`), and why does this one wait (`muster why`).

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use muster_core::State;
use muster_kubeapi::document;
use muster_kubeapi::kinds::StoredKind;
use muster_kubeapi::kinds::quantity::bytes_text;
use muster_kubeapi::negotiate;
use muster_kubeapi::status::Status;
use muster_kubeapi::validate::{FieldValidation, decode, identity, names};
use muster_model::{AttemptState, Job, JobPhase, JobSpec, Key, Kind, Spec, kinds};
use muster_placement::{ClusterReport, PlacementReport, Verdict, kind_text};
use serde_json::{Map, Value, json};

use super::admission;
use super::call::Call;
use super::proxy_out;
use super::refusal;
use super::respond::{self, Answered};
use crate::hub::now;
use crate::leader_task::{Explained, JobQuery};

/// Jobs of one review; each is priced on every cluster.
const JOBS_MAX: usize = 1_000;

/// POST of a Job, or a List of documents, that is to be reviewed and not stored.
///
/// # Errors
/// Whatever a create of the same body would be refused for; 503 without a leader.
pub async fn review(call: &Call, namespace: &str, body: &Bytes) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, body).await {
        return answered;
    }
    let encoding = negotiate::content_type(call.header(&CONTENT_TYPE))?;
    let whole =
        document::parse(body, encoding, None).map_err(|error| Status::bad_request(error.to_string()))?;
    let (jobs, others) = jobs_of(whole.value)?;
    let mut reviewed = Vec::with_capacity(jobs.len());
    for (index, job) in jobs.into_iter().enumerate() {
        let (key, spec) = read(namespace, job, index)?;
        reviewed.push(plan_of(&explained(call, JobQuery::Planned(key, spec)).await?.report));
    }
    let response = respond::json(StatusCode::OK, &json!({ "jobs": reviewed }));
    let left_out =
        others.iter().map(|kind| format!("a document of kind {kind} was left out: only Jobs are planned"));
    Ok(respond::with_warnings(response, &left_out.collect::<Vec<_>>()))
}

/// GET of why a stored job is where it is.
///
/// # Errors
/// 404, 503 without a leader.
pub async fn why(call: &Call, namespace: &str, name: &str) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &Bytes::new()).await {
        return answered;
    }
    let key = Key::job(namespace, name);
    let state = call.newest().await?;
    let Some(job) = state.get(&key).and_then(|object| object.job()) else {
        return Err(refusal::of_apply(&muster_model::Rejection::NotFound(key)));
    };
    let waits = matches!(job.phase, JobPhase::Queued);
    let on_its_way = data_on_its_way(&state, &key, job);
    let Explained { report, position } = explained(call, JobQuery::Stored(key)).await?;
    let reasons = report.reasons().filter(|_| waits);
    let reasons: Vec<Value> = reasons
        .map(|(cluster, reason)| json!({"cluster": cluster.as_str(), "reason": reason.to_string()}))
        .collect();
    let value = json!({
        "job": format!("{namespace}/{name}"),
        "phase": phase(job),
        "summary": if waits { report.summary() } else { on_its_way.unwrap_or_else(|| summary(job)) },
        "reasons": reasons,
        "smallestFix": report.smallest_fix().filter(|_| waits),
        // Who can never be placed is not next, wherever it stands.
        "position": position.filter(|_| report.verdict != Verdict::Never),
    });
    Ok(respond::json(StatusCode::OK, &value))
}

async fn explained(call: &Call, query: JobQuery) -> Result<Explained, Status> {
    let changed = || refusal::unavailable("the leader has just changed, or the job has just gone; try again");
    call.api.leader.explain(query).await.ok_or_else(changed)
}

/// The jobs of a body, and the kinds of what is none.
fn jobs_of(value: Value) -> Result<(Vec<Value>, Vec<String>), Status> {
    let kind = |value: &Value| value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = match value {
        Value::Object(mut map) if map.contains_key("items") => match map.remove("items") {
            Some(Value::Array(items)) => items,
            _ => return Err(Status::bad_request("items: must be a list of documents")),
        },
        value => vec![value],
    };
    let (jobs, others): (Vec<Value>, Vec<Value>) = items.into_iter().partition(|item| kind(item) == "Job");
    if jobs.is_empty() {
        return Err(Status::bad_request("the body holds no Job; give a batch/v1 Job, or a List with some"));
    }
    if jobs.len() > JOBS_MAX {
        return Err(Status::bad_request(format!("items: at most {JOBS_MAX} jobs are reviewed at a time")));
    }
    Ok((jobs, others.iter().map(kind).collect()))
}

fn read(namespace: &str, mut job: Value, index: usize) -> Result<(Key, Arc<JobSpec>), Status> {
    let kind = StoredKind::of(&Kind::new(kinds::JOB)).ok_or_else(Status::path_not_found)?;
    let encoded = job.to_string();
    job =
        decode(&kind.resource, encoded.as_bytes(), document::Encoding::Json, FieldValidation::Ignore)?.object;
    identity(&mut job, Some(namespace), None)?;
    admission::take_system_fields(&mut job);
    let prefix = job.pointer("/metadata/generateName").and_then(Value::as_str).map(str::to_owned);
    if let (Some(prefix), "") = (prefix, admission::name_of(&job)) {
        let name = names::generated(&prefix, u64::try_from(index).unwrap_or_default());
        admission::meta_of(&mut job).unwrap_or(&mut Map::new()).insert("name".to_owned(), json!(name));
    }
    let key = Key::job(namespace, admission::name_of(&job));
    match admission::admit_new(kind, job)?.1.spec {
        Spec::Job(spec) => Ok((key, spec)),
        _ => Err(Status::internal("a Job was read as something else")),
    }
}

/// One job of `muster plan -o json`.
fn plan_of(report: &PlacementReport) -> Value {
    let verdict = match report.verdict {
        Verdict::Now => "now",
        Verdict::Wait => "wait",
        Verdict::Never => "never",
    };
    let clusters: Vec<Value> = report.clusters.iter().map(cluster).collect();
    json!({
        "job": format!("{}/{}", report.job.namespace, report.job.name),
        "verdict": verdict,
        "summary": report.summary(),
        "chosen": report.chosen.as_ref().map(|name| name.as_str()),
        "revision": report.revision.0.to_string(),
        "clusters": clusters,
    })
}

fn cluster(report: &ClusterReport) -> Value {
    let mut out = json!({"name": report.name.as_str(), "feasible": report.is_feasible()});
    if let Some(model) = &report.gpu_model {
        out["gpuModel"] = json!(model.to_string());
    }
    if let Some(quote) = &report.quote {
        let lines = quote.lines.iter().map(|line| {
            json!({"kind": kind_text(line.kind), "amount": line.amount.to_string(), "basis": line.basis.text(now())})
        });
        out["total"] = json!(quote.total.to_string());
        out["lines"] = lines.collect();
    }
    if let Some(rejected) = &report.rejected {
        out["rejected"] = json!({"reason": rejected.to_string(), "fix": rejected.fix()});
    }
    out
}

fn phase(job: &Job) -> &'static str {
    match (&job.phase, job.attempt.as_ref().map(|attempt| attempt.state)) {
        (JobPhase::Suspended, None) => "Suspended",
        (JobPhase::Queued, None) => "Queued",
        (JobPhase::Reserved(_), None) => "Reserved",
        (JobPhase::Finished(finish), _) if finish.failure.is_some() => "Failed",
        (JobPhase::Finished(_), _) => "Complete",
        (_, Some(AttemptState::Granted)) => "Granted",
        (_, Some(AttemptState::Running { .. })) => "Running",
        (_, Some(AttemptState::Stopping { .. })) => "Stopping",
        (JobPhase::Active, None) => "Active",
    }
}

/// The first dataset that a job with a place still waits for.
fn data_on_its_way(state: &State, job: &Key, it: &Job) -> Option<String> {
    let attempt = it.attempt.as_deref().filter(|attempt| attempt.state == AttemptState::Granted)?;
    let member = &attempt.assignment.member;
    attempt.assignment.data.iter().find_map(|need| {
        let key = Key::transfer(&job.namespace, &need.data.dataset, member.as_str());
        let transfer = state.get(&key)?.transfer().filter(|one| one.is_open() && one.data == need.data)?;
        Some(format!(
            "starts on {member} when dataset {} {} is there: {} of {} still to come from {}",
            need.data.dataset,
            need.data.version,
            bytes_text(transfer.progress.missing_bytes),
            bytes_text(transfer.bytes),
            transfer.source
        ))
    })
}

/// What there is to say of a job that does not wait for a place.
fn summary(job: &Job) -> String {
    let attempt = job.attempt.as_ref();
    match (&job.phase, attempt) {
        (JobPhase::Finished(finish), _) => match &finish.failure {
            Some(failure) => format!("failed at {}: {}: {}", finish.at, failure.reason, failure.message),
            None => format!("completed at {}", finish.at),
        },
        (_, Some(attempt)) => {
            let place = &attempt.assignment;
            match attempt.state {
                AttemptState::Granted => format!("starts on {}: {}", place.member, place.because),
                AttemptState::Running { since } => {
                    format!("runs on {} since {since}: {}", place.member, place.because)
                }
                AttemptState::Stopping { since, .. } => {
                    format!("is being stopped on {} since {since}", place.member)
                }
            }
        }
        (JobPhase::Reserved(reservation), None) => {
            format!(
                "has a place on {} once the attempts in the way have ended",
                reservation.assignment.member
            )
        }
        (JobPhase::Suspended, None) if !job.spec.suspend => {
            "wants no pods: spec.parallelism is 0; raise it to queue the job".to_owned()
        }
        (JobPhase::Suspended, None) => "is held by spec.suspend; set it to false to queue the job".to_owned(),
        (JobPhase::Queued | JobPhase::Active, None) => "is about to be placed".to_owned(),
    }
}
