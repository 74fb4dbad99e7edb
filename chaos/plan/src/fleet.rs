//! What targets are drawn from.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{MemberName, Uid};

/// The hub and its members as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Members that have joined.
    pub members: BTreeMap<MemberName, FleetMember>,
    /// Voting replicas.
    pub replicas: Vec<Arc<str>>,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetMember {
    /// Of its object.
    pub uid: Uid,
    /// What selectors see.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether it is in contact.
    pub is_ready: bool,
    /// Its GPUs.
    pub gpus: u64,
}

impl Fleet {
    /// Replicas that may be down while the hub keeps its quorum.
    pub fn spare_replicas(&self) -> usize {
        self.replicas.len().saturating_sub(1) / 2
    }
}
