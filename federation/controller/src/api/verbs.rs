//! What is asked of the hub beyond objects. All of it is for `system:masters`.
//!
//! ```text
//!  POST /apis/muster.sh/v1alpha1/namespaces/NS/placementreviews   where would these jobs go    muster plan
//!  GET  /muster/v1/namespaces/NS/jobs/NAME/why                    why does it wait             muster why
//!  GET  /muster/v1/replicas                                       how the replicas stand       muster replicas
//!  GET  /muster/v1/replica                                        how this one stands
//!  POST /muster/v1/jointokens {name, ttlSeconds}                  a token for a new member     muster cluster join
//!  POST /muster/v1/credentials {user, groups}                     a bearer token for a user
//!  GET  /muster/v1/queue | top                                    what waits, what runs           muster queue, top
//!  GET  /muster/v1/cost, events, audit..., history/... as `history` and `told` say
//!  GET  /muster/v1/burstpools/NAME/why | POST .../destroy         what it would do | members go  muster burst
//!  .... /muster/v1/secrets, authority, kubeconfig                 see `sealing`
//!  POST /muster/v1/clusters/NAME/revoke | declare-lost            its certificates | attempts are over
//!  ...                                                            faults and game days: see `chaos`
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use muster_consensus::{ReplicaId, Role};
use muster_kubeapi::status::Status;
use muster_kubeapi::validate::names;
use muster_model::{
    Answer, Command, CredentialSpec, Document, DurationMs, JoinTokenSpec, Key, MemberName, Put, PutMode,
    Spec, kinds,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, read_body};
use super::chaos::{self, ChaosVerb};
use super::respond::{self, Answered};
use super::{burst, fleet, history, plans, proxy_out, refusal, sealing, told};
use crate::agents::{random_uid, secret, token_hash};
use crate::clocks::REPLICA_PATH;
use crate::hub::now;
use crate::pki::ca_pin;

/// How long a join token lives unless it says otherwise, and at most.
const TOKEN_TTL_S: u64 = 300;
const TOKEN_TTL_MAX_S: u64 = 24 * 3600;
/// How long another replica may take to say how it stands.
const REPLICA_PATIENCE: Duration = Duration::from_secs(2);
/// The version of what is read from these documents.
const TYPED_VERSION: u16 = 1;

/// One of our own endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Review jobs of a namespace.
    Review(String),
    /// Explain a job.
    Why(String, String),
    /// How all replicas stand.
    Replicas,
    /// How this replica stands.
    Replica,
    /// Make a join token.
    JoinToken,
    /// Make a bearer token.
    Credential,
    /// Explain a burst pool.
    BurstWhy(String),
    /// Remove members of a burst pool.
    BurstDestroy(String),
    /// Refuse a member's certificates.
    Revoke(String),
    /// Declare a member's attempts dead.
    DeclareLost(String),
    /// What waits.
    Queue,
    /// What runs where.
    Top,
    /// What it cost.
    Cost,
    /// What people were told.
    Events,
    /// Audit records.
    Audit,
    /// Whether all replicas have them whole.
    AuditVerify,
    /// Whether this one has.
    AuditCheck,
    /// Segments of a stream of history.
    Segments(String),
    /// One of them.
    Segment(String, String),
    /// Faults and game days.
    Chaos(ChaosVerb),
    /// Keys and certificates.
    Sealing(sealing::Verb),
}

/// The endpoint at a path, if it is one of ours.
///
/// # Errors
/// 405 for another method.
pub fn route(method: &Method, path: &str) -> Option<Result<Verb, Status>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let own = |text: &&str| (*text).to_owned();
    let (verb, wanted) = match parts.as_slice() {
        ["apis", "muster.sh", "v1alpha1", "namespaces", namespace, "placementreviews"] => {
            (Verb::Review(own(namespace)), Method::POST)
        }
        ["muster", "v1", "namespaces", namespace, "jobs", name, "why"] => {
            (Verb::Why(own(namespace), own(name)), Method::GET)
        }
        ["muster", "v1", "replicas"] => (Verb::Replicas, Method::GET),
        ["muster", "v1", "replica"] => (Verb::Replica, Method::GET),
        ["muster", "v1", "jointokens"] => (Verb::JoinToken, Method::POST),
        ["muster", "v1", "credentials"] => (Verb::Credential, Method::POST),
        ["muster", "v1", "burstpools", name, "why"] => (Verb::BurstWhy(own(name)), Method::GET),
        ["muster", "v1", "burstpools", name, "destroy"] => (Verb::BurstDestroy(own(name)), Method::POST),
        ["muster", "v1", "clusters", name, "revoke"] => (Verb::Revoke(own(name)), Method::POST),
        ["muster", "v1", "clusters", name, "declare-lost"] => (Verb::DeclareLost(own(name)), Method::POST),
        ["muster", "v1", "queue"] => (Verb::Queue, Method::GET),
        ["muster", "v1", "top"] => (Verb::Top, Method::GET),
        ["muster", "v1", "cost"] => (Verb::Cost, Method::GET),
        ["muster", "v1", "events"] => (Verb::Events, Method::GET),
        ["muster", "v1", "audit"] => (Verb::Audit, Method::GET),
        ["muster", "v1", "audit", "verify"] => (Verb::AuditVerify, Method::GET),
        ["muster", "v1", "audit", "check"] => (Verb::AuditCheck, Method::GET),
        ["muster", "v1", "history", stream] => (Verb::Segments(own(stream)), Method::GET),
        ["muster", "v1", "history", stream, segment] => {
            (Verb::Segment(own(stream), own(segment)), Method::GET)
        }
        ["muster", "v1", rest @ ..] => {
            if let Some((verb, wanted)) = sealing::route(rest) {
                (Verb::Sealing(verb), wanted)
            } else {
                let (verb, wanted) = chaos::route(method, rest)?;
                (Verb::Chaos(verb), wanted)
            }
        }
        _ => return None,
    };
    Some(if *method == wanted { Ok(verb) } else { Err(Status::method_not_allowed()) })
}

/// Answers one of our own endpoints.
///
/// # Errors
/// As the endpoint says.
pub async fn answer(call: &Call, verb: Verb, body: axum::body::Body) -> Answered {
    let body = read_body(body, call.api.limits.body_max_bytes).await?;
    match verb {
        Verb::Review(namespace) => plans::review(call, &namespace, &body).await,
        Verb::Why(namespace, name) => plans::why(call, &namespace, &name).await,
        Verb::BurstWhy(name) => burst::why(call, &name).await,
        Verb::BurstDestroy(name) => burst::destroy(call, &name, &body).await,
        Verb::Chaos(verb) => Box::pin(chaos::answer(call, verb, &body)).await,
        Verb::Replicas => Ok(respond::json(StatusCode::OK, &replicas_json(call).await)),
        Verb::Replica => Ok(respond::json(StatusCode::OK, &own_replica(call))),
        Verb::JoinToken => join_token(call, &body).await,
        Verb::Credential => credential(call, &body).await,
        Verb::Sealing(verb) => Box::pin(sealing::answer(call, verb, body)).await,
        Verb::Revoke(name) => {
            let (member, principal) = (MemberName::new(name), call.user.principal());
            changed(call, Command::Revoke { member, principal }).await
        }
        Verb::DeclareLost(name) => {
            let (member, principal) = (MemberName::new(name), call.user.principal());
            changed(call, Command::DeclareLost { member, principal }).await
        }
        Verb::Queue => fleet::queue(call).await,
        Verb::Top => fleet::top(call).await,
        Verb::Cost => history::cost(call).await,
        Verb::Events => told::events(call).await,
        Verb::Audit => history::audit(call).await,
        Verb::AuditVerify => history::verify(call).await,
        Verb::AuditCheck => history::check(call).await,
        Verb::Segments(stream) => history::segments(call, &stream).await,
        Verb::Segment(stream, segment) => history::segment(call, &stream, &segment).await,
    }
}

fn own_replica(call: &Call) -> Value {
    let status = call.api.hub.status().borrow().clone();
    let view = call.api.hub.view().borrow().clone();
    let role = match status.replica.role {
        Role::Leader => "leader",
        Role::Follower | Role::Candidate => "follower",
        Role::Learner => "learner",
    };
    json!({
        "name": call.api.name_of(call.api.hub.id()),
        "role": role,
        "term": status.replica.term,
        "applied": view.applied,
        "committed": status.replica.committed,
        "digest": format!("{:032x}", view.state.digest()),
        "clockOffMs": call.api.hub.clock_off_ms(),
        "timeMs": now().0,
    })
}

/// How all replicas stand.
pub async fn replicas_json(call: &Call) -> Value {
    let others = call.api.replicas.keys().filter(|id| **id != call.api.hub.id());
    let others = others.map(|id| other_replica(call, *id));
    let mut all = futures::future::join_all(others).await;
    all.push(own_replica(call));
    all.sort_by_key(|replica| replica["name"].as_str().unwrap_or_default().to_owned());
    let term = all.iter().filter_map(|replica| replica["term"].as_u64()).max();
    for replica in &mut all {
        // What replicas tell each other.
        for field in ["term", "timeMs"] {
            replica.as_object_mut().map(|map| map.remove(field));
        }
    }
    let leader = call.api.hub.leader().map(|id| call.api.name_of(id));
    json!({"leader": leader, "term": term, "replicas": all})
}

/// How another replica stands; without figures if it does not say in time.
async fn other_replica(call: &Call, id: ReplicaId) -> Value {
    let asked = async {
        let response = proxy_out::ask(call, id, ("GET", REPLICA_PATH.to_owned()), Bytes::new()).await.ok()?;
        let bytes = read_body(response.into_body(), 1 << 20).await.ok()?;
        serde_json::from_slice::<Value>(&bytes).ok().filter(|value| value.get("name").is_some())
    };
    let silent = || json!({"name": call.api.name_of(id), "role": "unreachable", "applied": null, "committed": null, "digest": null, "clockOffMs": null});
    tokio::time::timeout(REPLICA_PATIENCE, asked).await.ok().flatten().unwrap_or_else(silent)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JoinTokenRequest {
    name: String,
    ttl_seconds: Option<u64>,
}

async fn join_token(call: &Call, body: &[u8]) -> Answered {
    let request: JoinTokenRequest = parsed(body)?;
    let broken = names::dns_subdomain(&request.name);
    if !broken.is_empty() || request.name.len() > names::LABEL_MAX {
        let rule = broken.first().map_or("must be at most 63 characters", String::as_str);
        return Err(Status::bad_request(format!("name: {rule}")));
    }
    let ttl_s = request.ttl_seconds.unwrap_or(TOKEN_TTL_S);
    if ttl_s == 0 || ttl_s > TOKEN_TTL_MAX_S {
        return Err(Status::bad_request(format!("ttlSeconds: must be 1 to {TOKEN_TTL_MAX_S}")));
    }
    let secret = secret();
    let expires = now().plus(DurationMs::from_secs(ttl_s));
    let spec = JoinTokenSpec { hash: token_hash(&secret), member: MemberName::new(request.name), expires };
    let key = Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", spec.hash.0));
    keep(call, key, Spec::JoinToken(spec)).await?;
    let value = json!({
        "token": secret,
        "caPin": ca_pin(call.api.certificates.authority().certificate()),
        "url": call.api.join_url,
        "expiresAt": expires.to_string(),
    });
    Ok(respond::json(StatusCode::CREATED, &value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialRequest {
    user: String,
    #[serde(default)]
    groups: Vec<String>,
}

async fn credential(call: &Call, body: &[u8]) -> Answered {
    let request: CredentialRequest = parsed(body)?;
    if request.user.is_empty()
        || request.user.starts_with("system:member:")
        || request.user.starts_with("system:burst:")
        || request.user == "system:hub"
    {
        return Err(Status::bad_request(
            "user: must be a user's name, and none that members or the hub go by",
        ));
    }
    let secret = secret();
    let groups: Vec<Arc<str>> = request.groups.iter().map(|group| group.as_str().into()).collect();
    let spec = CredentialSpec { hash: token_hash(&secret), user: request.user.as_str().into(), groups };
    let key = Key::new(kinds::CREDENTIAL, "", &format!("{:032x}", spec.hash.0));
    keep(call, key, Spec::Credential(spec)).await?;
    let value = json!({"token": secret, "user": request.user, "groups": request.groups});
    Ok(respond::json(StatusCode::CREATED, &value))
}

/// Stores an object that is never served.
async fn keep(call: &Call, key: Key, spec: Spec) -> Result<(), Status> {
    let put = Put {
        key,
        mode: PutMode::Create { uid: random_uid() },
        spec,
        typed_version: TYPED_VERSION,
        document: Document::default(),
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: call.user.principal(),
        idempotency: None,
    };
    match call.propose(Command::Put(Box::new(put)), false).await? {
        Answer::Rejected(rejection) => Err(refusal::of_apply(&rejection)),
        _ => Ok(()),
    }
}

async fn changed(call: &Call, command: Command) -> Answered {
    match call.propose(command, false).await? {
        Answer::Rejected(rejection) => Err(refusal::of_apply(&rejection)),
        _ => Ok(respond::json(
            StatusCode::OK,
            &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
        )),
    }
}

/// A body of ours.
pub fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Status> {
    serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_paths_clash_with_nothing_served() {
        let registry = muster_kubeapi::kinds::registry();
        for (method, path, want) in [
            (
                Method::POST,
                "/apis/muster.sh/v1alpha1/namespaces/a/placementreviews",
                Verb::Review("a".to_owned()),
            ),
            (Method::GET, "/muster/v1/namespaces/a/jobs/b/why", Verb::Why("a".to_owned(), "b".to_owned())),
            (Method::GET, "/muster/v1/replicas", Verb::Replicas),
            (Method::POST, "/muster/v1/clusters/c/declare-lost", Verb::DeclareLost("c".to_owned())),
            (Method::GET, "/muster/v1/faults", Verb::Chaos(ChaosVerb::List)),
            (Method::POST, "/muster/v1/faults", Verb::Chaos(ChaosVerb::Inject)),
            (Method::GET, "/muster/v1/gamedays/d/plan", Verb::Chaos(ChaosVerb::Plan("d".to_owned()))),
        ] {
            assert_eq!(route(&method, path), Some(Ok(want)), "{path}");
            let served = muster_kubeapi::path::route(&registry, &method, path, "");
            assert!(matches!(served, Err(_) | Ok(muster_kubeapi::path::Route::Other)), "{path}");
        }
        assert_eq!(route(&Method::GET, "/api/v1/pods"), None);
        assert_eq!(
            route(&Method::GET, "/muster/v1/jointokens").map(|found| found.map_err(|s| s.code)),
            Some(Err(405))
        );
    }
}
