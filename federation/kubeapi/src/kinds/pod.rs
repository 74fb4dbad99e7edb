//! `v1 Pod`: a mirror of a pod that a member shows. Never stored; served by the leader from what agents report.

use std::hash::Hasher;

use muster_model::{TimeMs, Uid};
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::column::{AGE, NAME, NONE, or_none, text, wide};
use super::json::Fields;
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
    /// Annotations of the job's template. Clients read there which container is meant when none is named.
    pub annotations: Vec<(String, String)>,
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
    /// What the template says of the standard streams of `container`.
    pub streams: ContainerStreams,
    /// Its containers, init containers first; empty when nobody knows.
    pub containers: Vec<ContainerMirror>,
    /// Its resource version: `term << 40 | sequence`.
    pub version: u64,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerMirror {
    /// Its name.
    pub name: String,
    /// Its image, if it is known.
    pub image: String,
    /// Whether it is an init container, sidecars included.
    pub init: bool,
    /// Where it stands.
    pub state: ContainerState,
    /// How it ended before it was started again.
    pub last: Option<ContainerEnd>,
    /// How often it was started again.
    pub restarts: u32,
    /// What its template says of its standard streams.
    pub streams: ContainerStreams,
}

/// The standard streams of a container. Clients that attach look there whether it has a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContainerStreams {
    /// `stdin`.
    pub stdin: bool,
    /// `stdinOnce`.
    pub stdin_once: bool,
    /// `tty`.
    pub tty: bool,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Not started, or not again yet.
    Waiting {
        /// One word.
        reason: String,
        /// One sentence, or empty.
        message: String,
    },
    /// Runs.
    Running {
        /// Since when, if it is known.
        since: Option<TimeMs>,
    },
    /// Ended for good.
    Terminated(ContainerEnd),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContainerEnd {
    /// When it started.
    pub started: Option<TimeMs>,
    /// When it ended.
    pub finished: Option<TimeMs>,
    /// Its exit code.
    pub exit_code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// One word.
    pub reason: String,
    /// One sentence, or empty.
    pub message: String,
}

impl PodMirror {
    /// Its containers as far as they are known; else the one that every pod has, from what the pod itself tells.
    fn containers_or_one(&self) -> Vec<ContainerMirror> {
        if !self.containers.is_empty() {
            return self.containers.clone();
        }
        let state = match (self.phase, self.started) {
            (PodPhase::Succeeded | PodPhase::Failed, _) => ContainerState::Terminated(own_end(self)),
            (PodPhase::Running | PodPhase::Unknown, since @ Some(_)) => ContainerState::Running { since },
            _ => {
                let reason = if self.reason.is_empty() { "ContainerCreating" } else { &self.reason };
                ContainerState::Waiting { reason: reason.to_owned(), message: self.message.clone() }
            }
        };
        let (name, image) = (self.container.clone(), self.image.clone());
        let (restarts, streams) = (self.restarts, self.streams);
        vec![ContainerMirror { name, image, init: false, state, last: None, restarts, streams }]
    }

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
    let own = ["muster.sh/epoch", "batch.kubernetes.io/job-completion-index"];
    for (key, value) in pod.annotations.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
        annotations.text(key, value);
    }
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
    let (inits, mains): (Vec<_>, Vec<_>) =
        pod.containers_or_one().into_iter().partition(|container| container.init);
    let named = |out: &mut String, container: &ContainerMirror| {
        let mut fields = Fields::open(out);
        fields.text("name", &container.name);
        fields.filled("image", &container.image);
        let ContainerStreams { stdin, stdin_once, tty } = container.streams;
        for (name, on) in [("stdin", stdin), ("stdinOnce", stdin_once), ("tty", tty)] {
            if on {
                fields.literal(name, &true);
            }
        }
        fields.close();
    };
    if !inits.is_empty() {
        fields.list("initContainers", &inits, named);
    }
    fields.list("containers", &mains, named);
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
    let (inits, mains): (Vec<_>, Vec<_>) =
        pod.containers_or_one().into_iter().partition(|container| container.init);
    if !inits.is_empty() {
        fields.list("initContainerStatuses", &inits, container_status);
    }
    fields.list("containerStatuses", &mains, container_status);
    fields.close();
}

/// Whether every main container runs.
fn is_ready(pod: &PodMirror) -> bool {
    pod.phase == PodPhase::Running
        && pod.containers.iter().filter(|container| !container.init).all(is_running)
}

fn container_status(out: &mut String, container: &ContainerMirror) {
    let is_running = matches!(container.state, ContainerState::Running { .. });
    // As kubelets say it: an init container is ready once it has completed.
    let has_completed = matches!(&container.state, ContainerState::Terminated(end) if end.exit_code == 0);
    let mut fields = Fields::open(out);
    fields.text("name", &container.name);
    fields.text("image", &container.image);
    fields.text("imageID", "");
    fields.literal("ready", &(is_running || (container.init && has_completed)));
    fields.literal("started", &is_running);
    fields.literal("restartCount", &container.restarts);
    state(fields.name("state"), &container.state);
    if let Some(last) = &container.last {
        let mut outer = Fields::open(fields.name("lastState"));
        terminated(outer.name("terminated"), last);
        outer.close();
    }
    fields.close();
}

fn state(out: &mut String, state: &ContainerState) {
    let mut outer = Fields::open(out);
    match state {
        ContainerState::Terminated(end) => terminated(outer.name("terminated"), end),
        ContainerState::Running { since } => {
            let mut running = Fields::open(outer.name("running"));
            if let Some(since) = since {
                running.time("startedAt", *since);
            }
            running.close();
        }
        ContainerState::Waiting { reason, message } => {
            let mut waiting = Fields::open(outer.name("waiting"));
            waiting.text("reason", reason);
            waiting.filled("message", message);
            waiting.close();
        }
    }
    outer.close();
}

fn terminated(out: &mut String, end: &ContainerEnd) {
    let mut fields = Fields::open(out);
    fields.literal("exitCode", &end.exit_code);
    if let Some(signal) = end.signal {
        fields.literal("signal", &signal);
    }
    fields.text("reason", &end.reason);
    fields.filled("message", &end.message);
    if let Some(started) = end.started {
        fields.time("startedAt", started);
    }
    if let Some(finished) = end.finished {
        fields.time("finishedAt", finished);
    }
    fields.close();
}

/// The end of a pod whose containers nobody knows.
fn own_end(pod: &PodMirror) -> ContainerEnd {
    // A shell's convention for what a signal ended, which kubelets follow too.
    let by_signal = pod.signal.map(|signal| 128 + signal);
    ContainerEnd {
        started: pod.started,
        finished: pod.finished,
        exit_code: pod.exit_code.or(by_signal).unwrap_or(i32::from(pod.phase == PodPhase::Failed)),
        signal: pod.signal,
        reason: ended_reason(pod).to_owned(),
        message: pod.message.clone(),
    }
}

fn ended_reason(pod: &PodMirror) -> &str {
    match (pod.reason.as_str(), pod.phase) {
        ("", PodPhase::Succeeded) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    }
}

/// `Running`, or what keeps a container from it, as `kubectl get pods` says it.
fn running_status(pod: &PodMirror) -> &str {
    let waits = |container: &&ContainerMirror| matches!(container.state, ContainerState::Waiting { .. });
    match pod.containers.iter().find(waits).map(|container| &container.state) {
        Some(ContainerState::Waiting { reason, .. }) => reason,
        _ => PodPhase::Running.as_str(),
    }
}

fn is_running(container: &ContainerMirror) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}

/// Cells of one pod, one per column.
pub fn pod_cells(pod: &PodMirror, now: TimeMs) -> Vec<Value> {
    let status = match pod.phase {
        PodPhase::Succeeded | PodPhase::Failed => ended_reason(pod),
        PodPhase::Pending if !pod.reason.is_empty() => &pod.reason,
        PodPhase::Running => running_status(pod),
        phase => phase.as_str(),
    };
    let mains = || pod.containers.iter().filter(|container| !container.init);
    let (ready, all) = match pod.containers.is_empty() {
        true => (usize::from(is_ready(pod)), 1),
        false => (mains().filter(|container| is_running(container)).count(), mains().count()),
    };
    let age = match pod.since() {
        TimeMs(0) => "<unknown>".to_owned(),
        since => human_duration((now.0 / 1000) as i64 - (since.0 / 1000) as i64),
    };
    vec![
        json!(pod.name),
        json!(format!("{ready}/{all}")),
        json!(status),
        json!(pod.restarts.to_string()),
        json!(age),
        json!(NONE),
        or_none(&pod.node),
        json!(pod.cluster),
        or_none(&pod.gpus.join(",")),
    ]
}
