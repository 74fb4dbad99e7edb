//! Burst pools.

use muster_model::{
    BurstCommand, BurstPool, BurstPoolSpec, BurstPoolStatus, Intent, IntentId, IntentPhase, IntentStep,
    PoolCondition, PoolConditionKind,
};

use super::FieldError;
use super::durable::{Durable, message, value};
use super::pb::{self, burst_command};

durable_enums! {
    IntentPhase { Requested, Applying, Joining, Ready, Draining, Destroying, Gone, Failed }
    PoolConditionKind { Terraform, Price }
}

durable_newtypes!(IntentId(u64));

durable_structs! {
    BurstPool => BurstPool { spec: spec required, status: status required }
    BurstPoolSpec => BurstPoolSpec {
        module: module,
        variables: variables,
        member: member required,
        shapes: shapes,
        min: min,
        max: max,
        price_cap: price_cap_micro_usd,
        idle_ttl: idle_ttl_ms,
        join_timeout: join_timeout_ms,
    }
    BurstPoolStatus => BurstPoolStatus {
        intents: intents,
        conditions: conditions,
        failures: failures,
        failed_at: failed_at_ms,
        booked: booked_micro_usd,
    }
    Intent => Intent {
        id: id,
        member: member,
        phase: phase,
        since: since_ms,
        requested_at: requested_at_ms,
        billed_from: billed_from_ms,
        hourly: hourly_micro_usd,
        cost: cost_micro_usd,
        unwanted: unwanted,
        failure: failure,
        because: because,
    }
    PoolCondition => PoolCondition {
        kind: kind,
        holds: holds,
        reason: reason,
        message: message,
        since: since_ms,
    }
    IntentStep => IntentStep { pool: pool required, intent: intent, from: from, to: to, failure: failure }
}

impl Durable for BurstCommand {
    type Form = pb::BurstCommand;

    fn form(&self) -> pb::BurstCommand {
        let command = match self {
            BurstCommand::Request { pool, uid, hourly, because } => {
                burst_command::Command::Request(pb::BurstRequest {
                    pool: Some(pool.form()),
                    uid: uid.form(),
                    hourly_micro_usd: hourly.form(),
                    because: because.form(),
                })
            }
            BurstCommand::Step(step) => burst_command::Command::Step(step.form()),
            BurstCommand::Destroy { pool, member, principal } => {
                burst_command::Command::Destroy(pb::BurstDestroy {
                    pool: Some(pool.form()),
                    member: member.form(),
                    principal: principal.form(),
                })
            }
            BurstCommand::Tell { pool, condition } => burst_command::Command::Tell(pb::BurstTell {
                pool: Some(pool.form()),
                condition: Some(condition.form()),
            }),
        };
        pb::BurstCommand { command: Some(command) }
    }

    fn read(form: pb::BurstCommand) -> Result<BurstCommand, FieldError> {
        Ok(match form.command.ok_or_else(|| FieldError::missing("command"))? {
            burst_command::Command::Request(form) => BurstCommand::Request {
                pool: message("pool", form.pool)?,
                uid: value("uid", form.uid)?,
                hourly: value("hourly_micro_usd", form.hourly_micro_usd)?,
                because: value("because", form.because)?,
            },
            burst_command::Command::Step(step) => BurstCommand::Step(value("step", step)?),
            burst_command::Command::Destroy(form) => BurstCommand::Destroy {
                pool: message("pool", form.pool)?,
                member: value("member", form.member)?,
                principal: value("principal", form.principal)?,
            },
            burst_command::Command::Tell(form) => BurstCommand::Tell {
                pool: message("pool", form.pool)?,
                condition: message("condition", form.condition)?,
            },
        })
    }
}
