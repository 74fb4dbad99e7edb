//! Which GPUs of a Node a pod gets. Whole GPUs are never shared; fractions share one GPU as far as it reaches.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{CapacityChange, NodeShape, Resources};

/// What is left of a member's capacity without the GPUs at these positions of Node and GPU. Nodes keep their positions:
/// what is claimed on them is claimed by position.
pub fn capacity_without(whole: &CapacityChange, failed: &BTreeSet<(u32, u32)>) -> CapacityChange {
    let mut left = whole.clone();
    if failed.is_empty() {
        return left;
    }
    left.shapes.clear();
    let nodes = whole.shapes.iter().flat_map(|shape| std::iter::repeat_n(shape, shape.nodes as usize));
    for (node, shape) in (0..).zip(nodes) {
        let works = |gpu: u32| u64::from(gpu) < shape.allocatable.gpu_milli / 1000;
        let lost = failed.range((node, 0)..=(node, u32::MAX)).filter(|(_, gpu)| works(*gpu)).count() as u64;
        let gpu_milli = shape.allocatable.gpu_milli - 1000 * lost;
        let allocatable = Resources { gpu_milli, ..shape.allocatable };
        match left.shapes.last_mut() {
            Some(last) if (&last.gpu_model, last.allocatable) == (&shape.gpu_model, allocatable) => {
                last.nodes += 1
            }
            _ => left.shapes.push(NodeShape { allocatable, nodes: 1, ..shape.clone() }),
        }
    }
    left
}

/// What is taken on one Node: thousandths by GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GpuUse(BTreeMap<u32, u64>);

impl GpuUse {
    /// Counts a pod that holds `gpus` and asked for `gpu_milli`.
    pub(crate) fn add(&mut self, gpus: &[u32], gpu_milli: u64) {
        let mut left = gpu_milli;
        for gpu in gpus {
            let share = left.min(1000);
            *self.0.entry(*gpu).or_default() += share;
            left -= share;
        }
    }

    /// GPUs for a pod that asks for `gpu_milli` on a Node of `count` GPUs; `None` if they are not free.
    pub(crate) fn choose(&self, count: u32, gpu_milli: u64) -> Option<Vec<u32>> {
        let used = |gpu: &u32| self.0.get(gpu).copied().unwrap_or(0);
        let whole = usize::try_from(gpu_milli / 1000).ok()?;
        let fraction = gpu_milli % 1000;
        let mut gpus: Vec<u32> = (0..count).filter(|gpu| used(gpu) == 0).take(whole).collect();
        if gpus.len() < whole {
            return None;
        }
        if fraction > 0 {
            let fits = |gpu: &u32| !gpus.contains(gpu) && used(gpu) + fraction <= 1000;
            // The fullest that fits keeps whole GPUs free for whole requests.
            gpus.push((0..count).filter(fits).max_by_key(|gpu| (used(gpu), std::cmp::Reverse(*gpu)))?);
        }
        Some(gpus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_taken_from_its_node_and_nodes_keep_their_positions() {
        let shape = |gpus: u64, nodes| NodeShape {
            gpu_model: Some(muster_model::GpuModel::new("A100")),
            allocatable: Resources { gpu_milli: gpus * 1000, cpu_milli: 8, memory_bytes: 9 },
            nodes,
        };
        let whole = CapacityChange {
            member: muster_model::MemberName::new("m"),
            incarnation: muster_model::Incarnation { folder: 1, boot: 1 },
            shapes: vec![shape(8, 3), shape(4, 1)],
            agent_version: "1".into(),
            gpu_source: muster_model::GpuSource::Nvml,
            can_fence: true,
        };
        let left = |failed: &[(u32, u32)]| capacity_without(&whole, &failed.iter().copied().collect()).shapes;
        assert_eq!(left(&[]), whole.shapes);
        assert_eq!(left(&[(1, 0), (1, 7)]), [shape(8, 1), shape(6, 1), shape(8, 1), shape(4, 1)]);
        assert_eq!(left(&[(3, 3)]), [shape(8, 3), shape(3, 1)]);
        // There is no such GPU, and no such Node.
        assert_eq!(left(&[(3, 4), (4, 0)]), whole.shapes);
    }

    #[test]
    fn whole_gpus_are_never_shared_and_fractions_fill_up() {
        let mut node = GpuUse::default();
        let mut take = |gpu_milli| {
            let gpus = node.choose(4, gpu_milli)?;
            node.add(&gpus, gpu_milli);
            Some(gpus)
        };
        assert_eq!(take(0), Some(vec![]));
        assert_eq!(take(1000), Some(vec![0]));
        assert_eq!(take(300), Some(vec![1]));
        assert_eq!(take(700), Some(vec![1]));
        assert_eq!(take(300), Some(vec![2]));
        assert_eq!(take(2000), None);
        assert_eq!(take(1500), Some(vec![3, 2]));
        assert_eq!(take(1000), None);
    }
}
