//! From a request to whoever answers it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use http::{Method, Response};
use muster_consensus::ReplicaId;
use muster_kubeapi::kinds;
use muster_kubeapi::list::TokenKey;
use muster_kubeapi::openapi::OpenApi;
use muster_kubeapi::path::{self, Request, Route};
use muster_kubeapi::resource::{Registry, Verb};
use muster_kubeapi::status::Status;
use tokio::sync::watch;

use super::authn::{self, User};
use super::call::{Call, read_body};
use super::denials::Denials;
use super::limits::{Gate, Limits, Ticket};
use super::respond::{self, Answered};
use super::snapshots::Snapshots;
use super::standing::Standing;
use super::{
    access, authz, delete, discover, members, pods, read, terraform, verbs, watch as watches, write,
};
use crate::agents::{Execs, Mirrors, Sessions, Streams, random_id};
use crate::certificates::Certificates;
use crate::config::ControllerConfig;
use crate::hub::Hub;
use crate::leader_task::LeaderInbox;
use crate::ops;
use crate::rotation::Rotation;
use crate::secrets::Vault;
use crate::terraform::{STATE_MAX_BYTES, StateStore};

/// What the API is made of.
pub struct ApiState {
    /// The hub.
    pub hub: Hub,
    /// Pods, for people.
    pub mirrors: Arc<Mirrors>,
    /// Sessions of members.
    pub sessions: Sessions,
    /// Logs under way.
    pub streams: Streams,
    /// Commands that people run.
    pub execs: Execs,
    /// The leader's task on this replica.
    pub leader: LeaderInbox,
    /// Terraform's states.
    pub states: StateStore,
    /// Keys that Secrets are sealed with.
    pub vault: Vault,
    /// Certificates, whose pin join lines carry.
    pub certificates: Certificates,
    /// How one authority takes over from another.
    pub rotation: Rotation,
    /// The configuration.
    pub config: Arc<ControllerConfig>,
    /// Requests that were denied.
    pub denials: Arc<Denials>,
}

/// The parts, ready to be used by every request.
pub struct Api {
    /// The hub.
    pub hub: Hub,
    /// Pods, for people.
    pub mirrors: Arc<Mirrors>,
    /// Sessions of members.
    pub sessions: Sessions,
    /// Logs under way.
    pub streams: Streams,
    /// Commands that people run.
    pub execs: Execs,
    /// The leader's task on this replica.
    pub leader: LeaderInbox,
    /// Terraform's states.
    pub states: StateStore,
    /// All replicas by number.
    pub replicas: BTreeMap<ReplicaId, String>,
    /// Keys that Secrets are sealed with.
    pub vault: Vault,
    /// Certificates, whose pin join lines carry.
    pub certificates: Certificates,
    /// How one authority takes over from another.
    pub rotation: Rotation,
    /// Where a joining agent goes first.
    pub join_url: String,
    /// What is served.
    pub registry: Registry,
    /// Its OpenAPI documents.
    pub openapi: OpenApi,
    /// Frozen states for pages.
    pub snapshots: Snapshots,
    /// Seals `continue` tokens, on all replicas alike.
    pub token_key: TokenKey,
    /// Whether this replica runs and leads.
    pub standing: watch::Receiver<Standing>,
    /// Bounds.
    pub limits: Limits,
    /// Requests that were denied.
    pub denials: Arc<Denials>,
    /// Counts what is in flight.
    pub gate: Gate,
}

/// The API's router: every path goes to one handler. Must be called inside a Tokio runtime.
pub fn router(state: ApiState) -> Router {
    router_within(state, Limits::default())
}

/// The API's router with bounds of its own.
pub fn router_within(state: ApiState, limits: Limits) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(Api::new(state, limits)))
}

impl Api {
    fn new(state: ApiState, limits: Limits) -> Api {
        let ApiState {
            hub,
            mirrors,
            sessions,
            streams,
            execs,
            leader,
            states,
            vault,
            certificates,
            rotation,
            config,
            denials,
        } = state;
        let registry = kinds::registry();
        Api {
            standing: Standing::follow(&hub),
            hub,
            mirrors,
            sessions,
            streams,
            execs,
            leader,
            states,
            replicas: config.names(),
            vault,
            certificates,
            rotation,
            join_url: config.own().map(|own| format!("https://{}", own.agents)).unwrap_or_default(),
            openapi: OpenApi::new(&registry),
            registry,
            snapshots: Snapshots::default(),
            token_key: TokenKey(config.cluster().to_be_bytes()),
            gate: Gate::new(&limits),
            limits,
            denials,
        }
    }

    /// The name of a replica.
    pub fn name_of(&self, id: ReplicaId) -> String {
        self.replicas.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

async fn handle(State(api): State<Arc<Api>>, request: axum::extract::Request) -> Response<Body> {
    if let Some(response) = without_identity(&api, request.method(), request.uri().path()) {
        return response;
    }
    let (parts, body) = request.into_parts();
    match Box::pin(identified(&api, parts, body)).await {
        Ok(response) => response,
        Err(status) => respond::failure(&status),
    }
}

/// Health and version are nobody's secret.
fn without_identity(api: &Api, method: &Method, path: &str) -> Option<Response<Body>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    match path {
        "/livez" | "/healthz" => {
            let (code, text) = ops::live(&api.hub);
            Some(respond::text(code, text))
        }
        "/readyz" => {
            let (code, text) = ops::ready(&api.hub);
            Some(respond::text(code, text))
        }
        "/version" => Some(discover::version()),
        _ => None,
    }
}

/// Where an identified request goes.
enum Target {
    Api(Route),
    Own(verbs::Verb),
    Review(access::Review),
    Terraform(String),
}

impl Target {
    /// Whether the answer goes on for as long as the client wants.
    fn is_stream(&self) -> bool {
        let Target::Api(Route::Resource(request)) = self else { return false };
        let streams = match request.subresource.map_or("", |sub| sub.name) {
            "log" => request.query.flag("follow"),
            "exec" | "attach" => true,
            _ => false,
        };
        request.verb == Verb::Watch || streams
    }
}

async fn identified(api: &Arc<Api>, parts: http::request::Parts, body: Body) -> Answered {
    let user = authn::authenticate(&parts, || api.hub.stale()).inspect_err(|_| api.denials.nobody())?;
    let target = target(api, &user, &parts)?;
    let ticket: Ticket = if target.is_stream() { api.gate.stream()? } else { api.gate.request()? };
    let call = Call { api: Arc::clone(api), user, parts: Arc::new(parts), ticket };
    let answer = tokio::time::timeout(api.limits.request_timeout, dispatch(&call, target, body));
    let late = || {
        Err(Status::timeout(
            "the request did not complete in time; if it was a write, read the object before you try again",
            1,
        ))
    };
    let answered = answer.await.unwrap_or_else(|_| late());
    if let Err(status) = &answered
        && status.code >= 500
    {
        let request = random_id();
        tracing::warn!(request, method = %call.parts.method, uri = %call.parts.uri, code = status.code, reason = %status, "request failed");
    }
    answered
}

/// Finds out where a request goes, and whether its user may go there.
fn target(api: &Api, user: &User, parts: &http::request::Parts) -> Result<Target, Status> {
    let (method, path) = (&parts.method, parts.uri.path());
    if let Some(review) = access::review_of(path) {
        return if *method == Method::POST {
            Ok(Target::Review(review))
        } else {
            Err(Status::method_not_allowed())
        };
    }
    if let Some(state) = terraform::route(user, method, path) {
        return state.map(Target::Terraform);
    }
    if let Some(verb) = verbs::route(method, path) {
        check_path(api, user, parts)?;
        return verb.map(Target::Own);
    }
    let route = match path::route(&api.registry, method, path, parts.uri.query().unwrap_or_default()) {
        Ok(route) => route,
        // What is served is nobody's business who may not do anything with it.
        Err(status) => {
            check_path(api, user, parts)?;
            return Err(if pods::is_write(&status, path) { pods::read_only() } else { status });
        }
    };
    authz::check(user, &route, method.as_str(), path)
        .inspect_err(|_| api.denials.deny(&user.name, Some(&route), path))?;
    Ok(Target::Api(route))
}

fn check_path(api: &Api, user: &User, parts: &http::request::Parts) -> Result<(), Status> {
    let path = parts.uri.path();
    authz::check_path(user, parts.method.as_str(), path)
        .inspect_err(|_| api.denials.deny(&user.name, None, path))
}

async fn dispatch(call: &Call, target: Target, body: Body) -> Answered {
    let route = match target {
        Target::Own(verb) => return Box::pin(verbs::answer(call, verb, body)).await,
        Target::Terraform(name) => {
            let body = read_body(body, STATE_MAX_BYTES).await?;
            return Box::pin(terraform::answer(call, &name, &body)).await;
        }
        Target::Review(review) => {
            let body = read_body(body, call.api.limits.body_max_bytes).await?;
            return access::answer(call, review, &body);
        }
        Target::Api(route) => route,
    };
    match route {
        Route::Resource(request) => resource(call, &request, body).await,
        Route::Discovery(path) => discover::document(call, &path),
        Route::OpenApiV2 => Ok(discover::openapi_v2(call)),
        Route::OpenApiIndex => discover::openapi(call, Some(call.api.openapi.index())),
        Route::OpenApiDocument(path) => discover::openapi(call, call.api.openapi.document(&path)),
        Route::Version => Ok(discover::version()),
        Route::Other => Err(Status::path_not_found()),
    }
}

async fn resource(call: &Call, request: &Request, body: Body) -> Answered {
    let body = read_body(body, call.api.limits.body_max_bytes).await?;
    if pods::are_pods(request.resource) {
        return Box::pin(pods::answer(call, request, &body)).await;
    }
    if let Some(response) = Box::pin(members::at_leader(call, request)).await {
        return Ok(response);
    }
    match request.verb {
        Verb::Get => read::get(call, request).await,
        Verb::List => read::list(call, request).await,
        Verb::Watch => watches::stored(call, request).await,
        Verb::Create => Box::pin(write::create(call, request, &body)).await,
        Verb::Update => Box::pin(write::update(call, request, &body)).await,
        Verb::Patch => Box::pin(write::patch(call, request, &body)).await,
        Verb::Delete => Box::pin(delete::one(call, request, &body)).await,
        Verb::DeleteCollection => Box::pin(delete::collection(call, request, &body)).await,
    }
}
