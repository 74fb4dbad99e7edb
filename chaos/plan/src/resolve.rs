//! From a game day's faults to steps with targets.

use std::sync::Arc;

use muster_model::{
    FaultKind, FaultPlan, FaultStep, FaultTarget, GameDayFault, GameDaySpec, TargetChoice, Uid,
};

use crate::draw::Draw;
use crate::fleet::Fleet;

/// A game day that cannot be run on this fleet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PlanError {
    /// The field.
    pub field: String,
    /// Why.
    pub reason: String,
}

impl PlanError {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> PlanError {
        PlanError { field: field.into(), reason: reason.into() }
    }
}

/// The plan of a game day on this fleet: the same for the same spec and fleet. Steps are in the order of their beginning.
///
/// # Errors
/// There are fewer targets than wanted, or a kind of fault is not for them.
pub fn resolve(spec: &GameDaySpec, fleet: &Fleet) -> Result<FaultPlan, PlanError> {
    let mut steps = Vec::new();
    for (i, fault) in spec.faults.iter().enumerate() {
        let field = format!("spec.faults[{i}]");
        let targets = candidates(fault, fleet, &field)?;
        let wanted = fault.count as usize;
        if targets.len() < wanted {
            let reason = format!("{wanted} wanted, {} in contact match", targets.len());
            return Err(PlanError::new(format!("{field}.targets"), reason));
        }
        let mut drawn = Draw::new(spec.seed, i as u64).some(targets, wanted);
        drawn.sort();
        let step = |(target, target_uid)| FaultStep {
            kind: fault.kind,
            target,
            target_uid,
            after: fault.after,
            ttl: fault.ttl,
        };
        steps.extend(drawn.into_iter().map(step));
    }
    steps.sort_by_key(|step| step.after);
    Ok(FaultPlan { steps })
}

fn candidates(
    fault: &GameDayFault,
    fleet: &Fleet,
    field: &str,
) -> Result<Vec<(FaultTarget, Uid)>, PlanError> {
    match &fault.targets {
        TargetChoice::Members { selector, names } => {
            let fits = fleet.members.iter().filter(|(name, member)| {
                let is_named = names.is_empty() || names.contains(name);
                member.is_ready && is_named && selector.check(&member.labels).is_ok()
            });
            Ok(fits.map(|(name, member)| (FaultTarget::Member(name.clone()), member.uid)).collect())
        }
        TargetChoice::Replicas { .. } if !matches!(fault.kind, FaultKind::Kill | FaultKind::Pause) => Err(
            PlanError::new(format!("{field}.kind"), "replicas take kill and pause; others are for members"),
        ),
        TargetChoice::Replicas { names } => {
            let is_named = |name: &&Arc<str>| names.is_empty() || names.contains(name);
            let fits = fleet.replicas.iter().filter(is_named);
            Ok(fits.map(|name| (FaultTarget::Replica(Arc::clone(name)), Uid::default())).collect())
        }
    }
}
