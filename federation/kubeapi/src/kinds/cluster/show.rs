//! What is known of a member: conditions, capacity by model and shape, lease, and the row of `kubectl get clusters`.

use std::collections::BTreeMap;

use muster_model::{
    Cluster, ClusterStatus, GpuModel, GpuSource, MemberName, Nodes, Object, Readiness, TimeMs,
};
use serde_json::{Value, json};

use super::COLUMNS;
use super::read::{backend_word, effect_word, price_class_word};
use crate::kinds::column::or_none;
use crate::kinds::json::{Fields, push_text};
use crate::kinds::kind::Live;
use crate::kinds::render::{Condition, condition, show_field};
use crate::kinds::rows::Rows;

/// Appends `,"status":{...}`.
pub(super) fn show(object: &Object, live: &Live<'_>, out: &mut String) {
    let Some(Cluster { status, .. }) = object.cluster() else { return };
    let mut fields = Fields::open(show_field(out, "status"));
    let made = object.meta.created;
    let told = [ready(status, made), joined(status, made)];
    fields.list("conditions", told.iter(), |out, one| condition(out, one));
    fields.list("capacity", status.nodes.gpus(), |out, one| capacity(out, &status.nodes, one));
    fields.filled("agentVersion", &status.agent_version);
    let member = MemberName(std::sync::Arc::clone(&object.key.name));
    if let Some(lease) = live.lease.and_then(|of| of(&member)) {
        let mut inner = Fields::open(fields.name("lease"));
        inner.time("renewedAt", lease.renewed_at);
        inner.time("expiresAt", lease.expires_at);
        inner.close();
    }
    if status.joined_at.is_some() {
        fields.text("gpuSource", gpu_source(status.gpu_source));
    }
    if !status.drains.is_empty() {
        fields.list("drainedBy", &status.drains, |out, owner| push_text(out, owner));
    }
    fields.close();
}

fn ready(status: &ClusterStatus, made: TimeMs) -> Condition<'static> {
    let told = |status, since, reason, message| Condition { kind: "Ready", status, since, reason, message };
    match status.ready {
        Readiness::Ready { since } => told("True", since, "LeaseHeld", "The agent renews its lease"),
        Readiness::Lapsed { since } => {
            told("False", since, "LeaseLapsed", "The agent is out of contact; what it runs goes on")
        }
        Readiness::Unknown => {
            told("Unknown", made, "NeverConnected", "No agent has connected under this name")
        }
    }
}

fn joined(status: &ClusterStatus, made: TimeMs) -> Condition<'static> {
    let told = |status, since, reason, message| Condition { kind: "Joined", status, since, reason, message };
    match status.joined_at {
        Some(since) => told("True", since, "TokenAccepted", "An agent joined under this name"),
        None => told("False", made, "NotJoined", "Join it with the line that `muster cluster join` prints"),
    }
}

fn gpu_source(source: GpuSource) -> &'static str {
    match source {
        GpuSource::Nvml => "nvml",
        GpuSource::Simulated => "simulated",
        GpuSource::Kubernetes => "kubernetes",
    }
}

fn capacity(out: &mut String, nodes: &Nodes, (model, total, free): (GpuModel, u64, u64)) {
    let mut fields = Fields::open(out);
    fields.text("model", model.as_str());
    fields.literal("total", &(total / 1000));
    fields.literal("free", &(free / 1000));
    fields.list("shapes", free_shapes(nodes, &model), |out, (gpus, count)| {
        let mut inner = Fields::open(out);
        inner.literal("gpus", &gpus);
        inner.literal("nodes", &count);
        inner.close();
    });
    fields.close();
}

/// Nodes of a model by their free GPUs, the most first.
fn free_shapes(nodes: &Nodes, model: &GpuModel) -> Vec<(u64, u32)> {
    let mut by_free = BTreeMap::<u64, u32>::new();
    for node in &nodes.free {
        let shape = nodes.shapes.get(usize::from(node.shape));
        if shape.and_then(|shape| shape.gpu_model.as_ref()) == Some(model) {
            *by_free.entry(node.free.gpu_milli / 1000).or_default() += 1;
        }
    }
    by_free.into_iter().rev().collect()
}

/// Cells of one member.
pub(super) fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Some(Cluster { spec, status }) = object.cluster() else { return vec![Value::Null; COLUMNS.len()] };
    let gpus = status.nodes.gpus();
    let (total, free) = gpus.iter().fold((0, 0), |(t, f), (_, total, free)| (t + total, f + free));
    let models: Vec<_> =
        gpus.iter().map(|(model, total, free)| format!("{model} {}/{}", free / 1000, total / 1000)).collect();
    let taints: Vec<_> =
        spec.taints.iter().map(|t| format!("{}={}:{}", t.key, t.value, effect_word(t.effect))).collect();
    vec![
        json!(&*object.key.name),
        json!(spec.location.to_string()),
        json!(price_class_word(spec.price_class)),
        json!(format!("{}/{}", free / 1000, total / 1000)),
        json!(ready_cell(object)),
        rows.age(object),
        or_none(&models.join(",")),
        json!(status.nodes.free.len().to_string()),
        json!(backend_word(spec.backend)),
        or_none(&status.agent_version),
        json!(if status.can_fence { "yes" } else { "no" }),
        or_none(&taints.join(",")),
    ]
}

fn ready_cell(object: &Object) -> String {
    let Some(Cluster { spec, status }) = object.cluster() else { return String::new() };
    let mut text = match status.ready {
        Readiness::Ready { .. } => "Ready".to_owned(),
        Readiness::Lapsed { .. } => "NotReady".to_owned(),
        Readiness::Unknown => "Unknown".to_owned(),
    };
    if spec.unschedulable || !status.drains.is_empty() {
        text.push_str(",SchedulingDisabled");
    }
    if object.meta.deletion.is_some() {
        text.push_str(",Terminating");
    }
    text
}
