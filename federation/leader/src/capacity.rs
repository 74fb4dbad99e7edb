//! What a member has: committed when it differs from what is, at most once a second, losses at once.

use muster_model::{CapacityChange, ClusterStatus, NodeShape, TimeMs};

use crate::config::Config;

/// What a member said it has.
#[derive(Clone, Debug, Default)]
pub struct CapacityDesk {
    wanted: Option<CapacityChange>,
    proposed: Option<TimeMs>,
    under_way: bool,
}

impl CapacityDesk {
    /// The member said what it has.
    pub fn arrived(&mut self, change: CapacityChange) {
        self.wanted = Some(change);
    }

    /// What to propose now, given what is committed.
    pub fn next(
        &mut self,
        committed: &ClusterStatus,
        now: TimeMs,
        config: &Config,
    ) -> Option<CapacityChange> {
        if self.under_way {
            return None;
        }
        let wanted = self.wanted.take_if(|wanted| is_committed(wanted, committed));
        if wanted.is_some() {
            return None;
        }
        let early = self.proposed.is_some_and(|at| now.since(at) < config.capacity_interval);
        let change = self.wanted.as_ref().filter(|wanted| !early || is_loss(wanted, committed))?.clone();
        self.proposed = Some(now);
        self.under_way = true;
        Some(change)
    }

    /// The proposal came to its end; if it was committed, what it said is compared with the state again.
    pub fn done(&mut self, refused: bool) {
        self.under_way = false;
        if refused {
            self.wanted = None;
        }
    }
}

fn is_committed(wanted: &CapacityChange, committed: &ClusterStatus) -> bool {
    committed.incarnation.as_ref() == Some(&wanted.incarnation)
        && committed.nodes.shapes == wanted.shapes
        && committed.agent_version == wanted.agent_version
        && committed.gpu_source == wanted.gpu_source
        && committed.can_fence == wanted.can_fence
}

/// Whether something is committed that is not there any more: each second more is a second in which a job may be placed
/// on it. Another incarnation counts as loss of the first.
fn is_loss(wanted: &CapacityChange, committed: &ClusterStatus) -> bool {
    let covers = |was: &NodeShape| {
        let same =
            wanted.shapes.iter().find(|s| s.gpu_model == was.gpu_model && s.allocatable == was.allocatable);
        same.is_some_and(|is| is.nodes >= was.nodes)
    };
    committed.incarnation.as_ref() != Some(&wanted.incarnation)
        || (committed.can_fence && !wanted.can_fence)
        || !committed.nodes.shapes.iter().all(covers)
}
