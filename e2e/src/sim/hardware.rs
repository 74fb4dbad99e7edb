//! What a member's machines have, Node by Node, and what of it is broken.
//!
//! Positions do not move: a Node that is gone stays as one that has nothing, and a GPU that failed leaves its number free.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{GpuModel, NodeShape, Resources};

/// Nodes of a member.
pub const NODES: u32 = 3;
/// GPUs of a Node.
pub const GPUS: u32 = 8;
/// GPUs of a member that may be broken at once.
const MOST_GPUS: usize = 4;

/// A member's Nodes: what broke, by the fault that broke it.
#[derive(Clone, Debug, Default)]
pub struct Hardware {
    gpus: BTreeMap<usize, (u32, u32)>,
    nodes: BTreeMap<usize, u32>,
}

impl Hardware {
    /// A fault breaks a GPU. False if enough is broken.
    pub(super) fn break_gpu(&mut self, fault: usize, node: u32, gpu: u32) -> bool {
        let may = self.gpus.len() < MOST_GPUS;
        if may {
            self.gpus.insert(fault, (node, gpu));
        }
        may
    }

    /// A fault takes a Node. False if one is gone already.
    pub(super) fn lose_node(&mut self, fault: usize, node: u32) -> bool {
        let may = self.nodes.is_empty();
        if may {
            self.nodes.insert(fault, node);
        }
        may
    }

    /// What this fault broke is whole again.
    pub(super) fn repair(&mut self, fault: usize) {
        self.gpus.remove(&fault);
        self.nodes.remove(&fault);
    }

    /// Broken GPUs by Node and number.
    pub(super) fn failed_gpus(&self) -> BTreeSet<(u32, u32)> {
        self.gpus.values().copied().collect()
    }

    /// The Nodes, with all GPUs of those that are there.
    pub(super) fn shapes(&self) -> Vec<NodeShape> {
        let Some(gone) = self.nodes.values().next() else { return vec![shape(NODES)] };
        (0..NODES).map(|node| if node == *gone { nothing() } else { shape(1) }).collect()
    }
}

fn shape(nodes: u32) -> NodeShape {
    let gpu_milli = 1_000 * u64::from(GPUS);
    let allocatable = Resources { gpu_milli, cpu_milli: 96_000, memory_bytes: 1 << 40 };
    NodeShape { gpu_model: Some(GpuModel::new("A100")), allocatable, nodes }
}

fn nothing() -> NodeShape {
    NodeShape { gpu_model: None, allocatable: Resources::default(), nodes: 1 }
}
