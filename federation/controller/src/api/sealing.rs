//! Sealing keys, authorities and certificates of users, for `muster secrets`, `muster ca` and `muster kubeconfig`.
//!
//! ```text
//!  GET  /muster/v1/secrets                      keys, what is sealed with each, which replica has which
//!  POST /muster/v1/secrets/rotate {to}          seal with another key from now on, and everything anew
//!  GET  /muster/v1/authority                    authorities, and who still has to move
//!  POST /muster/v1/authority/rotate {leaveBehind}
//!  POST /muster/v1/kubeconfig {request}         a certificate for the user who asks
//!  GET  /muster/v1/replica/identity             what this replica has, shows and trusts
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use muster_kubeapi::status::Status;
use muster_model::{Answer, Principal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::respond::{self, Answered};
use super::{proxy_out, refusal};
use crate::hub::now;
use crate::pki::ca_pin;
use crate::rotation::{self, IDENTITY_PATH, Laggard, RotationError};
use crate::secrets::{KeyId, Progress, choose};

/// One of these endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Keys.
    Secrets,
    /// Another key.
    RotateSecrets,
    /// Authorities.
    Authority,
    /// Another authority.
    RotateAuthority,
    /// A certificate for the user who asks.
    Kubeconfig,
    /// What this replica has, shows and trusts.
    Identity,
}

/// Answers one of them.
///
/// # Errors
/// As the endpoint says.
pub async fn answer(call: &Call, verb: Verb, body: Bytes) -> Answered {
    match verb {
        Verb::Secrets => Ok(respond::json(StatusCode::OK, &secrets(call).await?)),
        Verb::RotateSecrets => rotate_secrets(call, &body).await,
        Verb::Authority => {
            if let Some(answered) = proxy_out::at_leader(call, &body).await {
                return answered;
            }
            Ok(respond::json(StatusCode::OK, &authority(call).await?))
        }
        Verb::RotateAuthority => rotate_authority(call, &body).await,
        Verb::Kubeconfig => kubeconfig(call, &body),
        Verb::Identity => Ok(respond::json(StatusCode::OK, &own_identity(call))),
    }
}

fn own_identity(call: &Call) -> Value {
    // What was just written into the file counts: nobody has to wait for the next look.
    call.api.vault.follow_file();
    let mut identity = rotation::identity(&call.api.certificates);
    identity["name"] = json!(call.api.name_of(call.api.hub.id()));
    identity["keys"] = json!(call.api.vault.ids());
    identity
}

/// What every replica has; `null` for one that does not answer.
async fn identities(call: &Call) -> Vec<(String, Value)> {
    let asked = call.api.replicas.iter().map(async |(id, name)| {
        let said = if *id == call.api.hub.id() {
            Some(own_identity(call))
        } else {
            call.api.hub.peers().get_json(*id, IDENTITY_PATH).await
        };
        (name.clone(), said.unwrap_or_default())
    });
    futures::future::join_all(asked).await
}

async fn secrets(call: &Call) -> Result<Value, Status> {
    let state = call.newest().await?;
    let Progress { current, sealed_with } = Progress::of(&call.api.vault, &state);
    let replicas = identities(call).await;
    let replicas: Vec<Value> =
        replicas.into_iter().map(|(name, said)| json!({"name": name, "keys": said["keys"]})).collect();
    let used = |id: &KeyId| Some(*id) == current || sealed_with.contains_key(id);
    let unused: Vec<KeyId> = call.api.vault.ids().into_iter().filter(|id| !used(id)).collect();
    Ok(json!({"current": current, "sealedWith": sealed_with, "unused": unused, "replicas": replicas}))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateSecrets {
    to: Option<KeyId>,
}

/// Chooses a key that every replica has. The leader seals everything anew from then on.
async fn rotate_secrets(call: &Call, body: &[u8]) -> Answered {
    let RotateSecrets { to } = parsed(body)?;
    let state = call.newest().await?;
    call.api.vault.follow_file();
    let known = call.api.vault.ids();
    let current = call.api.vault.current(&state);
    let newest = known.last().copied().filter(|id| *id != current);
    let to = to.or(newest).ok_or_else(|| {
        Status::bad_request(
            "to: the key file holds no newer key; add one with `muster secrets add-key --file FILE`, on every replica",
        )
    })?;
    for (name, said) in identities(call).await {
        let has = said["keys"].as_array().is_some_and(|keys| keys.contains(&json!(to)));
        if !has {
            let why = if said.is_null() { "could not be asked" } else { "does not have it in its key file" };
            return Err(Status::bad_request(format!(
                "to: key {to}: replica {name} {why}; nothing was changed"
            )));
        }
    }
    match call.propose(choose(&state, to, call.user.principal()), false).await? {
        Answer::Rejected(rejection) => Err(refusal::of_apply(&rejection)),
        _ => Ok(respond::json(StatusCode::OK, &secrets(call).await?)),
    }
}

async fn authority(call: &Call) -> Result<Value, Status> {
    let state = call.newest().await?;
    let set = call.api.rotation.authorities(&state).map_err(|error| refused(&error))?;
    let laggards: Vec<Laggard> =
        call.api.rotation.laggards(&state, &set).await.map_err(|error| refused(&error))?;
    let issuing = set.issuing().map_err(|error| Status::internal(&error.to_string()))?;
    Ok(json!({
        "phase": set.phase,
        "since": set.since().to_string(),
        "authorities": set.pins(),
        "issuing": ca_pin(issuing.certificate()),
        "waitingFor": laggards,
    }))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RotateAuthority {
    #[serde(default)]
    leave_behind: bool,
}

async fn rotate_authority(call: &Call, body: &[u8]) -> Answered {
    let RotateAuthority { leave_behind } = parsed(body)?;
    let by: Principal = call.user.principal();
    let rotation = &call.api.rotation;
    let set = if leave_behind { rotation.leave_behind(by).await } else { rotation.begin(by).await };
    let set = set.map_err(|error| refused(&error))?;
    Ok(respond::json(StatusCode::OK, &json!({"phase": set.phase, "authorities": set.pins()})))
}

fn refused(error: &RotationError) -> Status {
    match error {
        RotationError::Hub(error) => refusal::of_hub(error),
        RotationError::Rejected(rejection) => refusal::of_apply(rejection),
        RotationError::NotFounded => refusal::unavailable(&error.to_string()),
        RotationError::Authority(crate::authorities::AuthorityError::Phase(_)) => {
            Status::bad_request(error.to_string())
        }
        RotationError::Authority(_) => Status::internal(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KubeconfigRequest {
    /// A request for a certificate, DER in base64: the key stays with who asks.
    request: String,
}

fn kubeconfig(call: &Call, body: &[u8]) -> Answered {
    let KubeconfigRequest { request } = parsed(body)?;
    let request = STANDARD.decode(request).map_err(|_| Status::bad_request("request: must be base64"))?;
    let groups: Vec<&str> = call.user.groups.iter().map(String::as_str).collect();
    let authority = call.api.certificates.authority();
    let signed = authority.sign_user(&request, &call.user.name, &groups, now());
    let certificate = signed.map_err(|error| Status::bad_request(format!("request: {error}")))?;
    let trusted = call.api.certificates.set().bundle();
    let value = json!({"user": call.user.name, "certificate": certificate, "certificateAuthority": trusted});
    Ok(respond::json(StatusCode::CREATED, &value))
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Status> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))
}

/// The endpoint at these segments below `/muster/v1`, and whether it changes something.
pub fn route(parts: &[&str]) -> Option<(Verb, http::Method)> {
    use http::Method;
    Some(match parts {
        ["secrets"] => (Verb::Secrets, Method::GET),
        ["secrets", "rotate"] => (Verb::RotateSecrets, Method::POST),
        ["authority"] => (Verb::Authority, Method::GET),
        ["authority", "rotate"] => (Verb::RotateAuthority, Method::POST),
        ["kubeconfig"] => (Verb::Kubeconfig, Method::POST),
        ["replica", "identity"] => (Verb::Identity, Method::GET),
        _ => return None,
    })
}
