//! S4: at most one live attempt of a job anywhere, unless its policy is `DuplicateOk`.
//!
//! Asked whenever a pod begins to run, or runs on after a suspended host went on and its shim looked at the clock once.

use super::{LivePod, Violation, note};

/// Whether `started` runs beside a pod of another attempt of its job.
pub fn check_one_live_attempt(started: &LivePod, live: &[LivePod], found: &mut Vec<Violation>) {
    use muster_model::PartitionPolicy::DuplicateOk;
    let beside = live.iter().find(|other| {
        other.uid == started.uid
            && other.id.epoch != started.id.epoch
            && other.policy != DuplicateOk
            && started.policy != DuplicateOk
    });
    if let Some(other) = beside {
        let seen = format!(
            "job {} runs as epoch {:x} on member {} beside epoch {:x} on member {}",
            started.uid, started.id.epoch.0, started.member, other.id.epoch.0, other.member
        );
        note(found, "S4", seen);
    }
}
