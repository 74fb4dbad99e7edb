//! A member: a cluster of the federation.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Location, Nodes, TimeMs};

/// A member as the hub knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// What was asked for.
    pub spec: ClusterSpec,
    /// What is known.
    pub status: ClusterStatus,
}

/// What is said of a member in its `Cluster` object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterSpec {
    /// Where it is.
    pub location: Location,
    /// How its capacity is paid.
    pub price_class: PriceClass,
    /// What runs its jobs.
    pub backend: Backend,
    /// Labels that selectors see; from `metadata.labels`.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Taints that keep jobs away.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Bytes per second that transfers may bring in, all together; absent: as fast as it goes.
    pub transfer_bytes_per_second: Option<u64>,
}

/// How capacity is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceClass {
    /// Owned.
    OnPrem,
    /// Rented on demand.
    OnDemand,
    /// Rented as spot.
    Spot,
}

/// What runs a member's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// Local processes.
    Process,
    /// Nothing: jobs are played.
    Simulated,
    /// A Kubernetes cluster.
    Kubernetes,
}

/// Where a member's GPUs were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GpuSource {
    /// NVML on the machine.
    Nvml,
    /// Declared, not there.
    #[default]
    Simulated,
    /// A cluster's Nodes.
    Kubernetes,
}

/// What the hub committed about a member. Heartbeats are not here: only what decisions need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClusterStatus {
    /// Whether an agent has joined under this name, and when.
    pub joined_at: Option<TimeMs>,
    /// Certificates issued before this time are refused: set by a revocation and by each new join.
    pub certificates_from: TimeMs,
    /// Whether the member holds its lease.
    pub ready: Readiness,
    /// The agent that reported last.
    pub incarnation: Option<Incarnation>,
    /// The Nodes, and what of them is claimed.
    pub nodes: Nodes,
    /// Whether Nodes went away under live attempts, so that not every claim is taken from a Node.
    pub overcommitted: bool,
    /// Version of the agent.
    pub agent_version: Arc<str>,
    /// Where its GPUs were seen.
    pub gpu_source: GpuSource,
    /// Whether its backend can end an attempt at a deadline even if the agent is dead.
    pub can_fence: bool,
    /// Whether its burst pool is about to remove it, so that it gets no new jobs.
    pub draining: bool,
    /// By whose will it is drained, in order and without repetition: faults by name, and people's owners.
    pub drains: Vec<Arc<str>>,
}

impl Cluster {
    /// Whether it gets no new jobs: cordoned by its spec, or drained.
    pub fn is_cordoned(&self) -> bool {
        self.spec.unschedulable || self.status.draining || !self.status.drains.is_empty()
    }
}

impl ClusterStatus {
    /// Whether a certificate that was issued then is good, as far as revocations and later joins go.
    pub fn admits_certificate(&self, issued: TimeMs) -> bool {
        issued >= self.certificates_from
    }

    /// The time of issue of a renewed certificate: this replica's time of day in whole seconds, as certificates tell it. If
    /// that clock is behind the one by which earlier certificates were refused, the first time that is not refused.
    pub fn renewed_from(&self, now: TimeMs) -> TimeMs {
        TimeMs((now.0 / 1000 * 1000).max(self.certificates_from.0.div_ceil(1000) * 1000))
    }

    /// The same for a member that joins again: later than what was refused, so that nothing issued before it stays good.
    pub fn joined_from(&self, now: TimeMs) -> TimeMs {
        let after = |refused: TimeMs| (refused.0 / 1000 + 1) * 1000;
        let earliest = self.joined_at.map_or(0, |_| after(self.certificates_from));
        TimeMs((now.0 / 1000 * 1000).max(earliest))
    }
}

/// Whether a member holds its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Readiness {
    /// Never heard of.
    #[default]
    Unknown,
    /// In contact since then.
    Ready {
        /// Since when.
        since: TimeMs,
    },
    /// Out of contact: the lease expired.
    Lapsed {
        /// Since when.
        since: TimeMs,
    },
}

/// One life of an agent's state: the id of its data folder and the boot id of its machine. A second incarnation knows
/// nothing of what the first one started.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Made once with the data folder.
    pub folder: u128,
    /// The machine's boot.
    pub boot: u128,
}

/// A taint, by Kubernetes' rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Key.
    pub key: Arc<str>,
    /// Value; may be empty.
    pub value: Arc<str>,
    /// What it does to jobs that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// Keeps new jobs away.
    NoSchedule,
    /// Keeps new jobs away if another place will do.
    PreferNoSchedule,
    /// Keeps new jobs away and evicts those that run.
    NoExecute,
}

/// A toleration of a pod template. Empty `key` with `Exists` tolerates everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// Key; `None` with no value means all.
    pub key: Option<Arc<str>>,
    /// The value it must have; `None`: any (`Exists`).
    pub value: Option<Arc<str>>,
    /// The effect; `None`: all.
    pub effect: Option<TaintEffect>,
}

impl Toleration {
    /// Whether it tolerates this taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|k| *k == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
            && self.effect.is_none_or(|e| e == taint.effect)
    }
}
