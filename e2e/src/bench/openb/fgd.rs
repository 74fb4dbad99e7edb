//! Fragmentation Gradient Descent, implemented from its paper (Weng et al., ATC'23) to be compared with.
//!
//! A Node's fragmentation is, summed over typical pods by their frequency, what that pod could not use of its idle GPUs: all
//! of them if the pod does not fit, else those with less free than it asks for. Typical are the most frequent requests that
//! make up 95 % of all, pods without GPUs included; memory is not looked at. A pod goes where fragmentation grows least, as
//! far as a score of 0 to 100 tells growths apart, and among equals to the last Node. With other rules for equals the
//! published figures are not met; the paper does not name one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use muster_model::{GpuModel, Nodes, Resources};
use muster_placement::Ask;

use super::replay::Policy;

const POPULAR: f64 = 0.95;

/// The Nodes under this rule.
pub struct Fgd {
    nodes: Vec<Node>,
    typical: Vec<(Ask, f64)>,
    asks: BTreeMap<Ask, usize>,
    /// Score per kind of request and Node, and the Node's version that it is of.
    scores: Vec<Vec<(u64, Option<u8>)>>,
}

#[derive(Clone)]
struct Node {
    model: Option<GpuModel>,
    free: Resources,
    /// Free on each GPU.
    gpus: Vec<u64>,
    version: u64,
}

impl Fgd {
    /// Empty Nodes, and what all pods that will arrive ask for.
    pub fn new(nodes: &Nodes, arrivals: &[&Ask]) -> Fgd {
        let node = |node: &muster_model::NodeFree| Node {
            model: nodes.shapes[usize::from(node.shape)].gpu_model.clone(),
            free: node.free,
            gpus: vec![1000; usize::try_from(node.free.gpu_milli / 1000).unwrap_or_default()],
            version: 1,
        };
        Fgd {
            nodes: nodes.free.iter().map(node).collect(),
            typical: typical(arrivals),
            asks: BTreeMap::new(),
            scores: Vec::new(),
        }
    }
}

impl Policy for Fgd {
    fn place(&mut self, ask: &Ask) -> bool {
        let known = self.asks.len();
        let index = *self.asks.entry(ask.clone()).or_insert(known);
        if index == self.scores.len() {
            self.scores.push(vec![(0, None); self.nodes.len()]);
        }
        let mut best: Option<(u8, usize)> = None;
        for (i, (node, (version, score))) in self.nodes.iter().zip(&mut self.scores[index]).enumerate() {
            if *version != node.version {
                (*version, *score) =
                    (node.version, score_of(node, ask, &self.typical).map(|(score, _)| score));
            }
            if let Some(score) = *score
                && best.is_none_or(|(most, _)| score >= most)
            {
                best = Some((score, i));
            }
        }
        let Some((_, i)) = best else { return false };
        let Some((_, after)) = score_of(&self.nodes[i], ask, &self.typical) else { return false };
        self.nodes[i] = after;
        true
    }
}

/// The score of a placement, and the Node after it. Of several GPUs for a fraction the one with the best score.
fn score_of(node: &Node, ask: &Ask, typical: &[(Ask, f64)]) -> Option<(u8, Node)> {
    if !node.holds(ask) || node.free.memory_bytes < ask.request.memory_bytes {
        return None;
    }
    let before = fragmentation(node, typical);
    let options = node.after(ask).into_iter();
    options
        .map(|after| (score(before - fragmentation(&after, typical)), after))
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
}

fn score(descent_milli: f64) -> u8 {
    let sigmoid = 1.0 / (1.0 + (-descent_milli / 1000.0).exp());
    (sigmoid * 100.0) as u8
}

/// Milli-GPUs that typical pods could not use.
fn fragmentation(node: &Node, typical: &[(Ask, f64)]) -> f64 {
    let idle: u64 = node.gpus.iter().sum();
    if idle == 0 {
        return 0.0;
    }
    let lost = |ask: &Ask| match ask.request.gpu_milli {
        0 => idle,
        _ if !node.holds(ask) => idle,
        milli => node.gpus.iter().filter(|free| **free < milli.min(1000)).sum(),
    };
    typical.iter().map(|(ask, share)| share * lost(ask) as f64).sum()
}

impl Node {
    fn holds(&self, ask: &Ask) -> bool {
        let milli = ask.request.gpu_milli;
        let (each, wanted) = if milli > 1000 { (1000, milli / 1000) } else { (milli, u64::from(milli > 0)) };
        self.free.cpu_milli >= ask.request.cpu_milli
            && ask.takes(self.model.as_ref())
            && self.gpus.iter().filter(|free| **free >= each).count() as u64 >= wanted
    }

    fn after(&self, ask: &Ask) -> Vec<Node> {
        let mut taken = self.clone();
        taken.version += 1;
        taken.free.cpu_milli -= ask.request.cpu_milli;
        taken.free.memory_bytes -= ask.request.memory_bytes;
        let milli = ask.request.gpu_milli;
        if milli.is_multiple_of(1000) {
            let whole = usize::try_from(milli / 1000).unwrap_or_default();
            taken.gpus.iter_mut().filter(|free| **free == 1000).take(whole).for_each(|free| *free = 0);
            return vec![taken];
        }
        let on = |i: usize| {
            let mut after = taken.clone();
            after.gpus[i] -= milli;
            after
        };
        (0..self.gpus.len()).filter(|i| self.gpus[*i] >= milli).map(on).collect()
    }
}

fn typical(arrivals: &[&Ask]) -> Vec<(Ask, f64)> {
    let mut counts: BTreeMap<Ask, usize> = BTreeMap::new();
    for ask in arrivals {
        let request = Resources { memory_bytes: 0, ..ask.request };
        *counts.entry(Ask { request, models: ask.models.clone() }).or_default() += 1;
    }
    let mut frequent: Vec<(Ask, usize)> = counts.into_iter().collect();
    frequent.sort_by_key(|(_, count)| Reverse(*count));
    let (mut covered, mut kept) = (0, Vec::new());
    for (ask, count) in frequent {
        if covered as f64 >= POPULAR * arrivals.len() as f64 {
            break;
        }
        covered += count;
        kept.push((ask, count));
    }
    kept.into_iter().map(|(ask, count)| (ask, count as f64 / covered as f64)).collect()
}
