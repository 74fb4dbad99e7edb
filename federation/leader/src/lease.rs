//! A member's lease: its liveness, and which incarnation has it.

use muster_model::{Incarnation, TimeMs};

use crate::config::Config;

/// A lease. Dropped when it lapses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; `None` right after an election for a member that was out of contact: anyone may take it.
    pub incarnation: Option<Incarnation>,
    /// When the hub heard from it last, or became leader.
    pub heard: TimeMs,
}

/// A lease for people: the status of a `Cluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// When it was renewed last.
    pub renewed: TimeMs,
    /// When it lapses unless it is renewed.
    pub expires: TimeMs,
}

impl Lease {
    /// Whether the member was silent for too long to get new jobs.
    pub fn is_suspect(&self, now: TimeMs, config: &Config) -> bool {
        now.since(self.heard) >= config.suspect_after
    }

    /// Whether it has lapsed.
    pub fn is_lapsed(&self, now: TimeMs, config: &Config) -> bool {
        now.since(self.heard) >= config.lease
    }

    /// Whether this incarnation may hold it: nobody else does.
    pub fn admits(&self, incarnation: &Incarnation, now: TimeMs, config: &Config) -> bool {
        self.is_lapsed(now, config) || self.incarnation.as_ref().is_none_or(|holder| holder == incarnation)
    }

    /// For people.
    pub fn times(&self, config: &Config) -> LeaseTimes {
        LeaseTimes { renewed: self.heard, expires: self.heard.plus(config.lease) }
    }
}
