//! What the engine does: the same [`Packer`] that the planner places jobs with, on one member with all Nodes.

use std::collections::BTreeSet;

use muster_model::Nodes;
use muster_placement::{Ask, Mix, Packer, Share};

use super::replay::Policy;

/// The Nodes under the engine's rule.
pub struct Muster(Packer);

impl Muster {
    /// Empty Nodes, and what all pods that will arrive ask for: what FGD knows too.
    pub fn new(nodes: &Nodes, arrivals: &[&Ask]) -> Muster {
        let mut mix = Mix::default();
        arrivals.iter().for_each(|ask| mix.add(ask, 1));
        Muster(Packer::new(nodes, &mix.typical()))
    }
}

impl Policy for Muster {
    fn place(&mut self, ask: &Ask) -> bool {
        let Some(node) = self.0.best(ask, &BTreeSet::new()) else { return false };
        self.0.take(node, Share { request: &ask.request, pods: 1 })
    }
}
