//! What an approval binds: everything of a plan that decides what is done to whom, and what stops it.

use muster_model::{DocumentHash, FaultPlan, FaultTarget, GameDaySpec};
use sha2::{Digest, Sha256};

/// The first 16 bytes of SHA-256 over the steps, probes and limits, each text preceded by its length. A member that was
/// deleted and joined again under its name is another target.
pub fn plan_hash(spec: &GameDaySpec, plan: &FaultPlan) -> DocumentHash {
    let mut hash = Sha256::new();
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    for step in &plan.steps {
        let scope = match step.target {
            FaultTarget::Member(_) => "member",
            FaultTarget::Replica(_) => "replica",
        };
        text(step.kind.word());
        text(scope);
        text(step.target.name());
        text(&step.target_uid.to_string());
        text(&format!("{} {}", step.after.0, step.ttl.0));
    }
    text("probes");
    spec.probes.iter().for_each(|probe| text(probe.word()));
    let limits = &spec.limits;
    text(&format!("{} {} {:?} {}", limits.members, limits.replicas, limits.gpus, limits.duration.0));
    let digest: [u8; 32] = hash.finalize().into();
    let first: [u8; 16] = digest[..16].try_into().expect("SHA-256 has 32 bytes");
    DocumentHash(u128::from_be_bytes(first))
}
