//! `pods/NAME/log`: the member that ran the Pod keeps its log and sends it over its own stream.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use muster_kubeapi::log_options::LogOptions;
use muster_kubeapi::path::Request;
use muster_kubeapi::status::{Reason, Status};
use muster_model::{DurationMs, TimeMs};
use muster_proto::federation::{ContainerState, LogRequest, PodPhase, StreamError, StreamErrorCode};

use super::call::Call;
use super::respond::{self, Answered};
use super::{containers, pods, refusal};
use crate::agents::{LogStream, MirroredPod};
use crate::hub::now;

/// How long the answer to a followed log waits for its first line, so that an error can still be told by its code.
const FIRST_CHUNK: Duration = Duration::from_secs(2);

/// GET of a log, at the leader.
///
/// # Errors
/// 400 for options that do not fit the Pod, 404, 503 without contact to the member.
pub async fn log(call: &Call, request: &Request) -> Answered {
    let pod = pods::find(call, request)?;
    let options = LogOptions::parse(request.resource, &pod.pod.name, &request.query)?;
    check(&pod, &options)?;
    let ask = ask(&pod, &options);
    let stream = call.api.streams.log(&call.api.sessions, &pod.member, ask).await;
    let mut stream = stream.map_err(|error| refusal::unavailable(&format!("{}: {error}", pod.member)))?;
    let first = match options.follow {
        true => tokio::time::timeout(FIRST_CHUNK, stream.next()).await.ok(),
        false => Some(stream.next().await),
    };
    let first = match first {
        Some(None) => return Ok(respond::text(StatusCode::OK, "")),
        Some(Some(chunk)) => Some(chunk.map_err(|error| failed(&error))?),
        None => None,
    };
    let ticket = call.ticket.clone();
    let rest = futures::stream::unfold((stream, ticket), async |(mut stream, ticket): (LogStream, _)| {
        let chunk = stream.next().await?;
        Some((chunk.map_err(|error| failed(&error)), (stream, ticket)))
    });
    let body = Body::from_stream(futures::stream::iter(first.map(Ok::<Bytes, Status>)).chain(rest));
    Ok(respond::stream("text/plain; charset=utf-8", body))
}

fn check(pod: &MirroredPod, options: &LogOptions) -> Result<(), Status> {
    let container = containers::named(pod, &options.container)?;
    let name = &pod.pod.name;
    if options.previous {
        let why = format!(
            "previous terminated container \"{container}\" in pod \"{name}\" not found: restarts in place share one log"
        );
        return Err(Status::bad_request(why));
    }
    if let Some(reason) = waits(pod, container) {
        let why = format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}");
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// Why a container has no log yet.
fn waits<'a>(pod: &'a MirroredPod, name: &str) -> Option<&'a str> {
    let container = pod.pod.containers.iter().find(|container| container.name == name);
    match container.map(|container| (&container.state, &container.last)) {
        Some((ContainerState::Waiting { reason, .. }, None)) => Some(reason),
        Some(_) => None,
        None => (pod.pod.phase == PodPhase::Pending).then_some("ContainerCreating"),
    }
}

fn ask(pod: &MirroredPod, options: &LogOptions) -> LogRequest {
    let since_time =
        options.since_time.map(|time| TimeMs(u64::try_from(time.as_millisecond()).unwrap_or_default()));
    let since_seconds = options.since_seconds.map(|seconds| {
        let ago = DurationMs::from_secs(seconds.min(u64::MAX / 1000));
        TimeMs(now().0.saturating_sub(ago.0))
    });
    LogRequest {
        request: 0,
        namespace: pod.pod.job.namespace.to_string(),
        pod: pod.pod.name.clone(),
        container: (!options.container.is_empty()).then(|| options.container.clone()),
        follow: options.follow,
        tail_lines: options.tail_lines,
        since: since_time.or(since_seconds),
        timestamps: options.timestamps,
        limit_bytes: options.limit_bytes,
    }
}

fn failed(error: &StreamError) -> Status {
    match error.code {
        StreamErrorCode::NotFound => Status::new(Reason::NotFound, error.message.clone()),
        StreamErrorCode::BadRequest => Status::bad_request(error.message.clone()),
        StreamErrorCode::TooMany => Status::too_many_requests(&error.message, 1),
        StreamErrorCode::Internal => Status::internal(&error.message),
    }
}
