//! L2: the hub is gone for a day. No attempt under `Keep` or `DuplicateOk` is ended by that; one under `Fence` is.

use muster_member_machine::EndReason;
use muster_model::PartitionPolicy;

use super::{Violation, note};

/// A pod that was there when the hub went, as it is when the hub comes back.
#[derive(Clone, Copy, Debug)]
pub struct EndedAlone<'a> {
    /// Where.
    pub member: usize,
    /// Its name.
    pub name: &'a str,
    /// Of its attempt.
    pub policy: PartitionPolicy,
    /// How it ended, if it did.
    pub reason: Option<EndReason>,
}

/// A pod after a long time without a hub.
pub fn check_ended_alone(pod: EndedAlone<'_>, found: &mut Vec<Violation>) {
    let EndedAlone { member, name, policy, reason } = pod;
    let ended_by_itself = matches!(reason, None | Some(EndReason::Completed | EndReason::Error));
    match policy {
        PartitionPolicy::Fence if reason.is_none() => {
            note(found, "L2", format!("{name} on member {member} is fenced, and runs on without a hub"));
        }
        PartitionPolicy::Keep | PartitionPolicy::DuplicateOk if !ended_by_itself => {
            note(found, "L2", format!("{name} on member {member} was ended without a hub: {reason:?}"));
        }
        _ => {}
    }
}
