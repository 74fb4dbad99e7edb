//! One entry of each command and one object of each status, for the golden files. Every field has a value that is not
//! its default, where the type allows it, so that a golden file shows every field number.

use std::sync::Arc;

use muster_model::*;
use muster_proto::log::Header;

use super::burst_samples;
use super::chaos_samples;
use super::cluster_samples::{cluster, cluster_spec, shapes};
use super::job_samples::{job_spec, ruled_job};
use super::names::{command_name, spec_name, status_name};
use super::samples_books::{denials, price_book};
use super::transfer_samples;

/// The time of all samples, and times after it.
pub fn at(seconds: u64) -> TimeMs {
    TimeMs(1_795_171_445_000 + seconds * 1000)
}

pub fn uid(last: u8) -> Uid {
    Uid(0x0a1b_2c3d_0000_4000_8000_0000_0000_0000 | u128::from(last))
}

fn hash(last: u8) -> DocumentHash {
    DocumentHash(0xfeed_0000_0000_0000_0000_0000_0000_0000 | u128::from(last))
}

pub fn header() -> Header {
    Header {
        revision: Revision(4711),
        time: at(0),
        generation: 2,
        audit_sequence: 99,
        audit_hash: [7; 32],
        garbage_namespaces: vec!["old".into()],
        garbage_dependents: vec![uid(1), uid(2)],
        garbage_orphans: vec![uid(3)],
        digest: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        ledger: None,
    }
}

/// All commands, by the name of their golden file.
pub fn entries() -> Vec<(String, Entry)> {
    let all = commands().into_iter().chain(burst_samples::commands()).chain(chaos_samples::commands());
    let mut all: Vec<_> = all.map(|c| (command_name(&c).to_owned(), c)).collect();
    for spec in specs() {
        let name = format!("put-{}", spec_name(&spec));
        all.push((name, Command::Put(Box::new(put(spec, PutMode::Create { uid: uid(5) })))));
    }
    let carried = Spec::Dataset(Arc::new(transfer_samples::spec()));
    let limited = Spec::Cluster(transfer_samples::limited());
    for (name, spec) in [("carried-put-dataset", carried), ("carried-put-cluster", limited)] {
        let put = put(spec, PutMode::Create { uid: uid(5) });
        all.push((name.to_owned(), Command::Put(Box::new(put))));
    }
    all.push(("carried-commit-plan".to_owned(), Command::CommitPlan(transfer_samples::plan())));
    all.push(("report-data".to_owned(), Command::ReportData(Box::new(transfer_samples::report()))));
    all.into_iter().map(|(name, command)| (name, Entry { time: at(0), command })).collect()
}

/// All statuses, and all phases of jobs, by the name of their golden file.
pub fn objects() -> Vec<(String, Object)> {
    let jobs = jobs().into_iter().map(|(name, job)| (name.to_owned(), Status::Job(Box::new(job))));
    let others = statuses().into_iter().map(|status| (status_name(&status).to_owned(), status));
    let transfers = transfer_samples::transfers().into_iter();
    let transfers = transfers.map(|(name, one)| (name.to_owned(), Status::Transfer(Arc::new(one))));
    let carried = ("dataset-carried".to_owned(), Status::Dataset(Arc::new(transfer_samples::dataset())));
    let object = |(name, status): (String, Status)| {
        let key = Key::new(&name, "team-a", &format!("a-{name}"));
        (name, Object { key, meta: meta(), document: document(), status })
    };
    jobs.chain(others).chain(transfers).chain([carried]).map(object).collect()
}

/// One of each; that of `Put` replaces, and [`specs`] has those that create.
fn commands() -> Vec<Command> {
    let member = MemberName::new("aws-use1-spot");
    let principal = Principal::new("ada");
    let precondition = Precondition { revision: Some(Revision(4700)), uid: Some(uid(5)) };
    vec![
        Command::Tick,
        Command::Put(Box::new(put(Spec::Opaque, PutMode::Replace(precondition)))),
        Command::Delete(Delete {
            key: Key::job("team-a", "train"),
            precondition,
            propagation: Propagation::Foreground,
            grace_s: Some(0),
            principal: principal.clone(),
        }),
        Command::CommitPlan(Plan {
            based_on: Revision(4711),
            assignments: vec![(Key::job("team-a", "train"), uid(5), assignment())],
            evictions: vec![Eviction {
                job: Key::job("team-b", "sweep"),
                epoch: Epoch::new(2, Revision(4600)),
                message: "makes room for team-a/train".into(),
            }],
        }),
        Command::ReportAttempts { member: member.clone(), incarnation: incarnation(), reports: reports() },
        Command::FenceAttempts {
            member: member.clone(),
            attempts: vec![(Key::job("team-a", "train"), Epoch::new(2, Revision(4711)))],
            reason: FenceReason::DeadlinePassed,
        },
        Command::Join(Join {
            token: hash(1),
            member: member.clone(),
            certificate_from: at(1),
            uid: uid(6),
            spec: cluster_spec(),
            document: document(),
        }),
        Command::ChangeCapacity(CapacityChange {
            member: member.clone(),
            incarnation: incarnation(),
            shapes: shapes(),
            agent_version: "0.1.0".into(),
            gpu_source: GpuSource::Nvml,
            can_fence: true,
        }),
        Command::SetReady { member: member.clone(), ready: true },
        Command::Revoke { member: member.clone(), principal: principal.clone() },
        Command::DeclareLost { member, principal },
        Command::Expire { limit: 1000 },
        Command::Collect { limit: 500 },
        Command::Note {
            involved: Key::job("team-a", "train"),
            reason: "ImageIgnored".into(),
            message: "processes have no image".into(),
            severity: EventSeverity::Warning,
            source: "member aws-use1-spot".into(),
        },
        Command::Deny { denials: denials() },
        Command::Connect(connect()),
    ]
}

fn put(spec: Spec, mode: PutMode) -> Put {
    Put {
        key: Key::new(&format!("{}s.example", spec_name(&spec)), "team-a", "train"),
        mode,
        spec,
        typed_version: 3,
        document: document(),
        finalizers: vec!["foregroundDeletion".into()],
        owners: vec![owner()],
        principal: Principal::new("ada"),
        idempotency: Some(hash(2)),
    }
}

fn specs() -> Vec<Spec> {
    vec![
        Spec::Opaque,
        Spec::Namespace(NamespaceSpec { wait_cost_per_hour: MicroUsd(2_500_000) }),
        Spec::Job(Arc::new(job_spec())),
        Spec::Cluster(cluster_spec()),
        Spec::Placement(Arc::new(placement())),
        Spec::Dataset(Arc::new(dataset())),
        Spec::PriceBook(Arc::new(price_book())),
        Spec::JoinToken(join_token()),
        Spec::Credential(credential()),
        Spec::BurstPool(Arc::new(burst_samples::pool_spec())),
        Spec::GameDay(Arc::new(chaos_samples::day_spec())),
    ]
}

fn statuses() -> Vec<Status> {
    vec![
        Status::Opaque,
        Status::Namespace(NamespaceSpec { wait_cost_per_hour: MicroUsd(-1) }),
        Status::Cluster(Box::new(cluster())),
        Status::Placement(Arc::new(placement())),
        Status::Dataset(Arc::new(Dataset::new(&Arc::new(dataset())))),
        Status::PriceBook(Arc::new(price_book())),
        Status::Event(Box::new(event())),
        Status::Run(Box::new(run())),
        Status::JoinToken(join_token()),
        Status::Credential(credential()),
        Status::BurstPool(Box::new(burst_samples::pool())),
        Status::Fault(Box::new(chaos_samples::fault())),
        Status::ChaosStop(chaos_samples::stop()),
        Status::GameDay(Box::new(chaos_samples::day())),
    ]
}

/// A job in each phase, with attempts in each state.
fn jobs() -> Vec<(&'static str, Job)> {
    let reservation = Reservation { assignment: assignment(), expires: at(600), held: true };
    let failure = FinishReason { reason: "BackoffLimitExceeded".into(), message: "7 pods failed".into() };
    let stopping =
        AttemptState::Stopping { reason: StopReason::Evicted, since: at(90), started: Some(at(30)) };
    vec![
        ("job-suspended", job(JobPhase::Suspended, None)),
        ("job-queued", job(JobPhase::Queued, None)),
        ("job-reserved", job(JobPhase::Reserved(Box::new(reservation)), Some(stopping))),
        ("job-granted", job(JobPhase::Active, Some(AttemptState::Granted))),
        ("job-running", job(JobPhase::Active, Some(AttemptState::Running { since: at(30) }))),
        ("job-finished", job(JobPhase::Finished(finish(None)), None)),
        ("job-failed", job(JobPhase::Finished(finish(Some(failure))), None)),
        ("job-ruled", ruled_job()),
    ]
}

pub fn job(phase: JobPhase, state: Option<AttemptState>) -> Job {
    let attempt = |state| Attempt {
        epoch: Epoch::new(2, Revision(4711)),
        assignment: assignment(),
        granted_at: at(10),
        incarnation: Some(incarnation()),
        state,
    };
    Job {
        spec: Arc::new(job_spec()),
        phase,
        attempt: state.map(attempt).map(Box::new),
        start_time: Some(at(10)),
        pods: PodCounts { active: 1, ready: 2, succeeded: 3, failed: 4, terminating: 0 },
        completed_indexes: "0-1,3".into(),
        attempts: 2,
        queued_at: at(5),
        suspension_changed: None,
        index_failures: IndexFailures::default(),
    }
}

pub fn placement() -> PlacementSpec {
    PlacementSpec {
        cluster_selector: Selector(vec![
            Requirement::In("tier".into(), vec!["gold".into(), "silver".into()]),
            Requirement::NotIn("zone".into(), vec!["us-east-1b".into()]),
            Requirement::Exists("nvlink".into()),
            Requirement::Absent("draining".into()),
        ]),
        gpus: GpuChoices::Ordered(vec![
            GpuChoice { model: GpuModel::new("NVIDIA-H100-80GB-HBM3"), count: Some(4) },
            GpuChoice { model: a100(), count: None },
        ]),
        datasets: vec!["imagenet".into()],
        spot: SpotUse::Require,
        max_hourly_cost: Some(MicroUsd(40_000_000)),
        expected_duration: Some(DurationMs::from_secs(5400)),
        deadline: Some(at(86_400)),
        checkpoint: Some(Checkpoint {
            path: "s3://runs/train".into(),
            interval: DurationMs::from_secs(600),
            size_bytes: 12 << 30,
        }),
        partition_policy: PartitionPolicy::Fence,
        fence_after: Some(DurationMs::from_secs(300)),
    }
}

pub fn assignment() -> Assignment {
    let line = |kind, amount| CostLine { kind, amount: MicroUsd(amount) };
    Assignment {
        member: MemberName::new("aws-use1-spot"),
        claims: vec![PodClaim { pod_set: 1, node: 300, pods: 2 }],
        gpu_model: Some(a100()),
        requests: vec![eight_gpus()],
        hourly: MicroUsd(12_240_000),
        one_off: vec![
            line(CostKind::Compute, 1),
            line(CostKind::Waste, 2),
            line(CostKind::Egress, 900_000),
            line(CostKind::TransferWait, 4),
            line(CostKind::QueueWait, -5),
        ],
        policy: GrantPolicy { partition: PartitionPolicy::Fence, fence_after: DurationMs::from_secs(300) },
        after: vec![(Key::job("team-b", "sweep"), Epoch::new(2, Revision(4600)))],
        because: "cheapest of 3".into(),
        data: vec![],
    }
}

fn reports() -> Vec<AttemptReport> {
    let failure = FinishReason { reason: "DeadlineExceeded".into(), message: "2 h passed".into() };
    let ended = |outcome, exit_code| ReportedState::Ended { outcome, exit_code, at: at(60) };
    let states = vec![
        ReportedState::Running { since: at(30) },
        ended(AttemptOutcome::Succeeded, Some(0)),
        ended(AttemptOutcome::Failed(failure), Some(-9)),
        ended(AttemptOutcome::Stopped, Some(143)),
        ended(AttemptOutcome::Fenced, None),
        ended(AttemptOutcome::Lost, None),
    ];
    let report = |(i, state)| AttemptReport {
        job: Key::job("team-a", &format!("train-{i}")),
        uid: uid(5),
        epoch: Epoch::new(2, Revision(4711)),
        state,
        pods: PodCounts { active: 1, ready: 2, succeeded: 3, failed: 4, terminating: 0 },
        completed_indexes: "0-1,3".into(),
        index_failures: IndexFailures::default(),
    };
    states.into_iter().enumerate().map(report).collect()
}

fn dataset() -> DatasetSpec {
    DatasetSpec {
        version: "2012".into(),
        size_bytes: 150 << 30,
        replicas: vec![Location::region("aws", "us-east-1")],
        allowed_regions: vec!["aws/us-east-1".into(), "frankfurt".into()],
        partial: vec![],
        digest: None,
    }
}

fn event() -> EventSpec {
    EventSpec {
        involved: Key::job("team-a", "train"),
        involved_uid: uid(5),
        reason: "Placed".into(),
        message: "on aws-use1-spot for 12.24 per hour".into(),
        severity: EventSeverity::Normal,
        count: 2,
        first: at(1),
        last: at(2),
        source: "muster".into(),
    }
}

fn run() -> Run {
    Run {
        job: Key::job("team-a", "train"),
        job_uid: uid(5),
        epoch: Epoch::new(2, Revision(4711)),
        cluster: MemberName::new("aws-use1-spot"),
        phase: RunPhase::Fenced,
        start: at(10),
        end: Some(at(310)),
        exit_code: Some(137),
        cost: vec![CostLine { kind: CostKind::Compute, amount: MicroUsd(1_020_000) }],
        lost_gpu_ms: 2_400_000,
    }
}

fn join_token() -> JoinTokenSpec {
    JoinTokenSpec { hash: hash(1), member: MemberName::new("aws-use1-spot"), expires: at(300) }
}

fn credential() -> CredentialSpec {
    CredentialSpec { hash: hash(3), user: "ada".into(), groups: vec!["system:masters".into()] }
}

fn meta() -> Meta {
    Meta {
        uid: uid(5),
        created: at(0),
        generation: 2,
        revision: Revision(4711),
        deletion: Some(Deletion { at: at(80), grace_s: 30 }),
        finalizers: vec!["foregroundDeletion".into()],
        owners: vec![owner()],
        idempotency: Some(hash(2)),
    }
}

fn owner() -> Owner {
    Owner {
        api_version: "example.com/v1".into(),
        kind: "Sweep".into(),
        name: "lr".into(),
        uid: uid(4),
        controller: true,
        block_deletion: true,
    }
}

fn document() -> Document {
    Document {
        metadata: "\"labels\":{\"job-name\":\"\u{2}\"}".into(),
        body: "\"spec\":{\"selector\":{\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"\u{1}\"}}}"
            .into(),
    }
}

pub fn incarnation() -> Incarnation {
    Incarnation { folder: 0xf01d << 112 | 1, boot: 0xb007 << 112 | 2 }
}

pub fn eight_gpus() -> Resources {
    Resources { gpu_milli: 8000, cpu_milli: 96_000, memory_bytes: 1152 << 30 }
}

pub fn a100() -> GpuModel {
    GpuModel::new("NVIDIA-A100-SXM4-80GB")
}

fn finish(failure: Option<FinishReason>) -> Finish {
    let member = MemberName::new("aws-use1-spot");
    Finish { at: at(99), failure, member, because: "it is the cheapest".into(), granted_at: at(1) }
}

fn connect() -> Connect {
    Connect {
        principal: Principal::new("remi"),
        verb: AuditVerb::Exec,
        namespace: "team-a".into(),
        pod: "train-0-x7k2p".into(),
        detail: "main: ls -l".into(),
    }
}
