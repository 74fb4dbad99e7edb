//! `/terraform/state/NAME`: Terraform's `http` backend, with locking.
//!
//! ```text
//!  GET | POST ?ID=LOCK | DELETE      the state: at most 16 MiB, sealed in the log
//!  LOCK | UNLOCK                     the lock document; 423 with the holder's when it is locked
//! ```
//!
//! HTTP Basic: any user name, a token as password. Members of `system:masters` may use every state, a run of the hub only
//! that of its own member.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use muster_kubeapi::status::{Reason, Status};

use super::authn::User;
use super::call::Call;
use super::refusal;
use super::respond::{self, Answered};
use crate::terraform::{Holder, Locked, StoreError};

/// Where states are.
pub const PREFIX: &str = "/terraform/state/";
/// Characters of a state's name.
const NAME_MAX: usize = 63;

/// The state that a path is of; `None` if it is another path.
///
/// # Errors
/// 404 for a name that no state can have, 403 for a user who may not use it.
pub fn route(user: &User, method: &Method, path: &str) -> Option<Result<String, Status>> {
    let name = path.strip_prefix(PREFIX)?;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(good) {
        return Some(Err(Status::path_not_found()));
    }
    let is_its_run = user.name.parse::<Holder>().is_ok_and(|holder| holder.member == name);
    if !user.is_master() && !is_its_run {
        return Some(Err(Status::forbidden_path(&user.name, &method.as_str().to_ascii_lowercase(), path)));
    }
    Some(Ok(name.to_owned()))
}

/// Answers Terraform.
///
/// # Errors
/// As Terraform expects them.
pub async fn answer(call: &Call, name: &str, body: &Bytes) -> Answered {
    let store = &call.api.states;
    let (user, by) = (call.user.name.as_str(), call.user.principal());
    let done = match call.parts.method.as_str() {
        "GET" => {
            return match store.read(name).await {
                Ok(Some(state)) => Ok(respond::json_bytes(StatusCode::OK, state)),
                Ok(None) => Err(Status::path_not_found()),
                Err(error) => refused(&error),
            };
        }
        "POST" | "PUT" => store.write(name, lock_of(call).as_deref(), body, &by).await,
        "DELETE" => store.remove(name, &by).await,
        "LOCK" => store.lock(name, body, user).await.map(|locked| {
            if let Locked::Broken(holder) = locked {
                tracing::warn!(state = name, by = user, %holder, "lock of a dead run broken");
            }
        }),
        "UNLOCK" => store.unlock(name, body, user).await,
        _ => return Err(Status::method_not_allowed()),
    };
    match done {
        Ok(()) => Ok(respond::text(StatusCode::OK, "")),
        Err(error) => refused(&error),
    }
}

/// The lock's ID that a write names.
fn lock_of(call: &Call) -> Option<String> {
    let query = call.parts.uri.query().unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("ID=")).map(str::to_owned)
}

fn refused(error: &StoreError) -> Result<Response<Body>, Status> {
    Err(match error {
        StoreError::Hub(error) => refusal::of_hub(error),
        StoreError::Locked(document) => {
            return Ok(respond::json_bytes(StatusCode::LOCKED, document.clone().into_bytes()));
        }
        StoreError::LockLost(_) | StoreError::Contended => Status::new(Reason::Conflict, error.to_string()),
        StoreError::TooLarge => Status::too_large(&error.to_string()),
        StoreError::BadLock => Status::bad_request(error.to_string()),
        StoreError::Damaged(_) | StoreError::Sealed(_) => Status::internal(&error.to_string()),
    })
}
