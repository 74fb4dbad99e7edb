//! GET of one object and of collections.
//!
//! The newest state answers, found by a ReadIndex round; `resourceVersion=0` is content with what this replica has. Pages of
//! one list come from one frozen state.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use muster_core::State;
use muster_kubeapi::list::{self, ContinueToken, ListMeta, TokenKey};
use muster_kubeapi::negotiate::Endpoint;
use muster_kubeapi::options::{Options, VersionMatch};
use muster_kubeapi::path::Request;
use muster_kubeapi::status::Status;
use muster_model::{Key, Object, kinds};

use super::call::Call;
use super::items::{Filter, Item};
use super::lists::{self, Page};
use super::members;
use super::objects;
use super::respond::{self, Answered, Wanted};

/// GET of one object.
///
/// # Errors
/// 404, 406, and what keeps the state from being read.
pub async fn get(call: &Call, request: &Request) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let state = state_for(call, &request.options).await?;
    let object = objects::find(&state, request)?;
    let mut item = [objects::item(&call.api.vault, request.resource, &object)?];
    members::with_leases(call, &mut item).await;
    respond::object(request.resource, &wanted, StatusCode::OK, &item[0])
}

/// GET of a collection.
///
/// # Errors
/// 406, 410 for a page that is gone, and what keeps the state from being read.
pub async fn list(call: &Call, request: &Request) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Collection, &request.query)?;
    let scope = scope(call, request);
    let (state, after) = match request.options.continue_token.as_str() {
        "" => (list_state(call, &request.options).await?, None),
        token => continued(call, token, &scope)?,
    };
    let mut page = page(call, request, &state, after.as_ref(), &scope)?;
    if request.resource.qualified() == kinds::CLUSTER {
        members::with_leases(call, &mut page.items).await;
    }
    lists::respond(request.resource, &wanted, page, &call.ticket)
}

/// A state that is as new as the options ask for.
///
/// # Errors
/// 503 without a leader, 504 for a revision that is not there yet.
pub async fn state_for(call: &Call, options: &Options) -> Result<State, Status> {
    match options.resource_version {
        Some(0) => Ok(call.api.hub.stale()),
        Some(revision) => state_from(call, revision).await,
        None => call.newest().await,
    }
}

async fn state_from(call: &Call, revision: u64) -> Result<State, Status> {
    let state = call.api.hub.stale();
    if state.revision().0 >= revision {
        return Ok(state);
    }
    let state = call.newest().await?;
    let current = state.revision().0;
    if current >= revision { Ok(state) } else { Err(Status::too_large_resource_version(revision, current)) }
}

async fn list_state(call: &Call, options: &Options) -> Result<State, Status> {
    let Some(revision) =
        options.resource_version.filter(|_| options.resource_version_match == Some(VersionMatch::Exact))
    else {
        return state_for(call, options).await;
    };
    let state = state_from(call, revision).await?;
    let kept = || call.api.snapshots.at(revision, Instant::now());
    let exact = if state.revision().0 == revision { Some(state) } else { kept() };
    exact.ok_or_else(|| {
        Status::expired(format!(
            "resourceVersion {revision} is no longer kept; list without resourceVersionMatch=Exact"
        ))
    })
}

/// The frozen state that a token goes on with, and the key behind which it does.
fn continued(call: &Call, token: &str, scope: &str) -> Result<(State, Option<Key>), Status> {
    let token = ContinueToken::open(token, &token_key(call), scope)?;
    let now = call.api.hub.stale();
    let kept = || call.api.snapshots.at(token.revision, Instant::now());
    let state = if now.revision().0 == token.revision { Some(now) } else { kept() };
    let state = state.ok_or_else(list::expired_token)?;
    let text = String::from_utf8(token.last_key).unwrap_or_default();
    let mut parts = text.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (kind, namespace, name) = (part(), part(), part());
    Ok((state, Some(Key::new(&kind, &namespace, &name))))
}

fn page(
    call: &Call,
    request: &Request,
    state: &State,
    after: Option<&Key>,
    scope: &str,
) -> Result<Page, Status> {
    let revision = state.revision().0;
    let limit = request.options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut items = select(call, state, request, (after, limit.saturating_add(1)))?;
    if items.len() <= limit {
        return Ok(Page { meta: ListMeta::at(revision), items });
    }
    items.truncate(limit);
    let last =
        items.last().map(|item| (item.namespace().to_owned(), item.name().to_owned())).unwrap_or_default();
    let last = Key::new(&request.resource.qualified(), &last.0, &last.1);
    let selects = Filter::new(None, &request.options).selects();
    let remaining = (!selects).then(|| {
        let rest = state.list(&last.kind, request.namespace.as_deref(), Some(&last)).count();
        u64::try_from(rest).unwrap_or(u64::MAX)
    });
    call.api.snapshots.keep(state, Instant::now());
    let last_key = format!("{}/{}/{}", last.kind, last.namespace, last.name).into_bytes();
    let token = ContinueToken { revision, last_key }.seal(&token_key(call), scope);
    Ok(Page { meta: ListMeta { revision, continue_token: Some(token), remaining }, items })
}

/// At most `limit` objects that a request selects, behind `after`.
///
/// # Errors
/// 404 for mirrors, 500 for what cannot be opened.
pub fn select(
    call: &Call,
    state: &State,
    request: &Request,
    (after, limit): (Option<&Key>, usize),
) -> Result<Vec<Item>, Status> {
    let filter = Filter::new(request.namespace.as_deref(), &request.options);
    let kind = objects::kind_of(request.resource)?;
    let (name, namespace) = (filter.fields.single_name(), request.namespace.as_deref());
    let item = |object: &Arc<Object>| Ok(Item::stored(kind, objects::open(&call.api.vault, object)?));
    let matches = |item: &Result<Item, Status>| item.as_ref().map_or(true, |item| filter.matches(item));
    // One name in one namespace is a lookup.
    if let (Some(name), true) = (name, namespace.is_some() || !request.resource.namespaced) {
        let key = Key {
            kind: kind.model_kind(),
            namespace: namespace.unwrap_or_default().into(),
            name: name.into(),
        };
        let found = state.get(&key).filter(|_| after.is_none()).map(item);
        return found.into_iter().filter(matches).collect();
    }
    let listed = state.list(&kind.model_kind(), namespace, after);
    listed.map(item).filter(matches).take(limit).collect()
}

/// What a token is good for: the path and what selects, not how many.
fn scope(call: &Call, request: &Request) -> String {
    let selectors = ["labelSelector", "fieldSelector"].map(|key| request.query.text(key));
    format!("{}?{}&{}", call.parts.uri.path(), selectors[0], selectors[1])
}

/// All replicas of a federation seal alike.
fn token_key(call: &Call) -> TokenKey {
    call.api.token_key
}
