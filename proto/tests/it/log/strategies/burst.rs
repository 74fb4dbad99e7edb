//! Burst pools.

use muster_model::*;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::clusters::{cluster_spec, node_shape};
use super::words::*;

pub fn burst_pool() -> Of<BurstPool> {
    let status = each!(BurstPoolStatus {
        intents: vec(intent(), 0..3),
        conditions: vec(condition(), 0..3),
        failures: any::<u32>(),
        failed_at: time(),
        booked: money(),
    });
    each!(BurstPool { spec: burst_pool_spec().prop_map(std::sync::Arc::new), status: status })
}

pub fn burst_pool_spec() -> Of<BurstPoolSpec> {
    each!(BurstPoolSpec {
        module: text(),
        variables: btree_map(text(), text(), 0..3),
        member: cluster_spec(),
        shapes: vec(node_shape(), 0..3),
        min: any::<u32>(),
        max: any::<u32>(),
        price_cap: money(),
        idle_ttl: duration(),
        join_timeout: duration(),
    })
}

pub fn burst_command() -> Of<BurstCommand> {
    let step = each!(IntentStep {
        pool: key(),
        intent: any::<u64>().prop_map(IntentId),
        from: phase(),
        to: phase(),
        failure: option::of(text()),
    });
    prop_oneof![
        (key(), uid(), money(), text()).prop_map(|(pool, uid, hourly, because)| BurstCommand::Request {
            pool,
            uid,
            hourly,
            because
        }),
        step.prop_map(BurstCommand::Step),
        (key(), option::of(member()), principal())
            .prop_map(|(pool, member, principal)| BurstCommand::Destroy { pool, member, principal }),
        (key(), condition()).prop_map(|(pool, condition)| BurstCommand::Tell { pool, condition }),
    ]
    .boxed()
}

fn intent() -> Of<Intent> {
    each!(Intent {
        id: any::<u64>().prop_map(IntentId),
        member: member(),
        phase: phase(),
        since: time(),
        requested_at: time(),
        billed_from: option::of(time()),
        hourly: money(),
        cost: money(),
        unwanted: any::<bool>(),
        failure: option::of(text()),
        because: text(),
    })
}

fn condition() -> Of<PoolCondition> {
    each!(PoolCondition {
        kind: one_of![PoolConditionKind::Terraform, PoolConditionKind::Price],
        holds: any::<bool>(),
        reason: text(),
        message: text(),
        since: time(),
    })
}

fn phase() -> Of<IntentPhase> {
    proptest::sample::select(IntentPhase::ALL.to_vec()).boxed()
}
