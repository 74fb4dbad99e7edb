//! Questions to the leader about burst pools, and what is asked of them beyond objects.

use bytes::Bytes;
use http::StatusCode;
use muster_kubeapi::field::FieldError;
use muster_kubeapi::kinds::StoredKind;
use muster_kubeapi::status::Status;
use muster_leader::{PoolOutlook, PoolVerdict};
use muster_model::{
    Answer, BurstCommand, BurstPool, BurstPoolSpec, Command, Intent, Key, Kind, MemberName,
    PoolConditionKind, Spec, TimeMs, kinds,
};
use muster_placement::{View, pool_price};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::proxy_out;
use super::refusal;
use super::respond::{self, Answered};
use crate::hub::now;

/// GET of what a pool would do now, and why.
///
/// # Errors
/// 404, 503 without a leader.
pub async fn why(call: &Call, name: &str) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &Bytes::new()).await {
        return answered;
    }
    let key = Key::new(kinds::BURST_POOL, "", name);
    let state = call.newest().await?;
    let Some(pool) = state.get(&key).and_then(|object| object.burst_pool()) else {
        return Err(refusal::of_apply(&muster_model::Rejection::NotFound(key)));
    };
    let changed =
        || refusal::unavailable("the leader has just changed, or the pool has just gone; try again");
    let outlook = call.api.leader.pool_outlook(key).await.ok_or_else(changed)?;
    Ok(respond::json(StatusCode::OK, &told(name, pool, &outlook, now())))
}

fn told(name: &str, pool: &BurstPool, outlook: &PoolOutlook, now: TimeMs) -> Value {
    let (wanted, reason, fix) = match &outlook.verdict {
        PoolVerdict::Wanted(because) => (true, because.to_string(), None),
        PoolVerdict::NotWanted { reason, fix } => (false, reason.clone(), fix.clone()),
    };
    let demand = &outlook.demand;
    let terraform = pool.condition(PoolConditionKind::Terraform);
    json!({
        "pool": name,
        "wanted": wanted,
        "reason": reason,
        "fix": fix,
        "hourly": outlook.hourly.as_ref().ok().map(ToString::to_string),
        "priceCap": pool.spec.price_cap.to_string(),
        "waiting": {
            "jobs": demand.jobs,
            "fitNowhereElse": demand.homeless,
            "waitCostPerHour": demand.wait_cost_per_hour.to_string(),
            "first": demand.first.as_ref().map(|key| format!("{}/{}", key.namespace, key.name)),
        },
        "terraform": terraform.map(|told| told.message.to_string()),
        "active": pool.active().count(),
        "max": pool.spec.max,
        "costSoFar": pool.cost_at(now).to_string(),
        "members": pool.status.intents.iter().map(|intent| member(intent, now)).collect::<Vec<_>>(),
    })
}

fn member(intent: &Intent, now: TimeMs) -> Value {
    json!({
        "name": intent.member.as_str(),
        "intent": intent.id.to_string(),
        "phase": intent.phase.as_str(),
        "since": intent.since.to_string(),
        "cost": intent.cost_at(now).to_string(),
        "because": &*intent.because,
        "failure": intent.failure.as_deref(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestroyRequest {
    #[serde(default)]
    member: Option<String>,
}

/// POST of the wish that members of a pool go.
///
/// # Errors
/// 404, 422 for a member that the pool does not have.
pub async fn destroy(call: &Call, name: &str, body: &Bytes) -> Answered {
    let request: DestroyRequest = match body.is_empty() {
        true => DestroyRequest { member: None },
        false => serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))?,
    };
    let pool = Key::new(kinds::BURST_POOL, "", name);
    let member = request.member.map(MemberName::new);
    let command = BurstCommand::Destroy { pool, member: member.clone(), principal: call.user.principal() };
    let object = match call.propose(Command::Burst(Box::new(command)), false).await? {
        Answer::Rejected(rejection) => return Err(refusal::of_apply(&rejection)),
        Answer::Stored(object) => object,
        _ => return Err(Status::internal("a pool was expected")),
    };
    let going = object.burst_pool().into_iter().flat_map(BurstPool::active).filter(|intent| intent.unwanted);
    let going: Vec<&str> = going.map(|intent| intent.member.as_str()).collect();
    Ok(respond::json(StatusCode::OK, &json!({"pool": name, "going": going})))
}

/// Refuses a pool whose cap is below the price that its members have by the price books as they are. Prices that change later
/// are told by the pool's condition.
///
/// # Errors
/// 422 with the field.
pub async fn check_price(call: &Call, name: &str, spec: &Spec) -> Result<(), Status> {
    let Spec::BurstPool(pool) = spec else { return Ok(()) };
    let state = call.newest().await?;
    let books = state.list(&Kind::new(kinds::PRICE_BOOK), None, None);
    let view = View::new(books, state.revision());
    let kind = StoredKind::of(&Kind::new(kinds::BURST_POOL)).ok_or_else(Status::path_not_found)?;
    over_cap(&view, pool).map_or(Ok(()), |error| Err(Status::invalid(&kind.resource, name, &[error])))
}

/// What is wrong with a pool's cap; a member without a price is none of its business.
fn over_cap(view: &View, pool: &BurstPoolSpec) -> Option<FieldError> {
    let hourly = pool_price(view, pool).ok().filter(|hourly| *hourly > pool.price_cap)?;
    let rule = format!(
        "is below the price of a member, ${hourly}/h: raise it, or choose smaller nodes or another place"
    );
    Some(FieldError::invalid_text("spec.priceCap".to_owned(), &pool.price_cap.to_string(), &rule))
}
