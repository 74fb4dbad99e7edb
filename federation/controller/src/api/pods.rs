//! Pods: mirrors that the leader has of what members run.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use muster_kubeapi::kinds;
use muster_kubeapi::list::ListMeta;
use muster_kubeapi::negotiate::Endpoint;
use muster_kubeapi::path::Request;
use muster_kubeapi::resource::{Resource, Verb};
use muster_kubeapi::status::{Reason, Status};
use muster_model::{Kind, MemberName, TimeMs, kinds as model_kinds};
use muster_proto::federation::{ContainerEnd, ContainerMirror, ContainerState, PodPhase};
use serde_json::Value;

use super::call::Call;
use super::items::{Filter, Item};
use super::lists::{self, Page};
use super::respond::{self, Answered, Wanted};
use super::templates::{Template, Templates};
use super::watch::{self, Initial, Start};
use super::watch_source::Source;
use super::{exec, logs, proxy_out, refusal};
use crate::agents::MirroredPod;

/// Whether these are the mirrors.
pub fn are_pods(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "pods"
}

/// A request about Pods, answered by the leader.
///
/// # Errors
/// 404, 405, 503 without a leader or without contact to the member.
pub async fn answer(call: &Call, request: &Request, body: &Bytes) -> Answered {
    if exec::is_exec(request) {
        return exec::answer(call, request).await;
    }
    if let Some(answered) = proxy_out::at_leader(call, body).await {
        return answered;
    }
    match (request.verb, request.subresource.map_or("", |sub| sub.name)) {
        (Verb::Get, "log") => logs::log(call, request).await,
        (Verb::Get, _) => get(call, request),
        (Verb::List, _) => list(call, request),
        (Verb::Watch, _) => follow(call, request),
        _ => Err(read_only()),
    }
}

/// Whether a write to a Pod was refused because of its method.
pub fn is_write(status: &Status, path: &str) -> bool {
    status.reason == Reason::MethodNotAllowed && path.starts_with("/api/v1/") && path.contains("/pods")
}

/// 405 that says what to do instead.
pub fn read_only() -> Status {
    let why = "Pods here mirror what members run and cannot be changed; change, suspend or delete the Job that owns them";
    Status::new(Reason::MethodNotAllowed, why)
}

/// The mirror that a request names.
///
/// # Errors
/// 404.
pub fn find(call: &Call, request: &Request) -> Result<Arc<MirroredPod>, Status> {
    let (namespace, name) =
        (request.namespace.as_deref().unwrap_or_default(), request.name.as_deref().unwrap_or_default());
    call.api.mirrors.get(namespace, name).ok_or_else(|| Status::not_found(request.resource, name))
}

/// Appends a Pod as JSON.
pub fn render_into(out: &mut String, pod: &MirroredPod, template: &Template) {
    kinds::pod_into(out, &shown(pod, template));
}

/// A Pod's cells in a Table.
pub fn cells(pod: &MirroredPod, template: &Template, now: TimeMs) -> Vec<Value> {
    kinds::pod_cells(&shown(pod, template), now)
}

fn shown(mirrored: &MirroredPod, template: &Template) -> kinds::PodMirror {
    let pod = &mirrored.pod;
    kinds::PodMirror {
        namespace: pod.job.namespace.to_string(),
        name: pod.name.clone(),
        job: pod.job.name.to_string(),
        job_uid: pod.job_uid,
        epoch: pod.epoch.0,
        index: pod.index,
        cluster: mirrored.member.to_string(),
        node: pod.node.clone(),
        container: pod.container.clone(),
        phase: match pod.phase {
            PodPhase::Pending => kinds::PodPhase::Pending,
            PodPhase::Running => kinds::PodPhase::Running,
            PodPhase::Succeeded => kinds::PodPhase::Succeeded,
            PodPhase::Failed => kinds::PodPhase::Failed,
            PodPhase::Unknown => kinds::PodPhase::Unknown,
        },
        labels: template.labels.clone(),
        annotations: template.annotations.clone(),
        image: template.image.clone(),
        streams: template.streams_of(&pod.container),
        created: template.granted.or(pod.started),
        started: pod.started,
        finished: pod.finished,
        exit_code: pod.exit_code,
        signal: pod.signal,
        reason: pod.reason.clone(),
        message: pod.message.clone(),
        gpus: pod.gpus.clone(),
        restarts: pod.restarts,
        containers: pod.containers.iter().map(|container| container_of(container, template)).collect(),
        version: mirrored.version,
    }
}

fn container_of(container: &ContainerMirror, template: &Template) -> kinds::ContainerMirror {
    let state = match &container.state {
        ContainerState::Waiting { reason, message } => {
            kinds::ContainerState::Waiting { reason: reason.clone(), message: message.clone() }
        }
        ContainerState::Running { since } => kinds::ContainerState::Running { since: Some(*since) },
        ContainerState::Terminated(end) => kinds::ContainerState::Terminated(end_of(end)),
    };
    kinds::ContainerMirror {
        name: container.name.clone(),
        image: template.images.get(&container.name).cloned().unwrap_or_default(),
        streams: template.streams_of(&container.name),
        init: container.init,
        state,
        last: container.last.as_ref().map(end_of),
        restarts: container.restarts,
    }
}

fn end_of(end: &ContainerEnd) -> kinds::ContainerEnd {
    kinds::ContainerEnd {
        started: end.started,
        finished: Some(end.finished),
        exit_code: end.exit_code.unwrap_or(1),
        signal: end.signal,
        reason: end.reason.clone(),
        message: end.message.clone(),
    }
}

fn get(call: &Call, request: &Request) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let pod = find(call, request)?;
    respond::object(request.resource, &wanted, StatusCode::OK, &Templates::new(&call.api.hub).item(pod))
}

fn list(call: &Call, request: &Request) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Collection, &request.query)?;
    let (version, items) = matching(call, request);
    let page = Page { meta: ListMeta::at(version), items };
    let response = lists::respond(request.resource, &wanted, page, &call.ticket)?;
    Ok(respond::with_warnings(response, out_of_contact(call).as_slice()))
}

/// What a list of mirrors cannot promise: Pods of members that are out of contact.
fn out_of_contact(call: &Call) -> Option<String> {
    let state = call.api.hub.stale();
    let clusters = state.list(&Kind::new(model_kinds::CLUSTER), None, None);
    let joined =
        clusters.filter(|object| object.cluster().is_some_and(|cluster| cluster.status.joined_at.is_some()));
    let names = joined.map(|object| MemberName::new(&*object.key.name));
    let silent: Vec<String> =
        names.filter(|name| call.api.sessions.outbox(name).is_none()).map(|name| name.to_string()).collect();
    (!silent.is_empty()).then(|| {
        format!(
            "out of contact: {}; Pods there are shown as they last were, or not at all",
            silent.join(", ")
        )
    })
}

fn matching(call: &Call, request: &Request) -> (u64, Vec<Item>) {
    let filter = Filter::new(request.namespace.as_deref(), &request.options);
    let (version, pods) = call.api.mirrors.list(request.namespace.as_deref());
    let mut templates = Templates::new(&call.api.hub);
    (version, pods.into_iter().map(|pod| templates.item(pod)).filter(|item| filter.matches(item)).collect())
}

fn follow(call: &Call, request: &Request) -> Answered {
    let gone = || refusal::unavailable("the leader has just changed; try again");
    let source = Source::pods(&call.api).ok_or_else(gone)?;
    let start = Start::of(&request.options);
    let initial = match start {
        Start::After(after) => Initial { items: Vec::new(), after },
        Start::Everything | Start::Now => {
            let (after, items) = matching(call, request);
            let items = if start == Start::Everything { items } else { Vec::new() };
            Initial { items, after }
        }
    };
    watch::respond(call, request, source, initial)
}
