//! What a plan would have under faults at one time, held against its limits before it begins. Apply holds each fault against
//! them again when its time comes.

use std::collections::BTreeSet;

use muster_model::{FaultPlan, FaultStep, FaultTarget, GameDayLimits};

use crate::fleet::Fleet;
use crate::resolve::PlanError;

/// The first limit that a plan would break on this fleet.
///
/// # Errors
/// The field, what would be, and what may be.
pub fn over(plan: &FaultPlan, limits: &GameDayLimits, fleet: &Fleet) -> Result<(), PlanError> {
    let too_many = |field: &str, would: u64, may: u64| {
        let reason = format!("{would} would be under a fault at one time, at most {may} may");
        if would > may { Err(PlanError::new(field, reason)) } else { Ok(()) }
    };
    for step in &plan.steps {
        // The number is greatest when one has just begun.
        let at_once: Vec<&FaultStep> = plan.steps.iter().filter(|other| overlaps(other, step)).collect();
        let targets: BTreeSet<&FaultTarget> = at_once.iter().map(|step| &step.target).collect();
        let members: Vec<_> = targets.iter().filter_map(|target| target.member()).collect();
        let replicas = (targets.len() - members.len()) as u64;
        too_many("spec.limits.members", members.len() as u64, u64::from(limits.members))?;
        too_many("spec.limits.replicas", replicas, u64::from(limits.replicas))?;
        too_many("hub quorum", replicas, fleet.spare_replicas() as u64)?;
        if let Some(may) = limits.gpus {
            let gpus = members.iter().filter_map(|name| fleet.members.get(name)).map(|member| member.gpus);
            too_many("spec.limits.gpus", gpus.sum(), may)?;
        }
        clash(step, &at_once)?;
    }
    let end = plan.steps.iter().map(|step| step.after.0.saturating_add(step.ttl.0)).max().unwrap_or_default();
    if end > limits.duration.0 {
        let reason = format!("the last fault ends after {end} ms, at most {} ms may pass", limits.duration.0);
        return Err(PlanError::new("spec.limits.duration", reason));
    }
    Ok(())
}

/// Whether `other` is in effect when `step` begins.
fn overlaps(other: &FaultStep, step: &FaultStep) -> bool {
    other.after <= step.after && step.after.0 < other.after.0.saturating_add(other.ttl.0)
}

/// A process that stands still or is down cannot take another fault back in time.
fn clash(step: &FaultStep, at_once: &[&FaultStep]) -> Result<(), PlanError> {
    let others = at_once.iter().filter(|other| other.kind.needs_host() && other.target == step.target);
    let stops = at_once.iter().any(|other| {
        other.target == step.target
            && !matches!(other.kind, muster_model::FaultKind::Partition | muster_model::FaultKind::Drain)
    });
    if others.count() > 1 && stops {
        let name = step.target.name();
        return Err(PlanError::new("spec.faults", format!("two faults of one process at one time: {name}")));
    }
    Ok(())
}
