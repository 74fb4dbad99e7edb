//! Gang fit: all pods of a job on the Nodes of one member, or none.
//!
//! Best fit: the pod set that asks for most goes first; each of its pods goes to the Node with the fewest GPUs, then the
//! least CPU, free. So whole Nodes stay whole, and pods without GPUs go to Nodes that have none to give. Within a pod
//! set all pods are alike, for which filling Node after Node is exact; over several pod sets it is a heuristic.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use muster_model::{GpuModel, JobSpec, NodeFree, NodeShape, Nodes, PodClaim, Resources};

/// Places every pod of a job, each taking its pod set's element of `requests`, on what is free. `None` if not all fit.
/// Claims are in order of pod set and Node. O(pod sets x Nodes), and log Nodes per Node taken.
pub fn fit(
    nodes: &Nodes,
    spec: &JobSpec,
    model: Option<&GpuModel>,
    requests: &[Resources],
) -> Option<Vec<PodClaim>> {
    let pods_of = |set: usize| {
        let request = requests.get(set)?;
        Some(PodsOf { set: set as u16, count: spec.pod_sets[set].count, request, model })
    };
    if spec.pod_sets.len() == 1 {
        let mut claims = pods_of(0)?.place(nodes, &nodes.free)?;
        claims.sort();
        return Some(claims);
    }
    let mut order: Vec<usize> = (0..spec.pod_sets.len()).collect();
    order.sort_by_key(|i| (Reverse(requests.get(*i).copied().unwrap_or_default()), *i));
    let mut free = nodes.free.clone();
    let mut claims = Vec::new();
    for set in order {
        let wanted = pods_of(set)?;
        for claim in wanted.place(nodes, &free)? {
            let slot = &mut free[claim.node as usize].free;
            *slot = slot.minus(&wanted.request.times(u64::from(claim.pods)))?;
            claims.push(claim);
        }
    }
    claims.sort();
    Some(claims)
}

/// The pods of one pod set.
struct PodsOf<'a> {
    set: u16,
    count: u32,
    request: &'a Resources,
    model: Option<&'a GpuModel>,
}

impl PodsOf<'_> {
    fn place(&self, nodes: &Nodes, free: &[NodeFree]) -> Option<Vec<PodClaim>> {
        let mut left = self.count;
        let mut claims = Vec::new();
        let mut candidates = self.candidates(nodes, free);
        while left > 0 {
            let Reverse((room, node)) = candidates.pop()?;
            let pods = pods_in(&room, self.request).min(left);
            left -= pods;
            claims.push(PodClaim { pod_set: self.set, node, pods });
        }
        Some(claims)
    }

    /// Nodes with room for at least one pod, the fullest first.
    fn candidates(&self, nodes: &Nodes, free: &[NodeFree]) -> BinaryHeap<Reverse<(Resources, u32)>> {
        let suits = |shape: &NodeShape| self.request.gpu_milli == 0 || shape.gpu_model.as_ref() == self.model;
        let suitable: Vec<bool> = nodes.shapes.iter().map(suits).collect();
        let usable = |node: &NodeFree| {
            node.free.holds(self.request)
                && suitable.get(usize::from(node.shape)).copied().unwrap_or_default()
        };
        (0..).zip(free).filter(|(_, node)| usable(node)).map(|(i, node)| Reverse((node.free, i))).collect()
    }
}

/// How many pods of this request fit here.
fn pods_in(free: &Resources, request: &Resources) -> u32 {
    let times = |free: u64, asked: u64| free.checked_div(asked).unwrap_or(u64::MAX);
    let pods = times(free.gpu_milli, request.gpu_milli)
        .min(times(free.cpu_milli, request.cpu_milli))
        .min(times(free.memory_bytes, request.memory_bytes));
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// The same Nodes with nothing taken.
pub fn emptied(nodes: &Nodes) -> Nodes {
    Nodes::new(nodes.shapes.clone())
}

/// Thousandths of GPUs, then of CPU, that stay free on the Nodes a gang would take from: what it leaves in pieces.
pub fn left_in_pieces(nodes: &Nodes, claims: &[PodClaim], requests: &[Resources]) -> (u64, u64) {
    let mut touched: std::collections::BTreeMap<u32, Resources> = std::collections::BTreeMap::new();
    for claim in claims {
        let Some(node) = nodes.free.get(claim.node as usize) else { continue };
        let left = touched.entry(claim.node).or_insert(node.free);
        let taken = requests.get(usize::from(claim.pod_set)).copied().unwrap_or_default();
        *left = left.minus(&taken.times(u64::from(claim.pods))).unwrap_or_default();
    }
    touched.values().fold((0, 0), |(gpu, cpu), left| (gpu + left.gpu_milli, cpu + left.cpu_milli))
}
