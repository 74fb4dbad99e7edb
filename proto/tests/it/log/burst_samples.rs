//! Samples of burst pools, for the golden files.

use std::sync::Arc;

use muster_model::*;

use super::cluster_samples::{cluster_spec, shapes};
use super::samples::{at, uid};

/// The name of a command's golden file.
pub fn name(command: &BurstCommand) -> &'static str {
    match command {
        BurstCommand::Request { .. } => "burst-request",
        BurstCommand::Step(_) => "burst-step",
        BurstCommand::Destroy { .. } => "burst-destroy",
        BurstCommand::Tell { .. } => "burst-tell",
    }
}

pub fn commands() -> Vec<Command> {
    let pool = Key::new(kinds::BURST_POOL, "", "spot");
    let step = IntentStep {
        pool: pool.clone(),
        intent: IntentId(0x0123_4567_89ab_cdef),
        from: IntentPhase::Joining,
        to: IntentPhase::Destroying,
        failure: Some("it did not join within 5m".into()),
    };
    let commands = [
        BurstCommand::Request {
            pool: pool.clone(),
            uid: uid(5),
            hourly: MicroUsd(9_600_000),
            because: "3 jobs wait".into(),
        },
        BurstCommand::Step(step),
        BurstCommand::Destroy {
            pool: pool.clone(),
            member: Some(MemberName::new("spot-01234567")),
            principal: Principal::new("petra"),
        },
        BurstCommand::Tell { pool, condition: condition() },
    ];
    commands.map(|command| Command::Burst(Box::new(command))).into()
}

pub fn pool() -> BurstPool {
    let intent = Intent {
        id: IntentId(0x0123_4567_89ab_cdef),
        member: MemberName::new("spot-01234567"),
        phase: IntentPhase::Failed,
        since: at(90),
        requested_at: at(10),
        billed_from: Some(at(20)),
        hourly: MicroUsd(9_600_000),
        cost: MicroUsd(186_667),
        unwanted: true,
        failure: Some("it did not join within 5m".into()),
        because: "3 jobs wait".into(),
    };
    let status = BurstPoolStatus {
        intents: vec![intent],
        conditions: vec![condition()],
        failures: 1,
        failed_at: at(90),
        booked: MicroUsd(186_667),
    };
    BurstPool { spec: Arc::new(pool_spec()), status }
}

pub fn pool_spec() -> BurstPoolSpec {
    BurstPoolSpec {
        module: "process-cluster".into(),
        variables: [("root".into(), "\"/srv/burst\"".into())].into(),
        member: cluster_spec(),
        shapes: shapes(),
        min: 1,
        max: 4,
        price_cap: MicroUsd(10_000_000),
        idle_ttl: DurationMs::from_secs(300),
        join_timeout: DurationMs::from_secs(120),
    }
}

fn condition() -> PoolCondition {
    PoolCondition {
        kind: PoolConditionKind::Terraform,
        holds: true,
        reason: "Found".into(),
        message: "terraform 1.11.4".into(),
        since: at(5),
    }
}
