//! Whom a fault strikes: chosen by the fault alone, so that the plan without another fault strikes the same.

use crate::sim::event::{MEMBERS, REPLICAS};
use crate::sim::random::Random;
use crate::sim::world::World;

/// What a fault may choose among.
pub(super) struct Target {
    /// The fault's number in the plan.
    pub(super) number: usize,
    /// Its chance.
    pub(super) random: Random,
    /// A replica.
    pub(super) replica: usize,
    /// A member.
    pub(super) member: usize,
    /// The replica that leads, if one does.
    pub(super) leader: Option<usize>,
}

impl Target {
    pub(super) fn new(number: usize, pick: u64, world: &World) -> Target {
        let mut random = Random::new(pick, 2);
        let replica = random.index(REPLICAS);
        let member = random.index(MEMBERS);
        Target { number, random, replica, member, leader: world.leader() }
    }
}
