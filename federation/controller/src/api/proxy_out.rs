//! Passes a request on to the leader and its answer back, as it comes.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{ACCEPT, CONTENT_TYPE, WARNING};
use http::{HeaderValue, Response, StatusCode};
use muster_consensus::ReplicaId;
use muster_kubeapi::status::Status;
use muster_proto::hub::pb::{HttpChunk, HttpHead, HttpRequest, http_chunk::Part};
use tokio::time::Instant;
use tonic::Streaming;

use super::call::Call;
use super::refusal;
use super::respond::Answered;

/// How long a request waits for a leader that can be reached. Longer than an election.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long one that was passed on waits for this replica to know that it leads.
const PASSED_ON_PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
pub const RETRY: Duration = Duration::from_millis(50);

/// The answer of the leader to a request that only it can answer, and that changes nothing. `None`: this replica leads.
///
/// # Errors
/// 503 if no leader can be reached in time, or if another replica took this one for the leader and it is not.
pub async fn at_leader(call: &Call, body: &Bytes) -> Option<Answered> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = match leader(call, deadline).await {
            Ok(leader) if leader == call.api.hub.id() => return None,
            Ok(leader) => pass_on(call, leader, body.clone()).await,
            Err(status) => return Some(Err(status)),
        };
        if asked.is_ok() || Instant::now() >= deadline {
            return Some(asked);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// The leader, once one is known.
///
/// # Errors
/// 503 if none is found by then.
pub async fn leader(call: &Call, deadline: Instant) -> Result<ReplicaId, Status> {
    let hub = &call.api.hub;
    let mut status = hub.status();
    let deadline = if call.user.passed_on { Instant::now() + PASSED_ON_PATIENCE } else { deadline };
    let known = status.wait_for(|status| match status.replica.leader {
        // A request is passed on once; who got it so answers it or nobody does.
        Some(leader) => !call.user.passed_on || leader == hub.id(),
        None => false,
    });
    let found = tokio::time::timeout_at(deadline, known).await.ok().and_then(Result::ok);
    let found = found.and_then(|status| status.replica.leader);
    found.ok_or_else(|| refusal::unavailable("no leader was found; nothing was changed; try again"))
}

/// Asks another replica the same, and streams its answer.
///
/// # Errors
/// 503 if it cannot be reached.
pub async fn pass_on(call: &Call, to: ReplicaId, body: Bytes) -> Answered {
    let uri = call.parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    ask(call, to, (call.parts.method.as_str(), uri), body).await
}

/// Asks another replica by a method for a path, for the same user.
///
/// # Errors
/// 503 if it cannot be reached.
pub async fn ask(call: &Call, to: ReplicaId, (method, uri): (&str, String), body: Bytes) -> Answered {
    let request = HttpRequest { method: method.to_owned(), ..as_passed_on(call, uri, &body) };
    let unreachable = |error: tonic::Status| {
        refusal::unavailable(&format!(
            "the replica that can answer was not reached: {}; try again",
            error.message()
        ))
    };
    let mut chunks = call.api.hub.peers().http(to, request).await.map_err(unreachable)?;
    match chunks.message().await.map_err(unreachable)? {
        Some(HttpChunk { part: Some(Part::Head(head)) }) => Ok(answer(call, &head, chunks)),
        _ => Err(Status::internal("a replica answered without a head")),
    }
}

/// The request as another replica reads it.
pub fn as_passed_on(call: &Call, uri: String, body: &Bytes) -> HttpRequest {
    let text = |name| call.header(&name).unwrap_or_default().to_owned();
    HttpRequest {
        method: call.parts.method.to_string(),
        uri,
        accept: text(ACCEPT),
        content_type: text(CONTENT_TYPE),
        body: body.to_vec(),
        user: call.user.name.clone(),
        groups: call.user.groups.clone(),
    }
}

fn answer(call: &Call, head: &HttpHead, chunks: Streaming<HttpChunk>) -> Response<Body> {
    let ticket = call.ticket.clone();
    let body = chunks.map(move |chunk| {
        let _held = &ticket;
        chunk.map(|chunk| match chunk.part {
            Some(Part::Body(bytes)) => Bytes::from(bytes),
            Some(Part::Head(_)) | None => Bytes::new(),
        })
    });
    let mut response = Response::new(Body::from_stream(body));
    let code = u16::try_from(head.status).ok().and_then(|code| StatusCode::from_u16(code).ok());
    *response.status_mut() = code.unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&head.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    for warning in head.warnings.iter().filter_map(|warning| HeaderValue::from_str(warning).ok()) {
        headers.append(WARNING, warning);
    }
    response
}
