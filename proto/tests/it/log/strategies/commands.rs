//! Log entries.

use std::sync::Arc;

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::burst::{burst_command, burst_pool_spec};
use super::chaos;
use super::clusters::{cluster_spec, gpu_source, incarnation, node_shape};
use super::data::{dataset, price_book};
use super::jobs::{assignment, attempt_report, job_spec, placement};
use super::objects::{credential, join_token, namespace, owner};
use super::transfers::report_data;
use super::words::*;

pub fn entry() -> Of<Entry> {
    each!(Entry { time: time(), command: command() })
}

pub fn command() -> Of<Command> {
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
        report_data().prop_map(|report| Command::ReportData(Box::new(report))),
        limit().prop_map(|limit| Command::Expire { limit }),
        limit().prop_map(|limit| Command::Collect { limit }),
        note(),
        vec(denial(), 0..3).prop_map(|denials| Command::Deny { denials }),
        connect().prop_map(Command::Connect),
        burst_command().prop_map(|command| Command::Burst(Box::new(command))),
        chaos::command(),
    ]
    .boxed()
}

/// What is said of attempts.
pub fn of_attempts() -> Of<Command> {
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

pub fn put() -> Of<Put> {
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

pub fn spec() -> Of<Spec> {
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
        burst_pool_spec().prop_map(|spec| Spec::BurstPool(Arc::new(spec))),
        chaos::day_spec().prop_map(|spec| Spec::GameDay(Arc::new(spec))),
    ]
    .boxed()
}

pub fn precondition() -> Of<Precondition> {
    each!(Precondition { revision: option::of(revision()), uid: option::of(uid()) })
}

pub fn delete() -> Of<Delete> {
    each!(Delete {
        key: key(),
        precondition: precondition(),
        propagation: one_of![Propagation::Background, Propagation::Foreground, Propagation::Orphan],
        grace_s: option::of(any::<u64>()),
        principal: principal(),
    })
}

pub fn plan() -> Of<Plan> {
    let eviction = each!(Eviction { job: key(), epoch: epoch(), message: text() });
    each!(Plan {
        based_on: revision(),
        assignments: vec((key(), uid(), assignment()), 0..3),
        evictions: vec(eviction, 0..3),
    })
}

pub fn join() -> Of<Join> {
    each!(Join {
        token: hash(),
        member: member(),
        certificate_from: time(),
        uid: uid(),
        spec: cluster_spec(),
        document: document(),
    })
}

pub fn capacity_change() -> Of<CapacityChange> {
    each!(CapacityChange {
        member: member(),
        incarnation: incarnation(),
        shapes: vec(node_shape(), 0..3),
        agent_version: text(),
        gpu_source: gpu_source(),
        can_fence: any::<bool>(),
    })
}

pub fn note() -> Of<Command> {
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

pub fn connect() -> Of<Connect> {
    each!(Connect {
        principal: principal(),
        verb: one_of![AuditVerb::Exec, AuditVerb::Attach],
        namespace: text(),
        pod: text(),
        detail: text()
    })
}

pub fn denial() -> Of<Denial> {
    let verb = one_of![
        AuditVerb::Create,
        AuditVerb::Update,
        AuditVerb::Delete,
        AuditVerb::Revoke,
        AuditVerb::DeclareLost,
        AuditVerb::Join,
        AuditVerb::Patch,
        AuditVerb::DeleteCollection,
        AuditVerb::Get,
        AuditVerb::List,
        AuditVerb::Watch,
        AuditVerb::Use,
        AuditVerb::Exec,
        AuditVerb::Attach,
    ];
    each!(Denial { principal: principal(), verb: verb, resource: text().prop_map(Kind), count: any::<u32>() })
}
