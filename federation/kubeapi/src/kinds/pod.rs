//! `v1 Pod`: a mirror of a pod that a member shows. Never stored; served by the leader from what agents report.

use std::hash::Hasher;

use muster_model::{TimeMs, Uid};
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::column::{AGE, NAME, NONE, or_none, text, wide};
use super::json::{Fields, push_text, push_time};
use crate::resource::{Column, FieldLabel, NameRule, Origin, READ_VERBS, Resource, Subresource, Verb};
use crate::table::human_duration;

const COLUMNS: &[Column] = &[
    NAME,
    text("Ready", "Containers that are ready, of all."),
    text("Status", "Phase, or why it is not as it should be."),
    text("Restarts", "How often its container was started again."),
    AGE,
    wide("IP", "Address; members do not tell any."),
    wide("Node", "Node it runs on."),
    wide("Cluster", "Member it runs on."),
    wide("GPUs", "GPUs it holds."),
];

/// Discovery of pods.
pub(super) static RESOURCE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: READ_VERBS,
    subresources: &[
        Subresource { name: "attach", kind: "PodAttachOptions", verbs: &[Verb::Create, Verb::Get] },
        Subresource { name: "exec", kind: "PodExecOptions", verbs: &[Verb::Create, Verb::Get] },
        Subresource { name: "log", kind: "Pod", verbs: &[Verb::Get] },
    ],
    columns: COLUMNS,
    schema: "io.k8s.api.core.v1.Pod",
    origin: Origin::BuiltIn,
    name_rule: NameRule::Subdomain,
    field_labels: &[
        FieldLabel { label: "spec.nodeName", pointer: "/spec/nodeName", fallback: "" },
        FieldLabel { label: "status.phase", pointer: "/status/phase", fallback: "" },
    ],
    default: |_| {},
    validate: |_, _| Vec::new(),
};

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PodPhase {
    /// Not started.
    #[default]
    Pending,
    /// Started.
    Running,
    /// Ended with success.
    Succeeded,
    /// Ended without.
    Failed,
    /// Its member is out of contact.
    Unknown,
}

impl PodPhase {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            PodPhase::Pending => "Pending",
            PodPhase::Running => "Running",
            PodPhase::Succeeded => "Succeeded",
            PodPhase::Failed => "Failed",
            PodPhase::Unknown => "Unknown",
        }
    }
}

/// A pod as its member shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodMirror {
    /// The job's namespace.
    pub namespace: String,
    /// `JOB[-INDEX]-xxxxx`.
    pub name: String,
    /// The job's name.
    pub job: String,
    /// The job's uid.
    pub job_uid: Uid,
    /// Epoch of the attempt it belongs to.
    pub epoch: u64,
    /// Completion index, of Indexed jobs.
    pub index: Option<u32>,
    /// Labels of the job's template beside those that the server sets.
    pub labels: Vec<(String, String)>,
    /// The member.
    pub cluster: String,
    /// The Node in the member.
    pub node: String,
    /// Name of the container.
    pub container: String,
    /// Its image, if it is known.
    pub image: String,
    /// Where it is in its life.
    pub phase: PodPhase,
    /// When it was made, if it is known.
    pub created: Option<TimeMs>,
    /// When it started.
    pub started: Option<TimeMs>,
    /// When it ended.
    pub finished: Option<TimeMs>,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// One word about the container's state.
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// GPUs it holds.
    pub gpus: Vec<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its resource version: `term << 40 | sequence`.
    pub version: u64,
}

impl PodMirror {
    /// A uid that every replica derives alike.
    pub fn uid(&self) -> Uid {
        let mut hasher = SipHasher13::new();
        hasher.write_u128(self.job_uid.0);
        hasher.write_u64(self.epoch);
        hasher.write(self.name.as_bytes());
        Uid(hasher.finish128().as_u128())
    }

    /// Labels as they are shown, in order of key.
    pub fn all_labels(&self) -> Vec<(String, String)> {
        let uid = self.job_uid.to_string();
        let mut labels = self.labels.clone();
        let mut set = |key: &str, value: &str| {
            labels.retain(|(known, _)| known != key);
            labels.push((key.to_owned(), value.to_owned()));
        };
        set("batch.kubernetes.io/controller-uid", &uid);
        set("batch.kubernetes.io/job-name", &self.job);
        set("controller-uid", &uid);
        set("job-name", &self.job);
        set("muster.sh/cluster", &self.cluster);
        if let Some(index) = self.index {
            set("batch.kubernetes.io/job-completion-index", &index.to_string());
        }
        labels.sort();
        labels
    }

    fn since(&self) -> TimeMs {
        self.created.or(self.started).or(self.finished).unwrap_or_default()
    }
}

/// Appends the pod.
pub fn pod_into(out: &mut String, pod: &PodMirror) {
    let mut top = Fields::open(out);
    top.text("apiVersion", "v1");
    top.text("kind", "Pod");
    metadata(top.name("metadata"), pod);
    spec(top.name("spec"), pod);
    status(top.name("status"), pod);
    top.close();
}

fn metadata(out: &mut String, pod: &PodMirror) {
    let mut fields = Fields::open(out);
    fields.text("name", &pod.name);
    fields.text("namespace", &pod.namespace);
    fields.plain("uid", &pod.uid());
    fields.plain("resourceVersion", &pod.version);
    match pod.since() {
        TimeMs(0) => fields.literal("creationTimestamp", &"null"),
        since => fields.time("creationTimestamp", since),
    }
    let mut labels = Fields::open(fields.name("labels"));
    for (key, value) in pod.all_labels() {
        labels.text(&key, &value);
    }
    labels.close();
    let mut annotations = Fields::open(fields.name("annotations"));
    annotations.plain("muster.sh/epoch", &pod.epoch);
    if let Some(index) = pod.index {
        annotations.plain("batch.kubernetes.io/job-completion-index", &index);
    }
    annotations.close();
    fields.list("ownerReferences", [pod], |out, pod| {
        let mut owner = Fields::open(out);
        owner.text("apiVersion", "batch/v1");
        owner.text("kind", "Job");
        owner.text("name", &pod.job);
        owner.plain("uid", &pod.job_uid);
        owner.literal("controller", &true);
        owner.literal("blockOwnerDeletion", &true);
        owner.close();
    });
    fields.close();
}

fn spec(out: &mut String, pod: &PodMirror) {
    let mut fields = Fields::open(out);
    fields.text("restartPolicy", "Never");
    fields.filled("nodeName", &pod.node);
    fields.list("containers", [pod], |out, pod| {
        let mut container = Fields::open(out);
        container.text("name", &pod.container);
        container.filled("image", &pod.image);
        container.close();
    });
    fields.close();
}

fn status(out: &mut String, pod: &PodMirror) {
    let mut fields = Fields::open(out);
    fields.text("phase", pod.phase.as_str());
    fields.filled("reason", if pod.phase == PodPhase::Unknown { "NodeLost" } else { "" });
    fields.filled("message", &pod.message);
    if let Some(started) = pod.started {
        fields.time("startTime", started);
    }
    fields.list("conditions", [pod], |out, pod| {
        let mut condition = Fields::open(out);
        condition.text("type", "Ready");
        condition.text("status", if is_ready(pod) { "True" } else { "False" });
        condition.time("lastTransitionTime", pod.finished.or(pod.started).unwrap_or(pod.since()));
        condition.close();
    });
    fields.list("containerStatuses", [pod], container_status);
    fields.close();
}

fn is_ready(pod: &PodMirror) -> bool {
    pod.phase == PodPhase::Running
}

fn container_status(out: &mut String, pod: &PodMirror) {
    let mut fields = Fields::open(out);
    fields.text("name", &pod.container);
    fields.text("image", &pod.image);
    fields.text("imageID", "");
    fields.literal("ready", &is_ready(pod));
    fields.literal("started", &is_ready(pod));
    fields.literal("restartCount", &pod.restarts);
    state(fields.name("state"), pod);
    fields.close();
}

fn state(out: &mut String, pod: &PodMirror) {
    let mut outer = Fields::open(out);
    match (pod.phase, pod.started) {
        (PodPhase::Succeeded | PodPhase::Failed, _) => terminated(outer.name("terminated"), pod),
        (PodPhase::Running | PodPhase::Unknown, Some(started)) => {
            let out = outer.name("running");
            out.push_str("{\"startedAt\":");
            push_time(out, started);
            out.push('}');
        }
        _ => {
            let mut waiting = Fields::open(outer.name("waiting"));
            push_text(
                waiting.name("reason"),
                if pod.reason.is_empty() { "ContainerCreating" } else { &pod.reason },
            );
            waiting.filled("message", &pod.message);
            waiting.close();
        }
    }
    outer.close();
}

fn terminated(out: &mut String, pod: &PodMirror) {
    let mut fields = Fields::open(out);
    // A shell's convention for what a signal ended, which kubelets follow too.
    let by_signal = pod.signal.map(|signal| 128 + signal);
    let code = pod.exit_code.or(by_signal).unwrap_or(i32::from(pod.phase == PodPhase::Failed));
    fields.literal("exitCode", &code);
    if let Some(signal) = pod.signal {
        fields.literal("signal", &signal);
    }
    fields.text("reason", ended_reason(pod));
    fields.filled("message", &pod.message);
    if let Some(started) = pod.started {
        fields.time("startedAt", started);
    }
    if let Some(finished) = pod.finished {
        fields.time("finishedAt", finished);
    }
    fields.close();
}

fn ended_reason(pod: &PodMirror) -> &str {
    match (pod.reason.as_str(), pod.phase) {
        ("", PodPhase::Succeeded) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    }
}

/// Cells of one pod, one per column.
pub fn pod_cells(pod: &PodMirror, now: TimeMs) -> Vec<Value> {
    let status = match pod.phase {
        PodPhase::Succeeded | PodPhase::Failed => ended_reason(pod),
        PodPhase::Pending if !pod.reason.is_empty() => &pod.reason,
        phase => phase.as_str(),
    };
    let age = match pod.since() {
        TimeMs(0) => "<unknown>".to_owned(),
        since => human_duration((now.0 / 1000) as i64 - (since.0 / 1000) as i64),
    };
    vec![
        json!(pod.name),
        json!(if is_ready(pod) { "1/1" } else { "0/1" }),
        json!(status),
        json!(pod.restarts.to_string()),
        json!(age),
        json!(NONE),
        or_none(&pod.node),
        json!(pod.cluster),
        or_none(&pod.gpus.join(",")),
    ]
}
