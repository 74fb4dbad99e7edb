//! Any value of the model that a log or a snapshot may hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::*;
use muster_proto::log::Header;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

type Of<T> = BoxedStrategy<T>;

/// A struct from a strategy for each field.
macro_rules! each {
    ($name:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        ($($strategy,)*).prop_map(|($($field,)*)| $name { $($field),* }).boxed()
    };
}

/// One of these values.
macro_rules! one_of {
    ($($value:expr),* $(,)?) => { prop_oneof![$(Just($value)),*].boxed() };
}

pub fn entry() -> Of<Entry> {
    each!(Entry { time: time(), command: command() })
}

pub fn object() -> Of<Object> {
    each!(Object { key: key(), meta: meta(), document: document(), status: status() })
}

/// Objects by key, as a state holds them.
pub fn objects() -> Of<BTreeMap<Key, Object>> {
    vec(object(), 0..6).prop_map(|objects| objects.into_iter().map(|o| (o.key.clone(), o)).collect()).boxed()
}

pub fn header() -> Of<Header> {
    each!(Header {
        revision: revision(),
        time: time(),
        generation: any::<u16>(),
        audit_sequence: any::<u64>(),
        audit_hash: any::<[u8; 32]>(),
        garbage_namespaces: texts(),
        garbage_dependents: vec(uid(), 0..3),
        garbage_orphans: vec(uid(), 0..3),
        digest: any::<u128>(),
    })
}

// ---- words

fn text() -> Of<Arc<str>> {
    prop_oneof![4 => "\\PC{0,6}", 1 => "[a-z\u{1}\u{2}\"]{60,70}"].prop_map(Arc::from).boxed()
}

fn texts() -> Of<Vec<Arc<str>>> {
    vec(text(), 0..3).boxed()
}

fn time() -> Of<TimeMs> {
    any::<u64>().prop_map(TimeMs).boxed()
}

fn duration() -> Of<DurationMs> {
    any::<u64>().prop_map(DurationMs).boxed()
}

fn revision() -> Of<Revision> {
    any::<u64>().prop_map(Revision).boxed()
}

fn epoch() -> Of<Epoch> {
    any::<u64>().prop_map(Epoch).boxed()
}

fn uid() -> Of<Uid> {
    any::<u128>().prop_map(Uid).boxed()
}

fn hash() -> Of<DocumentHash> {
    any::<u128>().prop_map(DocumentHash).boxed()
}

fn money() -> Of<MicroUsd> {
    any::<i64>().prop_map(MicroUsd).boxed()
}

fn member() -> Of<MemberName> {
    text().prop_map(MemberName).boxed()
}

fn principal() -> Of<Principal> {
    text().prop_map(Principal).boxed()
}

fn gpu_model() -> Of<GpuModel> {
    text().prop_map(GpuModel).boxed()
}

fn key() -> Of<Key> {
    each!(Key { kind: text().prop_map(Kind), namespace: text(), name: text() })
}

fn resources() -> Of<Resources> {
    each!(Resources { gpu_milli: any::<u64>(), cpu_milli: any::<u64>(), memory_bytes: any::<u64>() })
}

fn location() -> Of<Location> {
    each!(Location { provider: text(), region: text(), zone: option::of(text()) })
}

fn selector() -> Of<Selector> {
    let requirement = prop_oneof![
        (text(), texts()).prop_map(|(key, values)| Requirement::In(key, values)),
        (text(), texts()).prop_map(|(key, values)| Requirement::NotIn(key, values)),
        text().prop_map(Requirement::Exists),
        text().prop_map(Requirement::Absent),
    ];
    vec(requirement, 0..4).prop_map(Selector).boxed()
}

fn taint_effect() -> Of<TaintEffect> {
    one_of![TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute]
}

fn document() -> Of<Document> {
    each!(Document { metadata: text(), body: text() })
}

fn severity() -> Of<EventSeverity> {
    one_of![EventSeverity::Normal, EventSeverity::Warning]
}

// ---- data

fn dataset() -> Of<DatasetSpec> {
    each!(DatasetSpec {
        version: text(),
        size_bytes: any::<u64>(),
        replicas: vec(location(), 0..3),
        allowed_regions: texts(),
    })
}

fn price_book() -> Of<PriceBookSpec> {
    let gpu_price = each!(GpuPrice {
        place: location(),
        gpu_model: gpu_model(),
        on_demand: money(),
        spot: option::of(money()),
        interruptions_milli_per_hour: any::<u64>(),
        source: text(),
        as_of: time(),
    });
    let egress_price = each!(EgressPrice {
        from: location(),
        to: location(),
        per_gib: money(),
        mbps: any::<u64>(),
        source: text(),
        as_of: time(),
    });
    each!(PriceBookSpec { compute: vec(gpu_price, 0..3), egress: vec(egress_price, 0..3) })
}

fn cost_line() -> Of<CostLine> {
    let kind = one_of![
        CostKind::Compute,
        CostKind::Waste,
        CostKind::Egress,
        CostKind::TransferWait,
        CostKind::QueueWait,
    ];
    each!(CostLine { kind: kind, amount: money() })
}

// ---- clusters

fn cluster_spec() -> Of<ClusterSpec> {
    let taint = each!(Taint { key: text(), value: text(), effect: taint_effect() });
    each!(ClusterSpec {
        location: location(),
        price_class: one_of![PriceClass::OnPrem, PriceClass::OnDemand, PriceClass::Spot],
        backend: one_of![Backend::Process, Backend::Simulated, Backend::Kubernetes],
        labels: proptest::collection::btree_map(text(), text(), 0..4),
        taints: vec(taint, 0..3),
        unschedulable: any::<bool>(),
    })
}

fn cluster() -> Of<Cluster> {
    let status = each!(ClusterStatus {
        joined_at: option::of(time()),
        certificates_from: time(),
        ready: readiness(),
        incarnation: option::of(incarnation()),
        nodes: nodes(),
        overcommitted: any::<bool>(),
        agent_version: text(),
        gpu_source: gpu_source(),
        can_fence: any::<bool>(),
    });
    each!(Cluster { spec: cluster_spec(), status: status })
}

fn readiness() -> Of<Readiness> {
    prop_oneof![
        Just(Readiness::Unknown),
        time().prop_map(|since| Readiness::Ready { since }),
        time().prop_map(|since| Readiness::Lapsed { since }),
    ]
    .boxed()
}

fn incarnation() -> Of<Incarnation> {
    each!(Incarnation { folder: any::<u128>(), boot: any::<u128>() })
}

fn gpu_source() -> Of<GpuSource> {
    one_of![GpuSource::Nvml, GpuSource::Simulated, GpuSource::Kubernetes]
}

fn node_shape() -> Of<NodeShape> {
    each!(NodeShape { gpu_model: option::of(gpu_model()), allocatable: resources(), nodes: any::<u32>() })
}

/// Nodes whose shapes are there.
fn nodes() -> Of<Nodes> {
    let free = |shapes: Vec<NodeShape>| {
        let shape = 0..shapes.len().max(1) as u16;
        let count = if shapes.is_empty() { 0..1 } else { 0..4 };
        let node = each!(NodeFree { shape: shape, free: resources() });
        vec(node, count).prop_map(move |free| Nodes { shapes: shapes.clone(), free })
    };
    vec(node_shape(), 0..3).prop_flat_map(free).boxed()
}

// ---- jobs

fn job_spec() -> Of<JobSpec> {
    let pod_set = each!(PodSet { name: text(), count: any::<u32>(), request: resources() });
    let completion = each!(Completion {
        parallelism: any::<u32>(),
        completions: option::of(any::<u32>()),
        indexed: any::<bool>(),
    });
    let toleration = each!(Toleration {
        key: option::of(text()),
        value: option::of(text()),
        effect: option::of(taint_effect()),
    });
    let placement = prop_oneof![
        Just(PlacementChoice::Default),
        text().prop_map(PlacementChoice::Named),
        placement().prop_map(|spec| PlacementChoice::Inline(Arc::new(spec))),
    ];
    each!(JobSpec {
        pod_sets: vec(pod_set, 0..3),
        completion: completion,
        backoff_limit: any::<u32>(),
        active_deadline: option::of(duration()),
        ttl_after_finished: option::of(duration()),
        grace: duration(),
        suspend: any::<bool>(),
        placement: placement,
        tolerations: vec(toleration, 0..3),
        node_selector: selector(),
        gpu_model: option::of(gpu_model()),
    })
}

fn placement() -> Of<PlacementSpec> {
    let choice = || vec(each!(GpuChoice { model: gpu_model(), count: option::of(any::<u32>()) }), 0..3);
    let gpus = prop_oneof![
        Just(GpuChoices::Any),
        choice().prop_map(GpuChoices::AnyOf),
        choice().prop_map(GpuChoices::Ordered),
    ];
    let checkpoint = each!(Checkpoint { path: text(), interval: duration(), size_bytes: any::<u64>() });
    each!(PlacementSpec {
        cluster_selector: selector(),
        gpus: gpus,
        datasets: texts(),
        spot: one_of![SpotUse::Never, SpotUse::Prefer, SpotUse::Require],
        max_hourly_cost: option::of(money()),
        expected_duration: option::of(duration()),
        deadline: option::of(time()),
        checkpoint: option::of(checkpoint),
        partition_policy: partition_policy(),
        fence_after: option::of(duration()),
    })
}

fn partition_policy() -> Of<PartitionPolicy> {
    one_of![PartitionPolicy::Keep, PartitionPolicy::Fence, PartitionPolicy::DuplicateOk]
}

fn assignment() -> Of<Assignment> {
    let claim = each!(PodClaim { pod_set: any::<u16>(), node: any::<u32>(), pods: any::<u32>() });
    let policy = each!(GrantPolicy { partition: partition_policy(), fence_after: duration() });
    each!(Assignment {
        member: member(),
        claims: vec(claim, 0..3),
        gpu_model: option::of(gpu_model()),
        requests: vec(resources(), 0..3),
        hourly: money(),
        one_off: vec(cost_line(), 0..3),
        policy: policy,
        after: vec((key(), epoch()), 0..3),
        because: text(),
    })
}

fn job() -> Of<Job> {
    let reservation = each!(Reservation { assignment: assignment(), expires: time(), held: any::<bool>() });
    let finish = each!(Finish { at: time(), failure: option::of(finish_reason()) });
    let phase = prop_oneof![
        Just(JobPhase::Suspended),
        Just(JobPhase::Queued),
        reservation.prop_map(|reservation| JobPhase::Reserved(Box::new(reservation))),
        Just(JobPhase::Active),
        finish.prop_map(JobPhase::Finished),
    ];
    each!(Job {
        spec: job_spec().prop_map(Arc::new),
        phase: phase,
        attempt: option::of(attempt().prop_map(Box::new)),
        start_time: option::of(time()),
        pods: pod_counts(),
        completed_indexes: text(),
        attempts: any::<u32>(),
        queued_at: time(),
    })
}

fn finish_reason() -> Of<FinishReason> {
    each!(FinishReason { reason: text(), message: text() })
}

fn attempt() -> Of<Attempt> {
    let reason = one_of![StopReason::Deleted, StopReason::Suspended, StopReason::Evicted];
    let state =
        prop_oneof![
            Just(AttemptState::Granted),
            time().prop_map(|since| AttemptState::Running { since }),
            (reason, time(), option::of(time()))
                .prop_map(|(reason, since, started)| AttemptState::Stopping { reason, since, started }),
        ];
    each!(Attempt {
        epoch: epoch(),
        assignment: assignment(),
        granted_at: time(),
        incarnation: option::of(incarnation()),
        state: state,
    })
}

fn pod_counts() -> Of<PodCounts> {
    each!(PodCounts {
        active: any::<u32>(),
        ready: any::<u32>(),
        succeeded: any::<u32>(),
        failed: any::<u32>(),
    })
}

fn attempt_report() -> Of<AttemptReport> {
    let outcome = prop_oneof![
        Just(AttemptOutcome::Succeeded),
        finish_reason().prop_map(AttemptOutcome::Failed),
        Just(AttemptOutcome::Stopped),
        Just(AttemptOutcome::Fenced),
        Just(AttemptOutcome::Lost),
    ];
    let state = prop_oneof![
        time().prop_map(|since| ReportedState::Running { since }),
        (outcome, option::of(any::<i32>()), time())
            .prop_map(|(outcome, exit_code, at)| ReportedState::Ended { outcome, exit_code, at }),
    ];
    each!(AttemptReport {
        job: key(),
        uid: uid(),
        epoch: epoch(),
        state: state,
        pods: pod_counts(),
        completed_indexes: text(),
    })
}

// ---- objects

fn meta() -> Of<Meta> {
    each!(Meta {
        uid: uid(),
        created: time(),
        generation: any::<u64>(),
        revision: revision(),
        deletion: option::of(each!(Deletion { at: time(), grace_s: any::<u64>() })),
        finalizers: texts(),
        owners: vec(owner(), 0..3),
        idempotency: option::of(hash()),
    })
}

fn owner() -> Of<Owner> {
    each!(Owner {
        api_version: text(),
        kind: text(),
        name: text(),
        uid: uid(),
        controller: any::<bool>(),
        block_deletion: any::<bool>(),
    })
}

fn namespace() -> Of<NamespaceSpec> {
    each!(NamespaceSpec { wait_cost_per_hour: money() })
}

fn join_token() -> Of<JoinTokenSpec> {
    each!(JoinTokenSpec { hash: hash(), member: member(), expires: time() })
}

fn credential() -> Of<CredentialSpec> {
    each!(CredentialSpec { hash: hash(), user: text(), groups: texts() })
}

fn status() -> Of<Status> {
    prop_oneof![
        Just(Status::Opaque),
        namespace().prop_map(Status::Namespace),
        job().prop_map(|job| Status::Job(Box::new(job))),
        cluster().prop_map(|cluster| Status::Cluster(Box::new(cluster))),
        placement().prop_map(|spec| Status::Placement(Arc::new(spec))),
        dataset().prop_map(|spec| Status::Dataset(Arc::new(spec))),
        price_book().prop_map(|spec| Status::PriceBook(Arc::new(spec))),
        event().prop_map(|spec| Status::Event(Box::new(spec))),
        run().prop_map(|run| Status::Run(Box::new(run))),
        join_token().prop_map(Status::JoinToken),
        credential().prop_map(Status::Credential),
    ]
    .boxed()
}

fn event() -> Of<EventSpec> {
    each!(EventSpec {
        involved: key(),
        involved_uid: uid(),
        reason: text(),
        message: text(),
        severity: severity(),
        count: any::<u32>(),
        first: time(),
        last: time(),
        source: text(),
    })
}

fn run() -> Of<Run> {
    let phase = one_of![
        RunPhase::Granted,
        RunPhase::Running,
        RunPhase::Succeeded,
        RunPhase::Failed,
        RunPhase::Stopped,
        RunPhase::Fenced,
        RunPhase::Lost,
    ];
    each!(Run {
        job: key(),
        job_uid: uid(),
        epoch: epoch(),
        cluster: member(),
        phase: phase,
        start: time(),
        end: option::of(time()),
        exit_code: option::of(any::<i32>()),
        cost: vec(cost_line(), 0..3),
        lost_gpu_ms: any::<u64>(),
    })
}

// ---- commands

fn command() -> Of<Command> {
    let limit = any::<u32>;
    prop_oneof![
        Just(Command::Tick),
        put().prop_map(|put| Command::Put(Box::new(put))),
        delete().prop_map(Command::Delete),
        plan().prop_map(Command::CommitPlan),
        of_attempts(),
        join().prop_map(Command::Join),
        capacity_change().prop_map(Command::ChangeCapacity),
        (member(), any::<bool>()).prop_map(|(member, ready)| Command::SetReady { member, ready }),
        (member(), principal()).prop_map(|(member, principal)| Command::Revoke { member, principal }),
        (member(), principal()).prop_map(|(member, principal)| Command::DeclareLost { member, principal }),
        limit().prop_map(|limit| Command::Expire { limit }),
        limit().prop_map(|limit| Command::Collect { limit }),
        note(),
    ]
    .boxed()
}

/// What is said of attempts.
fn of_attempts() -> Of<Command> {
    let reason = one_of![FenceReason::DeadlinePassed, FenceReason::DuplicateOk];
    prop_oneof![
        (member(), incarnation(), vec(attempt_report(), 0..3)).prop_map(|(member, incarnation, reports)| {
            Command::ReportAttempts { member, incarnation, reports }
        }),
        (member(), vec((key(), epoch()), 0..3), reason)
            .prop_map(|(member, attempts, reason)| { Command::FenceAttempts { member, attempts, reason } }),
    ]
    .boxed()
}

fn put() -> Of<Put> {
    let mode = prop_oneof![
        uid().prop_map(|uid| PutMode::Create { uid }),
        precondition().prop_map(PutMode::Replace),
    ];
    each!(Put {
        key: key(),
        mode: mode,
        spec: spec(),
        typed_version: any::<u16>(),
        document: document(),
        finalizers: texts(),
        owners: vec(owner(), 0..3),
        principal: principal(),
        idempotency: option::of(hash()),
    })
}

fn spec() -> Of<Spec> {
    prop_oneof![
        Just(Spec::Opaque),
        namespace().prop_map(Spec::Namespace),
        job_spec().prop_map(|spec| Spec::Job(Arc::new(spec))),
        cluster_spec().prop_map(Spec::Cluster),
        placement().prop_map(|spec| Spec::Placement(Arc::new(spec))),
        dataset().prop_map(|spec| Spec::Dataset(Arc::new(spec))),
        price_book().prop_map(|spec| Spec::PriceBook(Arc::new(spec))),
        join_token().prop_map(Spec::JoinToken),
        credential().prop_map(Spec::Credential),
    ]
    .boxed()
}

fn precondition() -> Of<Precondition> {
    each!(Precondition { revision: option::of(revision()), uid: option::of(uid()) })
}

fn delete() -> Of<Delete> {
    each!(Delete {
        key: key(),
        precondition: precondition(),
        propagation: one_of![Propagation::Background, Propagation::Foreground, Propagation::Orphan],
        grace_s: option::of(any::<u64>()),
        principal: principal(),
    })
}

fn plan() -> Of<Plan> {
    let eviction = each!(Eviction { job: key(), epoch: epoch(), message: text() });
    each!(Plan {
        based_on: revision(),
        assignments: vec((key(), uid(), assignment()), 0..3),
        evictions: vec(eviction, 0..3),
    })
}

fn join() -> Of<Join> {
    each!(Join {
        token: hash(),
        member: member(),
        certificate_from: time(),
        uid: uid(),
        spec: cluster_spec(),
        document: document(),
    })
}

fn capacity_change() -> Of<CapacityChange> {
    each!(CapacityChange {
        member: member(),
        incarnation: incarnation(),
        shapes: vec(node_shape(), 0..3),
        agent_version: text(),
        gpu_source: gpu_source(),
        can_fence: any::<bool>(),
    })
}

fn note() -> Of<Command> {
    (key(), text(), text(), severity(), text())
        .prop_map(|(involved, reason, message, severity, source)| Command::Note {
            involved,
            reason,
            message,
            severity,
            source,
        })
        .boxed()
}
