//! A pod as it is shown to people through the hub.

use muster_member_machine::{EndReason, PodState, PodView};
use muster_model::{Epoch, MemberName};
use muster_proto::federation::{PodMirror, PodPhase};
use serde_json::Value;

/// The name of the Node at a position in the member.
pub(crate) fn node_name(member: &MemberName, node: u32) -> String {
    format!("{member}-{node}")
}

/// The mirror of a pod.
pub(crate) fn mirror(view: &PodView<'_>, member: &MemberName) -> PodMirror {
    let end = view.pod.end();
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
        reason: end.map(|end| reason(end.reason).to_owned()).unwrap_or_default(),
        message: end.map(|end| end.message.to_string()).unwrap_or_default(),
        gpus: view.pod.gpus.iter().map(ToString::to_string).collect(),
        restarts: 0,
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
