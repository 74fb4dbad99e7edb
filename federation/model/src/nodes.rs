//! The Nodes of a member by shape, and what is free on each. Eight free GPUs on eight Nodes are not one free eight-GPU
//! Node, so free capacity is kept per Node and claims name the Node they take from.

use crate::{GpuModel, Resources};

/// Nodes that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeShape {
    /// The GPU model, if the Nodes have GPUs.
    pub gpu_model: Option<GpuModel>,
    /// What one Node can give to jobs.
    pub allocatable: Resources,
    /// How many Nodes of this shape there are.
    pub nodes: u32,
}

/// One Node: its shape and what is free on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeFree {
    /// Position of its shape in [`Nodes::shapes`].
    pub shape: u16,
    /// What is free.
    pub free: Resources,
}

/// `pods` pods of one pod set on one Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodClaim {
    /// Position of the pod set in the job.
    pub pod_set: u16,
    /// Position of the Node in the member.
    pub node: u32,
    /// How many pods.
    pub pods: u32,
}

/// All Nodes of a member. Invariant: `free` has one element per Node, ordered by shape, and never more free than the
/// shape's allocatable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nodes {
    /// The shapes, as the member reported them.
    pub shapes: Vec<NodeShape>,
    /// The Nodes.
    pub free: Vec<NodeFree>,
}

impl Nodes {
    /// Nodes of these shapes with nothing taken.
    pub fn new(shapes: Vec<NodeShape>) -> Nodes {
        let nodes = |(i, shape): (usize, &NodeShape)| {
            let node = NodeFree { shape: i as u16, free: shape.allocatable };
            std::iter::repeat_n(node, shape.nodes as usize)
        };
        Nodes { free: shapes.iter().enumerate().flat_map(nodes).collect(), shapes }
    }

    /// The shape of the Node at this position.
    pub fn shape(&self, node: u32) -> Option<&NodeShape> {
        let node = self.free.get(node as usize)?;
        self.shapes.get(usize::from(node.shape))
    }

    /// Takes `amount` from a Node; `false` and unchanged if it does not fit or the Node is not there.
    #[must_use]
    pub fn take(&mut self, node: u32, amount: &Resources) -> bool {
        let Some(node) = self.free.get_mut(node as usize) else { return false };
        let Some(left) = node.free.minus(amount) else { return false };
        node.free = left;
        true
    }

    /// Gives `amount` back. A Node that went away meanwhile is passed over.
    pub fn give(&mut self, node: u32, amount: &Resources) {
        if let Some(node) = self.free.get_mut(node as usize) {
            node.free = node.free.plus(amount);
        }
    }

    /// Total and free milli-GPUs by model, in model order, each model once.
    pub fn gpus(&self) -> Vec<(GpuModel, u64, u64)> {
        let mut by_model = std::collections::BTreeMap::<&GpuModel, (u64, u64)>::new();
        for node in &self.free {
            let shape = &self.shapes[usize::from(node.shape)];
            if let Some(model) = &shape.gpu_model {
                let sums = by_model.entry(model).or_default();
                sums.0 += shape.allocatable.gpu_milli;
                sums.1 += node.free.gpu_milli;
            }
        }
        by_model.into_iter().map(|(model, (total, free))| (model.clone(), total, free)).collect()
    }
}
