//! The breaker: when much of the fleet falls silent at once, the hub's own network is the likelier cause.
//!
//! While it is open no attempt under `DuplicateOk` is replaced: that would start the whole fleet's work twice. Members
//! still turn not ready, which only stops new work. Attempts under `Fence` are still counted as over at their deadline:
//! their members end them by their own clocks, whoever's network is at fault, so waiting longer would save nothing.

use std::collections::BTreeMap;

use muster_model::{MemberName, TimeMs};

use crate::config::Config;

/// Which members were in contact, who is silent since when, and whether that is too many at once.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Members that were in contact under this leader, or at its election; a member that was out of contact before says
    /// nothing about the hub. `Some`: silent since then.
    fleet: BTreeMap<MemberName, Option<TimeMs>>,
    open: bool,
    /// Open, and so few are silent that it would close: since when.
    calm: Option<TimeMs>,
}

impl Breaker {
    /// A member is in contact.
    pub fn joins(&mut self, member: &MemberName) {
        self.fleet.insert(member.clone(), None);
    }

    /// It is no member any more.
    pub fn leaves(&mut self, member: &MemberName) {
        self.fleet.remove(member);
    }

    /// A member is silent.
    pub fn fell_silent(&mut self, member: &MemberName, now: TimeMs) {
        if let Some(silent) = self.fleet.get_mut(member) {
            silent.get_or_insert(now);
        }
    }

    /// Judges anew. Opens when too many fell silent within the window. Closes when no more than that share has been silent
    /// at all for as long as it takes the others to come back: when a hub thaws, its members say hello one after the other,
    /// and the last ones are no more lost than the first ones were.
    pub fn judge(&mut self, now: TimeMs, config: &Config) {
        let members = self.fleet.len();
        let too_many = |silent: usize| silent as u64 * 100 > members as u64 * config.breaker_share_percent;
        let silent = self.fleet.values().flatten();
        let recent = silent.clone().filter(|since| now.since(**since) <= config.breaker_window).count();
        if members >= config.breaker_min_members && too_many(recent) {
            (self.open, self.calm) = (true, None);
        } else if too_many(silent.count()) {
            self.calm = None;
        } else if self.open {
            let calm = *self.calm.get_or_insert(now);
            self.open = now.since(calm) < config.breaker_calm;
        }
    }

    /// Whether the hub is suspected rather than the fleet.
    pub fn is_open(&self) -> bool {
        self.open
    }
}
