//! A pod as it is shown to people through the hub.

use muster_member_machine::{EndReason, PodState, PodView};
use muster_model::{Epoch, MemberName, TimeMs};
use muster_proto::federation::{ContainerEnd, ContainerMirror, ContainerState, PodMirror, PodPhase};
use serde_json::Value;

use crate::backend::{self, ContainerStatus};

/// What the machine has no use for, but people have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodDetail {
    /// Its containers, init containers first; empty when nobody knows.
    pub(crate) containers: Vec<ContainerStatus>,
    /// Restarts that count against the job's backoff limit.
    pub(crate) restarts: u32,
    /// What it waits for before it can be started.
    pub(crate) waits_for: Option<(&'static str, String)>,
}

/// Why a pod waits for its data.
pub(crate) const DATA_MISSING: &str = "WaitsForData";
/// The kubelet's word for a pod whose ConfigMaps and Secrets are not all there.
pub(crate) const CONFIG_ERROR: &str = "CreateContainerConfigError";

/// The name of the Node at a position in the member.
pub(crate) fn node_name(member: &MemberName, node: u32) -> String {
    format!("{member}-{node}")
}

/// The mirror of a pod.
pub(crate) fn mirror(view: &PodView<'_>, detail: &PodDetail, member: &MemberName) -> PodMirror {
    let end = view.pod.end();
    let waits_for = detail.waits_for.as_ref().filter(|_| view.pod.state == PodState::Starting);
    let started = match &view.pod.state {
        PodState::Running { since } => Some(*since),
        _ => end.and_then(|end| end.started),
    };
    PodMirror {
        job: view.attempt.job.clone(),
        job_uid: view.attempt.uid,
        epoch: Epoch(view.id.epoch.0),
        name: view.name(),
        index: view.pod.index,
        phase: phase(&view.pod.state),
        container: container(&view.attempt.body).unwrap_or_else(|| "main".to_owned()),
        node: node_name(member, view.pod.node),
        started,
        finished: end.map(|end| end.finished),
        exit_code: end.and_then(|end| end.exit_code),
        signal: end.and_then(|end| end.signal),
        reason: match (end, waits_for) {
            (Some(end), _) => reason(end.reason).to_owned(),
            (None, Some((reason, _))) => (*reason).to_owned(),
            (None, None) => String::new(),
        },
        message: end
            .map(|end| end.message.to_string())
            .or(waits_for.map(|(_, message)| message.clone()))
            .unwrap_or_default(),
        gpus: view.pod.gpus.iter().map(ToString::to_string).collect(),
        restarts: detail.containers.iter().map(|container| container.restarts).fold(0, u32::saturating_add),
        containers: containers(view, detail, waits_for),
    }
}

/// What the backend tells of containers; before it does, what the template says of them.
fn containers(
    view: &PodView<'_>,
    detail: &PodDetail,
    waits_for: Option<&(&'static str, String)>,
) -> Vec<ContainerMirror> {
    if !detail.containers.is_empty() || view.pod.state != PodState::Starting {
        return detail.containers.iter().map(container_mirror).collect();
    }
    let Some(template) = template(&view.attempt.body) else { return Vec::new() };
    let names = |list: &str| -> Vec<String> {
        let items = template["spec"][list].as_array().into_iter().flatten();
        items.filter_map(|item| Some(item["name"].as_str()?.to_owned())).collect()
    };
    let reason = waits_for.map_or("ContainerCreating", |(reason, _)| reason);
    let waiting = |name, init| ContainerMirror {
        name,
        init,
        state: ContainerState::Waiting {
            reason: reason.to_owned(),
            message: waits_for.map(|(_, message)| message.clone()).unwrap_or_default(),
        },
        last: None,
        restarts: 0,
    };
    let inits = names("initContainers").into_iter().map(|name| waiting(name, true));
    inits.chain(names("containers").into_iter().map(|name| waiting(name, false))).collect()
}

fn container_mirror(status: &ContainerStatus) -> ContainerMirror {
    let state = match &status.state {
        backend::ContainerState::Waiting { reason } => {
            ContainerState::Waiting { reason: reason.clone(), message: String::new() }
        }
        backend::ContainerState::Running { since_ms } => ContainerState::Running { since: TimeMs(*since_ms) },
        backend::ContainerState::Ended(end) => ContainerState::Terminated(container_end(end)),
    };
    ContainerMirror {
        name: status.name.clone(),
        init: status.init,
        state,
        last: status.last.as_ref().map(container_end),
        restarts: status.restarts,
    }
}

fn container_end(end: &backend::ContainerEnd) -> ContainerEnd {
    ContainerEnd {
        started: end.started_at_ms.map(TimeMs),
        finished: TimeMs(end.finished_at_ms),
        exit_code: end.code,
        signal: end.signal,
        reason: format!("{:?}", end.reason),
        message: end.message.clone(),
    }
}

fn phase(state: &PodState) -> PodPhase {
    match state {
        PodState::Starting => PodPhase::Pending,
        PodState::Running { .. } => PodPhase::Running,
        PodState::Unknown { .. } => PodPhase::Unknown,
        PodState::Ended(end) if end.reason == EndReason::Completed => PodPhase::Succeeded,
        PodState::Ended(_) => PodPhase::Failed,
    }
}

fn reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Completed => "Completed",
        EndReason::Error => "Error",
        EndReason::StartError => "StartError",
        EndReason::Refused => "InvalidTemplate",
        EndReason::DeadlineExceeded => "DeadlineExceeded",
        EndReason::Fenced => "Fenced",
        EndReason::Stopped => "Stopped",
        EndReason::Lost => "Lost",
        EndReason::NotStarted => "NotStarted",
        EndReason::Evicted => "Evicted",
    }
}

/// The pod template in the inside of a job's document.
pub(crate) fn template(body: &str) -> Option<Value> {
    let mut document: Value = serde_json::from_str(&format!("{{{body}}}")).ok()?;
    Some(document.get_mut("spec")?.get_mut("template")?.take())
}

/// The name of the template's first container. The document is not kept over a restart of the agent.
fn container(body: &str) -> Option<String> {
    Some(template(body)?["spec"]["containers"][0]["name"].as_str()?.to_owned())
}
