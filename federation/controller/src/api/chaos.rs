//! Faults and game days, as `muster chaos` and `muster gameday` ask for them.
//!
//! ```text
//!  GET  /muster/v1/faults                        all faults of the last day
//!  POST /muster/v1/faults {kind, target, for}    inject one
//!  POST /muster/v1/faults/ID/abort               end it
//!  POST /muster/v1/chaos/abort | stop | resume   end all | and refuse new ones | take them again
//!  POST /muster/v1/clusters/NAME/drain | undrain {owner}
//!  GET  /muster/v1/gamedays/NAME/plan            a dry run
//!  POST /muster/v1/gamedays/NAME/run {planHash} | approve {planHash, for} | abort
//!  GET  /muster/v1/replicas/NAME/faults          what the hub wants of a replica, for the replica itself
//! ```

use std::sync::Arc;

use http::{Method, StatusCode};
use muster_kubeapi::kinds::{exact_time, fault_json, parse_duration};
use muster_kubeapi::status::Status;
use muster_model::{
    AbortFaults, Answer, Approval, ApproveGameDay, Command, DocumentHash, Drain, DurationMs, FaultKind,
    FaultOwner, FaultSpec, FaultTarget, Key, Kind, MemberName, Object, Rejection, ResumeChaos, Ruling,
    StartFault, StartGameDay, StopGameDay, Verdict, kinds,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::respond::{self, Answered};
use super::verbs::{parsed, replicas_json};
use super::{proxy_out, refusal};
use crate::agents::{random_id, random_uid};
use crate::chaos::{DayAnswer, OrderJson};
use crate::hub::now;

/// How long an approval holds unless it says otherwise, and at most.
const APPROVAL: DurationMs = DurationMs::from_secs(7 * 24 * 3600);
const APPROVAL_MAX: DurationMs = DurationMs::from_secs(90 * 24 * 3600);

/// One of the endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChaosVerb {
    /// All faults.
    List,
    /// Inject one.
    Inject,
    /// End one.
    Abort(String),
    /// End all of them.
    AbortAll,
    /// End all, and refuse new ones.
    Stop,
    /// Take new ones again.
    Resume,
    /// Drain a member, or let go of it.
    Drain(String, bool),
    /// A game day's plan.
    Plan(String),
    /// Run a game day.
    Run(String),
    /// Agree to its plan.
    Approve(String),
    /// End its run.
    AbortDay(String),
    /// What the hub wants of a replica.
    Orders(String),
}

/// The endpoint behind `/muster/v1`, and the method it takes.
pub fn route(method: &Method, parts: &[&str]) -> Option<(ChaosVerb, Method)> {
    let own = |text: &&str| (*text).to_owned();
    Some(match parts {
        ["faults"] if *method == Method::POST => (ChaosVerb::Inject, Method::POST),
        ["faults"] => (ChaosVerb::List, Method::GET),
        ["faults", id, "abort"] => (ChaosVerb::Abort(own(id)), Method::POST),
        ["chaos", "abort"] => (ChaosVerb::AbortAll, Method::POST),
        ["chaos", "stop"] => (ChaosVerb::Stop, Method::POST),
        ["chaos", "resume"] => (ChaosVerb::Resume, Method::POST),
        ["clusters", name, "drain"] => (ChaosVerb::Drain(own(name), true), Method::POST),
        ["clusters", name, "undrain"] => (ChaosVerb::Drain(own(name), false), Method::POST),
        ["gamedays", name, "plan"] => (ChaosVerb::Plan(own(name)), Method::GET),
        ["gamedays", name, "run"] => (ChaosVerb::Run(own(name)), Method::POST),
        ["gamedays", name, "approve"] => (ChaosVerb::Approve(own(name)), Method::POST),
        ["gamedays", name, "abort"] => (ChaosVerb::AbortDay(own(name)), Method::POST),
        ["replicas", name, "faults"] => (ChaosVerb::Orders(own(name)), Method::GET),
        _ => return None,
    })
}

/// Answers one of the endpoints.
///
/// # Errors
/// As the endpoint says.
pub async fn answer(call: &Call, verb: ChaosVerb, body: &[u8]) -> Answered {
    let principal = call.user.principal();
    match verb {
        ChaosVerb::List => list(call).await,
        ChaosVerb::Inject => inject(call, body).await,
        ChaosVerb::Abort(id) => {
            let abort = AbortFaults { id: Some(id.as_str().into()), stop: false, principal };
            faults_of(call, Command::AbortFaults(abort)).await
        }
        ChaosVerb::AbortAll => {
            done(call, Command::AbortFaults(AbortFaults { id: None, stop: false, principal })).await
        }
        ChaosVerb::Stop => {
            done(call, Command::AbortFaults(AbortFaults { id: None, stop: true, principal })).await
        }
        ChaosVerb::Resume => done(call, Command::ResumeChaos(ResumeChaos { principal })).await,
        ChaosVerb::Drain(name, on) => drain(call, &name, on, body).await,
        ChaosVerb::Plan(name) => plan(call, &name).await,
        ChaosVerb::Run(name) => run(call, &name, body).await,
        ChaosVerb::Approve(name) => approve(call, &name, body).await,
        ChaosVerb::AbortDay(name) => {
            let reason = format!("aborted by {principal}");
            let ruling = Ruling { verdict: Verdict::Aborted, reason: reason.into() };
            let stop = StopGameDay { day: name.into(), run: None, ruling, principal };
            done(call, Command::StopGameDay(stop)).await
        }
        ChaosVerb::Orders(name) => {
            let own = FaultTarget::Replica(name.into());
            let orders = call.api.hub.stale().fault_orders(&own, now());
            let orders: Vec<OrderJson> = orders.iter().map(OrderJson::of).collect();
            Ok(respond::json(StatusCode::OK, &json!(orders)))
        }
    }
}

async fn list(call: &Call) -> Answered {
    let state = call.newest().await?;
    let mut faults: Vec<&Arc<Object>> = state.list(&Kind::new(kinds::FAULT), None, None).collect();
    faults.sort_by_key(|object| object.meta.created);
    let shown = faults.iter().filter_map(|object| Some(fault_json(&object.key.name, object.fault()?)));
    let stopped = state.get(&Key::chaos_stop()).is_some();
    let value = json!({"faults": shown.collect::<Vec<_>>(), "stopped": stopped});
    Ok(respond::json(StatusCode::OK, &value))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InjectRequest {
    kind: String,
    target: String,
    r#for: String,
}

async fn inject(call: &Call, body: &[u8]) -> Answered {
    let request: InjectRequest = parsed(body)?;
    let kind = FaultKind::of_word(&request.kind)
        .ok_or_else(|| refused("kind", "must be drain, partition, kill or pause"))?;
    let ttl = parse_duration(&request.r#for).map_err(|why| refused("for", why))?;
    let target = target(call, &request.target).await?;
    if let FaultTarget::Replica(name) = &target {
        keeps_quorum(call, name).await?;
    }
    let principal = call.user.principal();
    let start = StartFault {
        // Read aloud by people, so short; a second one of the same name is refused and nothing else.
        id: format!("{}-{}-{:06x}", kind.word(), target.name(), random_id() & 0xff_ffff).into(),
        uid: random_uid(),
        spec: FaultSpec { kind, target, ttl },
        owner: FaultOwner::Principal(principal.clone()),
        principal,
        replicas: call.api.replicas.values().map(|name| name.as_str().into()).collect(),
    };
    faults_of(call, Command::StartFault(Box::new(start))).await
}

/// `member/NAME`, `replica/NAME`, or a name that is one of both: a member goes first.
async fn target(call: &Call, text: &str) -> Result<FaultTarget, Status> {
    if let Some(name) = text.strip_prefix("member/") {
        return Ok(FaultTarget::Member(MemberName::new(name)));
    }
    let replica = text.strip_prefix("replica/");
    let is_replica = call.api.replicas.values().any(|name| name == text);
    let is_member = replica.is_none() && call.newest().await?.get(&Key::cluster(text)).is_some();
    match replica {
        Some(name) => Ok(FaultTarget::Replica(name.into())),
        None if is_member => Ok(FaultTarget::Member(MemberName::new(text))),
        None if is_replica => Ok(FaultTarget::Replica(text.into())),
        None => Err(refused("target", format!("there is no member or replica {text:?}"))),
    }
}

/// Apply counts faults; here also replicas that are down without one.
async fn keeps_quorum(call: &Call, name: &str) -> Result<(), Status> {
    let all = replicas_json(call).await;
    let all = all["replicas"].as_array().cloned().unwrap_or_default();
    let is_up = |replica: &&Value| replica["role"] != "unreachable" && replica["name"] != name;
    let left = all.iter().filter(is_up).count();
    if left > all.len() / 2 {
        return Ok(());
    }
    let why =
        format!("{left} of {} replicas would be left, which is no quorum: wait for the others", all.len());
    Err(refused("target", why))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct DrainRequest {
    owner: Option<String>,
}

async fn drain(call: &Call, name: &str, on: bool, body: &[u8]) -> Answered {
    let request: DrainRequest = if body.is_empty() { DrainRequest::default() } else { parsed(body)? };
    let principal = call.user.principal();
    let owner = request.owner.unwrap_or_else(|| principal.to_string());
    if owner.is_empty() || owner.len() > 253 {
        return Err(refused("owner", "must have 1 to 253 characters"));
    }
    let member = MemberName::new(name);
    done(call, Command::Drain(Drain { member, owner: owner.into(), on, principal })).await
}

async fn plan(call: &Call, name: &str) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &bytes::Bytes::new()).await {
        return answered;
    }
    let planned = day_plan(call, name).await?;
    let state = call.api.hub.stale();
    Ok(respond::json(StatusCode::OK, &planned.json(name, &state)))
}

async fn day_plan(call: &Call, name: &str) -> Result<DayAnswer, Status> {
    let key = Key::game_day(name);
    if call.newest().await?.get(&key).is_none() {
        return Err(refusal::of_apply(&Rejection::NotFound(key)));
    }
    let changed = || refusal::unavailable("the leader has just changed; try again");
    call.api.leader.day_plan(name.into()).await.ok_or_else(changed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanHashRequest {
    plan_hash: String,
    r#for: Option<String>,
}

impl PlanHashRequest {
    fn hash(&self) -> Result<DocumentHash, Status> {
        let hash = u128::from_str_radix(&self.plan_hash, 16).ok().filter(|_| self.plan_hash.len() == 32);
        let rule = "must be the 32 hexadecimal digits that `muster gameday plan` prints";
        hash.map(DocumentHash).ok_or_else(|| refused("planHash", rule))
    }
}

async fn run(call: &Call, name: &str, body: &[u8]) -> Answered {
    if let Some(answered) = proxy_out::at_leader(call, &bytes::Bytes::copy_from_slice(body)).await {
        return answered;
    }
    let approved = parsed::<PlanHashRequest>(body)?.hash()?;
    let planned = day_plan(call, name).await?.may_run().map_err(|why| refused("plan", why))?;
    let start = StartGameDay {
        day: name.into(),
        uid: planned.uid,
        plan: planned.plan,
        hash: planned.hash,
        approved: Some(approved),
        principal: call.user.principal(),
    };
    done(call, Command::StartGameDay(Box::new(start))).await
}

async fn approve(call: &Call, name: &str, body: &[u8]) -> Answered {
    let request: PlanHashRequest = parsed(body)?;
    let lasts = request.r#for.as_deref().map(parse_duration).transpose();
    let lasts = lasts.map_err(|why| refused("for", why))?.unwrap_or(APPROVAL);
    if lasts > APPROVAL_MAX || lasts.0 == 0 {
        return Err(refused("for", "must be from 1s to 90d"));
    }
    let approval = Approval { plan: request.hash()?, by: call.user.principal(), expires: now().plus(lasts) };
    let expires = exact_time(approval.expires);
    let approve = ApproveGameDay { day: name.into(), approval };
    committed(call, Command::ApproveGameDay(approve)).await?;
    let value = json!({"gameDay": name, "planHash": request.plan_hash, "expiresAt": expires});
    Ok(respond::json(StatusCode::OK, &value))
}

fn refused(field: &'static str, why: impl Into<Arc<str>>) -> Status {
    refusal::of_apply(&Rejection::Invalid { field, reason: why.into() })
}

async fn committed(call: &Call, command: Command) -> Result<Answer, Status> {
    match call.propose(command, false).await? {
        Answer::Rejected(rejection) => Err(refusal::of_apply(&rejection)),
        answer => Ok(answer),
    }
}

async fn done(call: &Call, command: Command) -> Answered {
    committed(call, command).await?;
    Ok(respond::json(StatusCode::OK, &json!({"status": "Success"})))
}

/// The fault that a command was about.
async fn faults_of(call: &Call, command: Command) -> Answered {
    match committed(call, command).await? {
        Answer::Stored(object) => match object.fault() {
            Some(fault) => Ok(respond::json(StatusCode::OK, &fault_json(&object.key.name, fault))),
            None => Err(Status::internal("a fault was answered with something else")),
        },
        _ => Err(Status::internal("a fault was answered with something else")),
    }
}
