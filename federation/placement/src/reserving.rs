//! Reservations in a cycle: which Nodes are closed to whom, and which Nodes a job gets reserved.
//!
//! A job that has waited for [`RESERVE_AFTER`](crate::reservations::RESERVE_AFTER) and finds no place gets Nodes of the
//! cheapest member without a reservation that could hold it: those with the least on them. Who stands behind it in the queue
//! gets no room there, so what runs there only becomes less, and once that has ended the job starts. Nodes stay reserved
//! until then, unless nothing bounds what runs on them and others have come to be emptier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{DurationMs, MemberName, Nodes, Resources, TimeMs};

use crate::demand::Demand;
use crate::feasible::{Offer, gang, offers, takes_jobs};
use crate::fit::{Gang, emptied};
use crate::order::{Lane, Position};
use crate::packer::Packer;
use crate::reservations::{MAX_RESERVATIONS, NodeReservation, RESERVE_AFTER, taken};
use crate::running::ends_at;
use crate::turns::{Head, Scope};
use crate::typical::Typical;
use crate::view::View;

/// Other Nodes are asked for at most this often.
const LOOK_EVERY: DurationMs = DurationMs::from_secs(60);

/// The reservations that are in effect in a cycle. One that is released or moved stays in effect until the next, in which
/// all whom it kept out have their turn in order.
pub struct Kept<'a> {
    view: &'a View,
    now: TimeMs,
    by_member: BTreeMap<MemberName, Vec<Arc<NodeReservation>>>,
    /// The last that may get one.
    window_end: Option<Position>,
    changes: Vec<(MemberName, Option<Arc<NodeReservation>>)>,
}

impl<'a> Kept<'a> {
    /// As they are.
    pub fn new(view: &'a View, now: TimeMs) -> Kept<'a> {
        let all = view.reservations().by_member().iter();
        let by_member = all.map(|(member, one)| (member.clone(), vec![Arc::clone(one)])).collect();
        let window = view.queue().firsts().take(MAX_RESERVATIONS);
        let window_end = window.last().map(|(position, _)| position.clone());
        Kept { view, now, by_member, window_end, changes: Vec::new() }
    }

    /// Looks again at those that something has changed for.
    pub fn refresh(&mut self) {
        for (member, old) in self.view.reservations().by_member() {
            if !self.view.reservations().is_due(member, self.now) {
                continue;
            }
            let new = self.refreshed(member, old).map(Arc::new);
            self.by_member.entry(member.clone()).or_default().extend(new.clone());
            self.changes.push((member.clone(), new));
        }
    }

    /// The Nodes of a member that a job at this position may not use.
    pub fn closed(&self, member: &MemberName, position: &Position, lane: &Lane) -> BTreeSet<u32> {
        if muster_model::mutant!(reservation_ignored) {
            return BTreeSet::new();
        }
        let against = self.against(member, position, lane);
        against.flat_map(|reservation| &reservation.nodes).copied().collect()
    }

    /// The reservations at a member that do not admit a job at this position.
    pub fn against<'k>(
        &'k self,
        member: &MemberName,
        position: &'k Position,
        lane: &'k Lane,
    ) -> impl Iterator<Item = &'k Arc<NodeReservation>> {
        let there = self.by_member.get(member).into_iter().flatten();
        there.filter(move |reservation| !reservation.admits(position, lane, self.now))
    }

    /// Whether a job that found no place may get Nodes reserved. Not while one is released: its job goes before those behind.
    pub fn may_reserve(&self, head: &Head) -> bool {
        let is_released = self.changes.iter().any(|(_, reservation)| reservation.is_none());
        let is_new = self.view.reservations().considered().is_none_or(|until| *until < head.position);
        self.now.since(head.position.queued_at) >= RESERVE_AFTER
            && self.window_end.as_ref().is_some_and(|end| head.position <= *end)
            && self.by_member.len() < MAX_RESERVATIONS
            && !is_released
            && (is_new || head.scope == Scope::Everywhere)
            && !self.by_member.values().flatten().any(|reservation| reservation.class == head.class)
    }

    /// Whether Nodes of a member are reserved for someone.
    pub fn is_reserved(&self, member: &MemberName) -> bool {
        self.by_member.contains_key(member)
    }

    /// Reserves some of these Nodes of a member, if they could hold the job were they empty.
    pub fn reserve(
        &mut self,
        head: &Head,
        member: &MemberName,
        has: &Nodes,
        (demand, offer): (&Demand, &Offer),
    ) -> bool {
        let Some(nodes) = emptiest(has, gang(demand, &offer.gpus)) else { return false };
        let reservation = Arc::new(NodeReservation {
            position: head.position.clone(),
            class: head.class,
            gpus: offer.gpus.clone(),
            ends: self.ends(member, &nodes),
            nodes,
            since: self.now,
            look_at: self.now.plus(LOOK_EVERY),
            lapses_at: lapses_at(demand, offer),
            shapes: has.shapes.clone(),
        });
        self.by_member.insert(member.clone(), vec![Arc::clone(&reservation)]);
        self.changes.push((member.clone(), Some(reservation)));
        true
    }

    /// What changed, and up to where all were considered in a cycle that stopped there.
    pub fn outcome(self, resume: Option<&Position>) -> Outcome {
        let firsts = self.view.queue().firsts().take(MAX_RESERVATIONS).map(|(position, _)| position);
        let considered = firsts.filter(|position| {
            self.now.since(position.queued_at) >= RESERVE_AFTER
                && resume.is_none_or(|resume| *position < resume)
        });
        Outcome { considered: considered.last().cloned(), changes: self.changes }
    }

    /// The same Nodes if they will still do. `None` if the member cannot hold the job any more.
    fn refreshed(&self, member: &MemberName, old: &NodeReservation) -> Option<NodeReservation> {
        let class = self.view.queue().class(old.class)?;
        class.jobs.get(&old.position)?;
        let there = self.view.member(member)?;
        takes_jobs(there).ok()?;
        let demand = Demand::new(self.view, &class.namespace, &class.spec).ok()?;
        let offers = offers(self.view.prices(), &demand, there, self.now).ok()?;
        let offer = offers.iter().find(|offer| offer.gpus == old.gpus)?;
        let has = &there.cluster().status.nodes;
        let gang = gang(&demand, &offer.gpus);
        let mut nodes = old.nodes.clone();
        if has.shapes != old.shapes {
            nodes = emptiest(has, gang)?;
        }
        let may_move = old.may_move(self.now);
        if may_move
            && let Some(others) = emptiest(has, gang).filter(|it| busiest(has, it) < busiest(has, &nodes))
        {
            nodes = others;
        }
        let look_at = if may_move { self.now.plus(LOOK_EVERY) } else { old.look_at };
        Some(NodeReservation {
            ends: self.ends(member, &nodes),
            nodes,
            look_at,
            lapses_at: lapses_at(&demand, offer),
            shapes: has.shapes.clone(),
            ..old.clone()
        })
    }

    /// When what runs on Nodes has ended at the latest; `None` if nothing bounds it, or nothing is known to run there.
    fn ends(&self, member: &MemberName, nodes: &BTreeSet<u32>) -> Option<TimeMs> {
        let ends = self.view.running().on(member, nodes).map(|object| object.job().and_then(ends_at));
        ends.reduce(|one, other| Some(one?.max(other?))).flatten()
    }
}

/// What a cycle did to reservations.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Up to here all that wait long were considered.
    pub considered: Option<Position>,
    /// What each member's reservation is now.
    pub changes: Vec<(MemberName, Option<Arc<NodeReservation>>)>,
}

/// Of the sets of Nodes that could hold a gang, were they empty, one whose busiest Node has least on it. O(Nodes x log Nodes)
fn emptiest(nodes: &Nodes, gang: Gang<'_>) -> Option<BTreeSet<u32>> {
    let mut order: Vec<u32> = (0..nodes.free.len() as u32).collect();
    order.sort_by_cached_key(|node| (load(nodes, *node), *node));
    let mut packer = Packer::new(&emptied(nodes), &Typical::default());
    let mut fit = |first: usize| packer.fit(gang, &order[first..].iter().copied().collect());
    let (mut too_few, mut enough) = (0, order.len());
    let mut found = fit(enough)?;
    while enough - too_few > 1 {
        let some = too_few + (enough - too_few) / 2;
        match fit(some) {
            Some(fit) => (enough, found) = (some, fit),
            None => too_few = some,
        }
    }
    Some(found.claims.iter().map(|claim| claim.node).collect())
}

/// What is taken of the Node of which most is.
fn busiest(nodes: &Nodes, some: &BTreeSet<u32>) -> Option<Resources> {
    some.iter().map(|node| load(nodes, *node)).max()
}

fn load(nodes: &Nodes, node: u32) -> Resources {
    let shape = nodes.shape(node);
    shape.map(|shape| taken(shape, &nodes.free[node as usize].free)).unwrap_or_default()
}

/// From when on a job would be done after its deadline.
fn lapses_at(demand: &Demand, offer: &Offer) -> Option<TimeMs> {
    let needs = offer.quote.transfer.0.saturating_add(demand.duration.0);
    demand.options.deadline.map(|deadline| TimeMs(deadline.0.saturating_sub(needs).saturating_add(1)))
}
