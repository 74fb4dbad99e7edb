//! The Nodes of one member while jobs are placed on them, and which of them a pod costs least on.
//!
//! What a pod would cost on each Node is kept per request and found again only for the Nodes that changed since, so that a
//! decision costs one look over the Nodes' costs and a few new ones.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{GpuModel, Nodes, Resources};

use crate::mix::Ask;
use crate::order::Lane;
use crate::room::{Fraction, Room};
use crate::typical::{Kinds, Typical};

/// It does not fit there.
const NO_ROOM: u64 = u64::MAX;
/// Low bits of a cost: milli-GPUs that stay free, so that of equal losses the fullest Node is taken.
const IDLE_BITS: u32 = 20;
const MOST_IDLE: u64 = (1 << IDLE_BITS) - 1;

/// The Nodes of one member, less what was given away.
#[derive(Clone, Debug)]
pub struct Packer {
    rooms: Vec<Room>,
    shape_of: Vec<u16>,
    shapes: Vec<Shape>,
    /// What each Node is worth now, once someone asked.
    worth: Vec<Option<u64>>,
    /// Nodes in the order in which they changed, and for each the length of this list after its last change.
    changes: Vec<u32>,
    changed_at: Vec<usize>,
    asks: BTreeMap<Ask, usize>,
    costs: Vec<Costs>,
}

/// What a Node's GPUs may be used for.
#[derive(Clone, Debug)]
struct Shape {
    model: Option<GpuModel>,
    kinds: Kinds,
}

/// What a pod of one request costs on each Node.
#[derive(Clone, Debug, Default)]
struct Costs {
    by_node: Vec<u64>,
    /// Changes taken in.
    seen: usize,
}

/// Pods that are alike, on one Node.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// What one asks for.
    pub request: &'a Resources,
    /// How many.
    pub pods: u32,
}

impl Packer {
    /// Of Nodes of which the sums are known. O(Nodes)
    pub fn new(nodes: &Nodes, typical: &Typical) -> Packer {
        let shape =
            |model: &Option<GpuModel>| Shape { model: model.clone(), kinds: typical.on(model.as_ref()) };
        Packer {
            rooms: nodes.free.iter().map(|node| Room::of(&node.free)).collect(),
            shape_of: nodes.free.iter().map(|node| node.shape).collect(),
            shapes: nodes.shapes.iter().map(|s| shape(&s.gpu_model)).collect(),
            worth: vec![None; nodes.free.len()],
            changes: Vec::new(),
            changed_at: vec![0; nodes.free.len()],
            asks: BTreeMap::new(),
            costs: Vec::new(),
        }
    }

    /// How many Nodes there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is no Node.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// What is free on a Node.
    pub fn room(&self, node: u32) -> Option<&Room> {
        self.rooms.get(node as usize)
    }

    /// The Node on which one pod costs least; of equal ones the fullest, then the first. `closed` ones are passed over.
    pub fn best(&mut self, ask: &Ask, closed: &BTreeSet<u32>) -> Option<u32> {
        let costs = self.costs_of(ask);
        let left = |node: usize| (self.rooms[node].cpu_milli, self.rooms[node].memory_bytes);
        let (mut least, mut best) = (NO_ROOM, None);
        for (node, cost) in self.costs[costs].by_node.iter().enumerate() {
            if *cost > least || *cost == NO_ROOM || (!closed.is_empty() && closed.contains(&(node as u32))) {
                continue;
            }
            if *cost < least || best.is_some_and(|best| left(node) < left(best)) {
                (least, best) = (*cost, Some(node));
            }
        }
        best.map(|node| node as u32)
    }

    /// Takes room for pods on a Node. `false` and unchanged if they do not fit.
    #[must_use]
    pub fn take(&mut self, node: u32, share: Share<'_>) -> bool {
        let (step, times) = share.steps();
        let mut taken = Vec::new();
        for _ in 0..times {
            let Some((_, fraction)) = self.best_fraction(node, &step) else {
                taken
                    .into_iter()
                    .rev()
                    .for_each(|fraction| self.rooms[node as usize].untake(&step, fraction));
                return false;
            };
            self.rooms[node as usize].take(&step, fraction);
            taken.push(fraction);
        }
        self.rooms[node as usize].parts.retain(|part| *part > 0);
        self.changed(node);
        true
    }

    /// How many pods like this fit on a Node, at most so many.
    pub fn pods_on(&self, node: u32, share: Share<'_>) -> u32 {
        let Some(room) = self.rooms.get(node as usize) else { return 0 };
        let request = share.request;
        if !request.gpu_milli.is_multiple_of(1000) {
            return fractions_in(room.clone(), share);
        }
        let times = |free: u64, asked: u64| free.checked_div(asked).unwrap_or(u64::MAX);
        let pods = times(room.whole, request.gpu_milli / 1000)
            .min(times(room.cpu_milli, request.cpu_milli))
            .min(times(room.memory_bytes, request.memory_bytes));
        u32::try_from(pods).unwrap_or(u32::MAX).min(share.pods)
    }

    /// What pods on a Node cost: what it is worth less afterwards, then what stays idle. `None` if they do not fit.
    pub fn cost(&mut self, node: u32, share: Share<'_>) -> Option<u64> {
        let before = self.worth_of(node)?;
        let (step, times) = share.steps();
        if times == 1 {
            let (after, _) = self.best_fraction(node, &step)?;
            let idle = self.rooms[node as usize].gpu_milli().saturating_sub(step.gpu_milli);
            return Some(cost(before.saturating_sub(after), idle));
        }
        let room = self.rooms[node as usize].clone();
        let mut after = before;
        let mut fits = true;
        for _ in 0..times {
            let best = self.best_fraction(node, &step);
            let Some((worth, fraction)) = best else {
                fits = false;
                break;
            };
            after = worth;
            self.rooms[node as usize].take(&step, fraction);
        }
        let idle = self.rooms[node as usize].gpu_milli();
        self.rooms[node as usize] = room;
        fits.then(|| cost(before.saturating_sub(after), idle))
    }

    /// What a Node is worth less: a cost without what stays idle.
    pub fn loss(cost: u64) -> u64 {
        cost >> IDLE_BITS
    }

    /// Whether the Node's GPUs are of a model that will do.
    pub fn suits(&self, node: u32, ask: &Ask) -> bool {
        let shape = self.shape_of.get(node as usize).and_then(|shape| self.shapes.get(usize::from(*shape)));
        shape.is_some_and(|shape| ask.takes(shape.model.as_ref()))
    }

    /// Whether some Node that is not `closed` has room for the least of a lane.
    pub fn holds_anywhere(&self, lane: &Lane, closed: &BTreeSet<u32>) -> bool {
        let is_of_model = |node: u32| {
            let shape = self.shapes.get(usize::from(self.shape_of[node as usize]));
            lane.model.is_none() || shape.is_some_and(|shape| shape.model == lane.model)
        };
        let mut rooms = (0_u32..).zip(&self.rooms);
        rooms.any(|(node, room)| room.holds(&lane.least) && is_of_model(node) && !closed.contains(&node))
    }

    /// Whether two Nodes are alike now.
    pub fn is_like(&self, one: u32, other: u32) -> bool {
        let of = |node: u32| (self.shape_of.get(node as usize), self.rooms.get(node as usize));
        of(one) == of(other)
    }

    /// Puts a Node back to what it was.
    pub fn restore(&mut self, node: u32, room: Room) {
        self.rooms[node as usize] = room;
        self.changed(node);
    }

    fn changed(&mut self, node: u32) {
        self.worth[node as usize] = None;
        self.changes.push(node);
        self.changed_at[node as usize] = self.changes.len();
    }

    /// Where the costs of a request are kept, brought up to date.
    fn costs_of(&mut self, ask: &Ask) -> usize {
        let index = match self.asks.get(ask) {
            Some(index) => *index,
            None => {
                self.asks.insert(ask.clone(), self.costs.len());
                self.costs.push(Costs::default());
                self.costs.len() - 1
            }
        };
        let mut costs = std::mem::take(&mut self.costs[index]);
        if costs.by_node.len() == self.rooms.len() {
            for at in costs.seen..self.changes.len() {
                let node = self.changes[at];
                if self.changed_at[node as usize] == at + 1 {
                    costs.by_node[node as usize] = self.cost_of(node, ask);
                }
            }
        } else {
            costs.by_node = self.all_costs(ask);
        }
        costs.seen = self.changes.len();
        self.costs[index] = costs;
        index
    }

    /// Nodes next to each other are often alike.
    fn all_costs(&mut self, ask: &Ask) -> Vec<u64> {
        let mut costs: Vec<u64> = Vec::with_capacity(self.rooms.len());
        for node in 0..self.rooms.len() {
            let is_like_last = node > 0
                && self.shape_of[node] == self.shape_of[node - 1]
                && self.rooms[node] == self.rooms[node - 1];
            let cost = if is_like_last { costs[node - 1] } else { self.cost_of(node as u32, ask) };
            costs.push(cost);
        }
        costs
    }

    fn cost_of(&mut self, node: u32, ask: &Ask) -> u64 {
        if !self.rooms[node as usize].holds(&ask.request) || !self.suits(node, ask) {
            return NO_ROOM;
        }
        self.cost(node, Share { request: &ask.request, pods: 1 }).unwrap_or(NO_ROOM)
    }

    /// The GPU for a pod's fraction after which the Node is worth most, and what it is worth then.
    fn best_fraction(&mut self, node: u32, request: &Resources) -> Option<(u64, Fraction)> {
        let kinds = &self.shapes.get(usize::from(*self.shape_of.get(node as usize)?))?.kinds;
        let room = &mut self.rooms[node as usize];
        let mut best: Option<(u64, Fraction)> = None;
        let mut next = room.next_fraction(request, None);
        while let Some(fraction) = next {
            room.take(request, fraction);
            let worth = kinds.worth(room);
            room.untake(request, fraction);
            if best.is_none_or(|(most, _)| worth > most) {
                best = Some((worth, fraction));
            }
            next = room.next_fraction(request, Some(fraction));
        }
        best
    }

    fn worth_of(&mut self, node: u32) -> Option<u64> {
        let node = node as usize;
        if let Some(worth) = *self.worth.get(node)? {
            return Some(worth);
        }
        let worth = self.shapes.get(usize::from(self.shape_of[node]))?.kinds.worth(&self.rooms[node]);
        self.worth[node] = Some(worth);
        Some(worth)
    }
}

/// A loss, then what stays idle.
fn cost(loss: u64, idle_milli: u64) -> u64 {
    (loss << IDLE_BITS) | idle_milli.min(MOST_IDLE)
}

impl Share<'_> {
    /// What is taken at a time, and how often: whole GPUs need no look at each GPU.
    fn steps(&self) -> (Resources, u32) {
        if self.request.gpu_milli.is_multiple_of(1000) {
            (self.request.times(self.pods.into()), 1)
        } else {
            (*self.request, self.pods)
        }
    }
}

fn fractions_in(mut room: Room, share: Share<'_>) -> u32 {
    let mut pods = 0;
    while pods < share.pods && room.holds(share.request) {
        let Some(fraction) = room.next_fraction(share.request, None) else { break };
        room.take(share.request, fraction);
        pods += 1;
    }
    pods
}
