//! Lapses whose proposal came to nothing: proposed again, since nothing but an applied lapse or the member's word ends an
//! attempt, and no acknowledgement names it any more.

use std::collections::BTreeMap;

use muster_model::{Epoch, MemberName, TimeMs};

/// Lapses to be proposed again.
#[derive(Clone, Debug, Default)]
pub struct FenceRetries(BTreeMap<TimeMs, Vec<(MemberName, Vec<Epoch>)>>);

impl FenceRetries {
    /// Propose these again then.
    pub fn again_at(&mut self, at: TimeMs, member: MemberName, epochs: Vec<Epoch>) {
        self.0.entry(at).or_default().push((member, epochs));
    }

    /// Those that are due.
    pub fn split_off_due(&mut self, now: TimeMs) -> Vec<(MemberName, Vec<Epoch>)> {
        let later = self.0.split_off(&TimeMs(now.0.saturating_add(1)));
        std::mem::replace(&mut self.0, later).into_values().flatten().collect()
    }
}
