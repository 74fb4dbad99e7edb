//! The fleet at a glance: what waits and why (`muster queue`), and what runs where at what price (`muster top`).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use muster_core::State;
use muster_model::{JobPhase, Key, Kind, MemberName, MicroUsd, Object, PriceClass, Readiness, kinds};
use serde_json::{Value, json};

use super::call::Call;
use super::query::Query;
use super::respond::{self, Answered};
use super::{proxy_out, refusal};

/// Jobs that one answer explains; each is priced on every cluster.
const EXPLAINED_MAX: u64 = 200;
/// Jobs that an answer explains unless it is asked for more.
const EXPLAINED: u64 = 20;

/// What waits, in order, with the reason of the first ones.
///
/// # Errors
/// 400 for a number that is none, 503 without a leader.
pub async fn queue(call: &Call) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &Bytes::new()).await {
        return answered;
    }
    let query = Query::of(call);
    let limit = query.number("limit")?.unwrap_or(EXPLAINED).min(EXPLAINED_MAX);
    let state = call.newest().await?;
    let changed = || refusal::unavailable("the leader has just changed; try again");
    let queue =
        call.api.leader.queue(usize::try_from(limit).unwrap_or_default()).await.ok_or_else(changed)?;
    let waiting = queue.first.iter().filter_map(|job| {
        let object = state.get(&job.key)?;
        Some(shown_job(object, Some(job.position), &job.reason))
    });
    let reserved: Vec<Value> = reserved(&state);
    let value = json!({
        "waiting": queue.total,
        "jobs": waiting.collect::<Vec<_>>(),
        "reserved": reserved,
    });
    Ok(respond::json(StatusCode::OK, &value))
}

/// Jobs that have a place once the attempts in the way have ended.
fn reserved(state: &State) -> Vec<Value> {
    let jobs = state.live_jobs().filter_map(|key| {
        let object = state.get(key)?;
        let JobPhase::Reserved(reservation) = &object.job()?.phase else { return None };
        let reason = format!(
            "has a place on {} once the attempts in the way have ended",
            reservation.assignment.member
        );
        Some(shown_job(object, None, &reason))
    });
    jobs.take(EXPLAINED_MAX as usize).collect()
}

fn shown_job(object: &Object, position: Option<u64>, reason: &str) -> Value {
    let Key { namespace, name, .. } = &object.key;
    let job = object.job();
    let gpus_milli = job.map_or(0, |job| job.spec.total_request().gpu_milli);
    json!({
        "job": format!("{namespace}/{name}"),
        "position": position,
        "gpus": format!("{}.{:03}", gpus_milli / 1000, gpus_milli % 1000).trim_end_matches('0').trim_end_matches('.'),
        "since": job.map(|job| job.queued_at.to_string()),
        "attempts": job.map(|job| job.attempts),
        "reason": reason,
    })
}

/// Members with their GPUs by model, the jobs that run there, and what those cost per hour.
///
/// # Errors
/// 503 without a leader.
pub async fn top(call: &Call) -> Answered {
    let state = call.newest().await?;
    let mut members = Vec::new();
    let (mut jobs, mut hourly) = (0, MicroUsd(0));
    let mut models: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for object in state.list(&Kind::new(kinds::CLUSTER), None, None) {
        let Some(cluster) = object.cluster() else { continue };
        let member = MemberName::new(std::sync::Arc::clone(&object.key.name));
        let (running, price) = running_on(&state, &member);
        jobs += running;
        hourly += price;
        let gpus = cluster.status.nodes.gpus().into_iter().map(|(model, total, free)| {
            let sums = models.entry(model.to_string()).or_default();
            *sums = (sums.0 + total, sums.1 + free);
            shown_gpus(&model.to_string(), total, free)
        });
        members.push(json!({
            "name": &*object.key.name,
            "ready": matches!(cluster.status.ready, Readiness::Ready { .. }),
            "cordoned": cluster.spec.unschedulable,
            "location": cluster.spec.location.to_string(),
            "priceClass": price_class(cluster.spec.price_class),
            "gpus": gpus.collect::<Vec<_>>(),
            "jobs": running,
            "hourly": price.to_string(),
        }));
    }
    let gpus: Vec<Value> =
        models.iter().map(|(model, (total, free))| shown_gpus(model, *total, *free)).collect();
    let total = json!({"gpus": gpus, "jobs": jobs, "hourly": hourly.to_string()});
    Ok(respond::json(StatusCode::OK, &json!({"members": members, "total": total})))
}

fn shown_gpus(model: &str, total_milli: u64, free_milli: u64) -> Value {
    let whole = |milli: u64| milli / 1000;
    json!({
        "model": model,
        "total": whole(total_milli),
        "used": whole(total_milli.saturating_sub(free_milli)),
        "free": whole(free_milli),
    })
}

/// Attempts on a member, and their price per hour.
fn running_on(state: &State, member: &MemberName) -> (u64, MicroUsd) {
    let attempts = state.jobs_on(member).filter_map(|key| {
        let attempt = state.get(key)?.job()?.attempt.as_deref()?;
        (attempt.assignment.member == *member).then_some(attempt.assignment.hourly)
    });
    attempts.fold((0, MicroUsd(0)), |(count, sum), hourly| (count + 1, sum + hourly))
}

fn price_class(class: PriceClass) -> &'static str {
    match class {
        PriceClass::OnPrem => "onPrem",
        PriceClass::OnDemand => "onDemand",
        PriceClass::Spot => "spot",
    }
}
