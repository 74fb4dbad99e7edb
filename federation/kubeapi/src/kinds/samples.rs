//! Objects of every kind for the tests of this folder, made by the way that requests take.

use std::sync::Arc;

use muster_model::{
    Assignment, Attempt, AttemptState, ContentDigest, CostKind, CostLine, DataUse, DurationMs, Epoch,
    EventSeverity, EventSpec, Fault, FaultEnd, FaultEndCause, FaultKind, FaultOwner, FaultPhase, FaultSpec,
    FaultTarget, GrantPolicy, Job, Key, MemberName, Meta, MicroUsd, Object, Revision, Run, RunPhase,
    Status as State, TimeMs, Transfer, TransferPhase, TransferProgress, Uid,
};
use serde_json::{Value, json};

use super::kind::{Live, StoredKind};
use super::{Admitted, admit, preview, render};
use crate::document::Encoding;
use crate::field::FieldError;
use crate::validate::{FieldValidation, decode};

/// The uid of every sample.
pub(super) const UID: Uid = Uid(0x0a1b_2c3d_0000_4000_8000_0000_0000_00ff);
/// 2026-11-20T10:44:05Z.
pub(super) const NOW: TimeMs = TimeMs(1_795_171_445_000);

/// A job that asks for much of what the hub reads.
pub(super) const JOB: &str = "
metadata: {name: train, namespace: team-a, labels: {kueue.x-k8s.io/queue-name: night}, unknown: [1, {a: null}]}
spec:
  completions: 4
  parallelism: 2
  completionMode: Indexed
  activeDeadlineSeconds: 600
  ttlSecondsAfterFinished: 60
  future: {kept: true}
  template:
    metadata: {labels: {app: train}}
    spec:
      restartPolicy: Never
      nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB, tier: fast, kubernetes.io/os: linux}
      tolerations:
      - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
      - {key: team, value: a}
      initContainers:
      - {name: load, image: 'load:1', command: [load], resources: {requests: {cpu: '9', memory: 1Gi}}}
      containers:
      - name: main
        image: registry.example:5000/train
        command: [python, train.py, --name=train]
        env: [{name: A, value: '1'}]
        resources:
          limits: {nvidia.com/gpu: 8, cpu: '4'}
          requests: {cpu: 500m, memory: 64Gi}
      - {name: side, image: 'side@sha256:0123', command: [side], resources: {requests: {memory: 512Mi}}}
";

/// A member.
pub(super) const CLUSTER: &str = "
metadata: {name: aws-use1-spot, labels: {team: ml}}
spec:
  location: {provider: aws, region: us-east-1, zone: us-east-1a}
  priceClass: spot
  labels: {tier: fast}
  taints: [{key: spot, value: 'true', effect: NoSchedule}]
  nodes: [{count: 2, cpu: '96', memory: 1152Gi, gpu: {model: NVIDIA-A100-SXM4-80GB, count: 8}}]
";

/// Options of jobs.
pub(super) const PLACEMENT: &str = "
metadata: {name: cheap, namespace: team-a}
spec:
  clusterSelector:
    matchLabels: {tier: fast}
    matchExpressions: [{key: zone, operator: NotIn, values: [a, b]}, {key: gone, operator: DoesNotExist}]
  gpus: {ordered: [{model: H100, count: 4}, {model: A100}]}
  datasets: [imagenet]
  spot: require
  maxHourlyCost: '12.5'
  expectedDuration: 1h30m
  deadline: 2026-12-01T00:00:00Z
  checkpoint: {path: s3://b/c, interval: 10m, size: 40Gi}
  partitionPolicy: Fence
  fenceAfter: 2m
";

/// A dataset.
pub(super) const DATASET: &str = "
metadata: {name: imagenet, namespace: team-a}
spec:
  version: v2
  size: 150Gi
  replicas: [{provider: aws, region: eu-west-1}, {provider: onprem, region: berlin}]
  allowedRegions: [eu-west-1, {region: berlin}, {provider: gcp, region: europe-west4}]
";

/// Prices.
pub(super) const PRICE_BOOK: &str = "
metadata: {name: sample}
spec:
  compute:
  - {provider: aws, region: us-east-1, gpuModel: A100, onDemand: '5.12', spot: '1.91', interruptionsPerHour: 0.05, source: list, asOf: 2026-11-01}
  - {provider: aws, region: us-east-1, zone: us-east-1a, gpuModel: A100, onDemand: '5.00', asOf: 2026-11-10T12:00:00Z}
  egress:
  - {from: {provider: aws, region: us-east-1}, to: {provider: gcp, region: us-central1}, perGiB: '0.09', gbps: '2.5', source: list, asOf: 2026-10-20}
";

/// Members made by Terraform.
pub(super) const BURST_POOL: &str = "
metadata: {name: sample}
spec:
  module: process-cluster
  variables: {root: /srv/burst, stop_seconds: 5}
  location: {provider: aws, region: us-east-1}
  priceClass: spot
  labels: {tier: burst}
  nodes: [{count: 2, cpu: '96', memory: 1152Gi, gpu: {model: A100, count: 8}}]
  min: 0
  max: 3
  priceCap: '40.00'
  idleTTL: 10m
";

/// Decodes, completes and checks what a user writes.
pub(super) fn admitted(kind: &StoredKind, text: &str) -> Result<Admitted, Vec<FieldError>> {
    admit(kind, decoded(kind, text), None)
}

/// What a user writes, with what the caller of `admit` sets.
pub(super) fn decoded(kind: &StoredKind, text: &str) -> Value {
    let decoded = decode(&kind.resource, text.as_bytes(), Encoding::Yaml, FieldValidation::Ignore);
    let mut object = decoded.unwrap_or_else(|status| panic!("{}", status.message)).object;
    object["metadata"]["uid"] = json!(UID.to_string());
    object
}

/// The object as it is stored.
pub(super) fn object(kind: &StoredKind, text: &str) -> Object {
    let admitted = admitted(kind, text).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let value = decoded(kind, text);
    let part = |name: &str| value["metadata"][name].as_str().unwrap_or_default().to_owned();
    let key = Key { kind: kind.model_kind(), ..Key::new("", &part("namespace"), &part("name")) };
    let mut object = preview(&admitted, key, None, (UID, NOW));
    object.meta.revision = Revision(7);
    object
}

/// Errors as a user reads them.
pub(super) fn lines(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What reading a document comes to: the typed part and warnings, or what is wrong.
pub(super) fn reading(kind: &StoredKind, text: &str) -> String {
    match admitted(kind, text) {
        Ok(admitted) => {
            let warnings: Vec<_> = admitted.warnings.iter().map(|text| format!("warning: {text}")).collect();
            format!("{:#?}\n{}", admitted.spec, warnings.join("\n"))
        }
        Err(errors) => lines(&errors),
    }
}

/// The object's status as readable JSON.
pub(super) fn status(kind: &StoredKind, object: &Object) -> String {
    serde_json::to_string_pretty(&render::value(kind, object)["status"]).unwrap()
}

/// The object's row, cell by cell under its header.
pub(super) fn row(kind: &StoredKind, object: &Object, now: TimeMs) -> String {
    let cells = (kind.cells)(object, &mut super::Rows::new(now));
    assert_eq!(cells.len(), kind.resource.columns.len(), "one cell per column");
    let lines = kind.resource.columns.iter().zip(cells);
    lines.map(|(column, cell)| format!("{}: {cell}", column.name)).collect::<Vec<_>>().join("\n")
}

/// The object as it is shown.
pub(super) fn shown(kind: &StoredKind, object: &Object) -> String {
    render::object(kind, object, &Live::default())
}

/// A job that runs on a member.
pub(super) fn running_job() -> Object {
    let mut object = object(&super::job::KIND, JOB);
    let State::Job(job) = &mut object.status else { panic!("a job") };
    **job = Job { attempt: Some(Box::new(attempt())), attempts: 1, start_time: Some(NOW), ..Job::clone(job) };
    job.phase = muster_model::JobPhase::Active;
    job.pods = muster_model::PodCounts { active: 2, ready: 1, succeeded: 1, failed: 1, terminating: 0 };
    job.completed_indexes = "0".into();
    object
}

fn attempt() -> Attempt {
    Attempt {
        epoch: Epoch::new(1, Revision(9)),
        assignment: assignment(),
        granted_at: NOW,
        incarnation: None,
        state: AttemptState::Running { since: NOW },
    }
}

/// A place for a job.
pub(super) fn assignment() -> Assignment {
    Assignment {
        member: MemberName::new("onprem-a"),
        claims: Vec::new(),
        gpu_model: None,
        requests: Vec::new(),
        hourly: MicroUsd(1_000_000),
        one_off: Vec::new(),
        policy: GrantPolicy::default(),
        after: Vec::new(),
        because: "it costs 1.00 per hour, 2.00 less than the next".into(),
        data: Vec::new(),
    }
}

/// A game day.
pub(super) const GAME_DAY: &str = "
metadata: {name: sites}
spec:
  schedule: {cron: '0 10 * * MON', timeZone: Europe/Berlin}
  seed: 7
  faults:
  - {kind: partition, after: 5s, for: 60s, targets: {members: {selector: {matchLabels: {site: a}}, names: [onprem-a]}}}
  - {kind: kill, for: 10s, targets: {replicas: {names: [controller-1]}}}
  limits: {members: 2, gpus: 16, duration: 10m}
";

/// A fault that was aborted.
pub(super) fn fault() -> Object {
    let fault = Fault {
        spec: FaultSpec {
            kind: FaultKind::Partition,
            target: FaultTarget::Member(MemberName::new("onprem-a")),
            ttl: DurationMs(60_000),
        },
        owner: FaultOwner::GameDay { day: "sites".into(), run: 2, step: 0 },
        expires: TimeMs(NOW.0 + 60_000),
        aborted: Some(TimeMs(NOW.0 + 5_000)),
        voters: 3,
        phase: FaultPhase::Reverted(FaultEnd {
            at: TimeMs(NOW.0 + 5_500),
            active_since: Some(TimeMs(NOW.0 + 100)),
            cause: FaultEndCause::Aborted,
            confirmed: None,
        }),
    };
    typed(&super::fault::KIND, "sites-2-0", State::Fault(Box::new(fault)))
}

/// An object that apply makes itself.
pub(super) fn typed(kind: &StoredKind, name: &str, status: State) -> Object {
    let meta = Meta {
        uid: UID,
        created: NOW,
        generation: 0,
        revision: Revision(8),
        deletion: None,
        finalizers: Vec::new(),
        owners: Vec::new(),
        idempotency: None,
    };
    let key = Key { kind: kind.model_kind(), ..Key::new("", "team-a", name) };
    Object { key, meta, document: muster_model::Document::default(), status }
}

/// An event of the hub.
pub(super) fn event() -> Object {
    let spec = EventSpec {
        involved: Key::job("team-a", "train"),
        involved_uid: UID,
        reason: "Placed".into(),
        message: "on onprem-a because \"near\"".into(),
        severity: EventSeverity::Normal,
        count: 2,
        first: NOW,
        last: TimeMs(NOW.0 + 5_000),
        source: "muster".into(),
    };
    typed(&super::event::KIND, "train.00000000000000ff", State::Event(Box::new(spec)))
}

/// A run that ended.
pub(super) fn run() -> Object {
    let run = Run {
        job: Key::job("team-a", "train"),
        job_uid: UID,
        epoch: Epoch::new(1, Revision(9)),
        cluster: MemberName::new("onprem-a"),
        phase: RunPhase::Failed,
        start: NOW,
        end: Some(TimeMs(NOW.0 + 90_000)),
        exit_code: Some(3),
        cost: vec![
            CostLine { kind: CostKind::Compute, amount: MicroUsd(1_250_000) },
            CostLine { kind: CostKind::Egress, amount: MicroUsd(90_000) },
        ],
        lost_gpu_ms: 61_000,
    };
    typed(&super::run::KIND, "train-1000000000009", State::Run(Box::new(run)))
}

/// A transfer that was given up.
pub(super) fn transfer() -> Object {
    let data = DataUse { dataset: "corpus".into(), version: "v1".into(), digest: ContentDigest([1; 32]) };
    let transfer = Transfer {
        data,
        source: MemberName::new("onprem-a"),
        target: MemberName::new("onprem-b"),
        folder: "/a/datasets".into(),
        bytes: 3 << 20,
        egress: MicroUsd(90_000),
        job: Key::job("team-a", "train"),
        epoch: Epoch::new(1, Revision(9)),
        started: NOW,
        progress: TransferProgress { missing_bytes: 1 << 20, fetched_bytes: 3 << 20, refetched_chunks: 1 },
        phase: TransferPhase::Failed { at: TimeMs(NOW.0 + 90_000), reason: "from onprem-a: no".into() },
    };
    typed(&super::transfer::KIND, "corpus:onprem-b", State::Transfer(Arc::new(transfer)))
}

/// One object of every stored kind.
pub(super) fn every_kind() -> Vec<(&'static StoredKind, Arc<Object>)> {
    let config = "metadata: {name: c, namespace: team-a, labels: {a: b}}\ndata: {k: v, n: c}\nbinaryData: {b: AAE=}\nfuture: {x: [1]}\n";
    let secret = "metadata: {name: c, namespace: team-a}\ntype: kubernetes.io/basic-auth\nstringData: {username: dana}\n";
    let namespace = "metadata: {name: team-a, annotations: {muster.sh/wait-cost-per-hour: '1.5'}}\n";
    let written = [
        (&super::namespace::KIND, namespace),
        (&super::config_map::KIND, config),
        (&super::secret::KIND, secret),
        (&super::job::KIND, JOB),
        (&super::cluster::KIND, CLUSTER),
        (&super::placement::KIND, PLACEMENT),
        (&super::dataset::KIND, DATASET),
        (&super::price_book::KIND, PRICE_BOOK),
        (&super::burst_pool::KIND, BURST_POOL),
        (&super::game_day::KIND, GAME_DAY),
    ];
    let written = written.into_iter().map(|(kind, text)| (kind, object(kind, text)));
    let made = [
        (&super::event::KIND, event()),
        (&super::run::KIND, run()),
        (&super::fault::KIND, fault()),
        (&super::transfer::KIND, transfer()),
    ];
    written.chain(made).map(|(kind, object)| (kind, Arc::new(object))).collect()
}
