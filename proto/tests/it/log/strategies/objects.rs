//! Objects and snapshot headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::*;
use muster_proto::log::{Header, LedgerHead};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::burst::burst_pool;
use super::chaos;
use super::clusters::cluster;
use super::data::{cost_line, price_book};
use super::jobs::{job, placement};
use super::transfers;
use super::words::*;

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
        ledger: option::of(each!(LedgerHead { sequence: any::<u64>(), hash: any::<[u8; 32]>() })),
    })
}

pub fn meta() -> Of<Meta> {
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

pub fn owner() -> Of<Owner> {
    each!(Owner {
        api_version: text(),
        kind: text(),
        name: text(),
        uid: uid(),
        controller: any::<bool>(),
        block_deletion: any::<bool>(),
    })
}

pub fn namespace() -> Of<NamespaceSpec> {
    each!(NamespaceSpec { wait_cost_per_hour: money() })
}

pub fn join_token() -> Of<JoinTokenSpec> {
    each!(JoinTokenSpec { hash: hash(), member: member(), expires: time() })
}

pub fn credential() -> Of<CredentialSpec> {
    each!(CredentialSpec { hash: hash(), user: text(), groups: texts() })
}

pub fn status() -> Of<Status> {
    prop_oneof![
        Just(Status::Opaque),
        namespace().prop_map(Status::Namespace),
        job().prop_map(|job| Status::Job(Box::new(job))),
        cluster().prop_map(|cluster| Status::Cluster(Box::new(cluster))),
        placement().prop_map(|spec| Status::Placement(Arc::new(spec))),
        transfers::with_copies().prop_map(|dataset| Status::Dataset(Arc::new(dataset))),
        transfers::transfer().prop_map(|transfer| Status::Transfer(Arc::new(transfer))),
        price_book().prop_map(|spec| Status::PriceBook(Arc::new(spec))),
        event().prop_map(|spec| Status::Event(Box::new(spec))),
        run().prop_map(|run| Status::Run(Box::new(run))),
        join_token().prop_map(Status::JoinToken),
        credential().prop_map(Status::Credential),
        burst_pool().prop_map(|pool| Status::BurstPool(Box::new(pool))),
        chaos::fault().prop_map(|fault| Status::Fault(Box::new(fault))),
        chaos::stop().prop_map(Status::ChaosStop),
        chaos::day().prop_map(|day| Status::GameDay(Box::new(day))),
    ]
    .boxed()
}

pub fn event() -> Of<EventSpec> {
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

pub fn run() -> Of<Run> {
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
