//! Who votes and who only follows, and the single steps in which that changes.
//!
//! ```text
//! (nobody) --AddLearner--> learner --Promote (caught up)--> voter --Remove--> (gone)
//! ```
//!
//! One change at a time, learners first: a group never waits for a voter with an empty log.

use std::collections::BTreeSet;

use crate::ids::ReplicaId;

/// The replicas of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Those whose votes and acknowledgements count.
    pub voters: BTreeSet<ReplicaId>,
    /// Those that receive the log only.
    pub learners: BTreeSet<ReplicaId>,
}

/// One step of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// Begin to feed a new replica.
    AddLearner(ReplicaId),
    /// Let a learner that has caught up vote.
    Promote(ReplicaId),
    /// Remove a voter or learner. The leader hands over before it is removed.
    Remove(ReplicaId),
}

impl Membership {
    /// A group of voters only, as at bootstrap.
    pub fn of_voters(voters: impl IntoIterator<Item = ReplicaId>) -> Self {
        Self { voters: voters.into_iter().collect(), learners: BTreeSet::new() }
    }

    /// Whether the replica is a voter or a learner.
    pub fn contains(&self, id: ReplicaId) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }

    /// All replicas, voters first.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }
}

impl MembershipChange {
    /// The replica it is about.
    pub fn replica(self) -> ReplicaId {
        match self {
            Self::AddLearner(id) | Self::Promote(id) | Self::Remove(id) => id,
        }
    }
}
