//! Gang fit: all pods of a job on the Nodes of one member, or none.
//!
//! The pod set that asks for most goes first; each goes to the Nodes on which it costs least ([`Packer`]), as many pods to
//! each as fit. Within a pod set all pods are alike, for which filling Node after Node is exact: where they fit in one
//! order they fit in any. Over several pod sets it is a heuristic.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use muster_model::{GpuModel, JobSpec, Nodes, PodClaim, Resources};

use crate::mix::Ask;
use crate::packer::{Packer, Share};
use crate::room::Room;
use crate::typical::Typical;

/// What a gang asks for at one member.
#[derive(Clone, Copy, Debug)]
pub struct Gang<'a> {
    /// Its pod sets.
    pub spec: &'a JobSpec,
    /// The GPU model that it would use.
    pub model: Option<&'a GpuModel>,
    /// What one pod of each pod set takes.
    pub requests: &'a [Resources],
}

/// Where all pods of a gang go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// In order of pod set and Node.
    pub claims: Vec<PodClaim>,
    /// What the Nodes are worth less to typical jobs.
    pub lost: u64,
    /// Thousandths of GPUs, then of CPU, that stay free on the Nodes taken from.
    pub left_in_pieces: (u64, u64),
}

/// Places every pod of a job, each taking its pod set's element of `requests`, on what is free. `None` if not all fit.
/// Claims are in order of pod set and Node. O(pod sets x Nodes), and log Nodes per Node taken.
pub fn fit(
    nodes: &Nodes,
    spec: &JobSpec,
    model: Option<&GpuModel>,
    requests: &[Resources],
) -> Option<Vec<PodClaim>> {
    let mut packer = Packer::new(nodes, &Typical::default());
    packer.fit(Gang { spec, model, requests }, &BTreeSet::new()).map(|fit| fit.claims)
}

/// The same Nodes with nothing taken.
pub fn emptied(nodes: &Nodes) -> Nodes {
    Nodes::new(nodes.shapes.clone())
}

impl Fit {
    fn of(placed: Vec<(PodClaim, u64)>, left: impl Iterator<Item = Resources>) -> Fit {
        let lost = placed.iter().map(|(_, cost)| Packer::loss(*cost)).sum();
        let left_in_pieces =
            left.fold((0, 0), |(gpu, cpu), left| (gpu + left.gpu_milli, cpu + left.cpu_milli));
        let mut claims: Vec<PodClaim> = placed.into_iter().map(|(claim, _)| claim).collect();
        claims.sort();
        Fit { claims, lost, left_in_pieces }
    }
}

impl Packer {
    /// Where all pods of a gang would go, off `closed` Nodes. Takes nothing.
    pub fn fit(&mut self, gang: Gang<'_>, closed: &BTreeSet<u32>) -> Option<Fit> {
        if let ([_], [request]) = (gang.spec.pod_sets.as_slice(), gang.requests) {
            let placed = self.fit_set(gang, 0, closed)?;
            let left = |(claim, _): &(PodClaim, u64)| {
                let room = self.room(claim.node)?.free();
                room.minus(&request.times(u64::from(claim.pods)))
            };
            let left: Vec<Resources> = placed.iter().filter_map(left).collect();
            return Some(Fit::of(placed, left.into_iter()));
        }
        let mut before = BTreeMap::new();
        let placed = self.fit_sets(gang, closed, &mut before);
        let left: Vec<Resources> = before.keys().filter_map(|node| Some(self.room(*node)?.free())).collect();
        before.into_iter().for_each(|(node, room)| self.restore(node, room));
        placed.map(|placed| Fit::of(placed, left.into_iter()))
    }

    /// Takes room for each pod set in turn, the largest request first; `before` tells what to restore.
    fn fit_sets(
        &mut self,
        gang: Gang<'_>,
        closed: &BTreeSet<u32>,
        before: &mut BTreeMap<u32, Room>,
    ) -> Option<Vec<(PodClaim, u64)>> {
        let mut order: Vec<usize> = (0..gang.spec.pod_sets.len()).collect();
        order.sort_by_key(|i| (Reverse(gang.requests.get(*i).copied().unwrap_or_default()), *i));
        let mut all = Vec::new();
        for set in order {
            let placed = self.fit_set(gang, set, closed)?;
            for (claim, _) in &placed {
                let room = self.room(claim.node)?.clone();
                before.entry(claim.node).or_insert(room);
                let share = Share { request: &gang.requests[set], pods: claim.pods };
                if !self.take(claim.node, share) {
                    return None;
                }
            }
            all.extend(placed);
        }
        Some(all)
    }

    /// Where the pods of one pod set would go, and at what cost.
    fn fit_set(
        &mut self,
        gang: Gang<'_>,
        set: usize,
        closed: &BTreeSet<u32>,
    ) -> Option<Vec<(PodClaim, u64)>> {
        let request = gang.requests.get(set)?;
        let count = gang.spec.pod_sets[set].count;
        let models = gang.model.filter(|_| request.gpu_milli > 0);
        let ask = Ask { request: *request, models: models.into_iter().cloned().collect() };
        let claim = |node, pods| PodClaim { pod_set: set as u16, node, pods };
        if count == 1 {
            let node = self.best(&ask, closed)?;
            return Some(vec![(claim(node, 1), self.cost(node, Share { request, pods: 1 })?)]);
        }
        let mut left = count;
        let mut claims = Vec::new();
        let mut candidates = self.candidates(&ask, count, closed);
        while left > 0 {
            let Reverse((_, _, node)) = candidates.pop()?;
            let pods = self.pods_on(node, Share { request, pods: left });
            left -= pods;
            claims.push((claim(node, pods), self.cost(node, Share { request, pods })?));
        }
        Some(claims)
    }

    /// Nodes with room for at least one pod, by what they lose per pod if as many go there as fit; then the fullest.
    fn candidates(
        &mut self,
        ask: &Ask,
        count: u32,
        closed: &BTreeSet<u32>,
    ) -> BinaryHeap<Reverse<(u64, Resources, u32)>> {
        let mut found = BinaryHeap::new();
        let mut last: Option<(u32, u64)> = None;
        let request = &ask.request;
        for node in (0..self.len() as u32).filter(|node| !closed.contains(node)) {
            if !self.suits(node, ask) {
                continue;
            }
            let pods = self.pods_on(node, Share { request, pods: count });
            if pods == 0 {
                continue;
            }
            let cost = match last {
                Some((like, cost)) if self.is_like(node, like) => cost,
                _ => {
                    let cost = self.cost(node, Share { request, pods }).unwrap_or(u64::MAX);
                    Packer::loss(cost) / u64::from(pods)
                }
            };
            last = Some((node, cost));
            let free = self.room(node).map(Room::free).unwrap_or_default();
            found.push(Reverse((cost, free, node)));
        }
        found
    }
}
