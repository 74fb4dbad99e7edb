//! What placement knows: members, the queue, and what jobs name, kept up to date by events.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{
    Cluster, Dataset, Document, Event, JobPhase, Key, MemberName, Meta, MicroUsd, Object, PlacementSpec,
    Readiness, Resources, Revision, Status, TimeMs, Transfer, Uid, kinds,
};

use crate::feasible::takes_jobs;
use crate::mix::Mix;
use crate::order::{ClassId, Position, Queue};
use crate::plan::PlacementPlan;
use crate::prices::Prices;
use crate::reservations::{MAX_RESERVATIONS, NodeReservation, RESERVE_AFTER, Reservations};
use crate::running::{Running, attempt, touches};

/// What placement knows. A change costs what changed.
#[derive(Clone, Debug, Default)]
pub struct View {
    revision: Revision,
    members: BTreeMap<MemberName, Member>,
    placements: BTreeMap<Key, Arc<PlacementSpec>>,
    datasets: BTreeMap<Key, Arc<Dataset>>,
    /// Transfers that are known, open or not, by dataset.
    transfers: BTreeMap<Key, BTreeMap<MemberName, Arc<Transfer>>>,
    wait_costs: BTreeMap<Arc<str>, MicroUsd>,
    prices: Prices,
    mix: Mix,
    queue: Queue,
    running: Running,
    reservations: Reservations,
}

/// A member as the hub committed it.
#[derive(Clone, Debug)]
pub struct Member(Arc<Object>);

impl Member {
    /// A member that is not there, and would be like this.
    pub(crate) fn imagined(cluster: Cluster) -> Member {
        let meta = Meta {
            uid: Uid(0),
            created: TimeMs(0),
            generation: 1,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        };
        let (key, document) = (Key::cluster("imagined"), Document::default());
        Member(Arc::new(Object { key, meta, document, status: Status::Cluster(Box::new(cluster)) }))
    }

    /// Spec and status.
    pub fn cluster(&self) -> &Cluster {
        self.0.cluster().expect("only clusters are taken in")
    }

    /// Its name.
    pub fn name(&self) -> MemberName {
        MemberName(Arc::clone(&self.0.key.name))
    }

    /// Whether it is in contact.
    pub fn is_in_contact(&self) -> bool {
        matches!(self.cluster().status.ready, Readiness::Ready { .. })
    }

    /// Whether someone asked to delete it.
    pub fn is_being_deleted(&self) -> bool {
        self.0.meta.deletion.is_some()
    }
}

impl View {
    /// A view of these objects, at this revision.
    pub fn new<'a>(objects: impl Iterator<Item = &'a Arc<Object>>, revision: Revision) -> View {
        let mut view = View { revision, ..View::default() };
        for object in objects {
            view.count(None, Some(object));
            view.set(&object.key, Some(object));
        }
        view
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: &Event) {
        if let Event::Changed { key, old, new, revision } = event {
            self.revision = self.revision.max(*revision);
            self.count(old.as_deref(), new.as_deref());
            self.set(key, new.as_ref());
        }
    }

    /// Remembers which jobs a plan found no place for, so that they are not looked at again before something is gained.
    pub fn note(&mut self, plan: &PlacementPlan) {
        for id in &plan.settled {
            self.queue.settle(*id);
        }
        self.queue.cycle_done(plan.resume.clone());
        for id in &plan.hopeless {
            self.queue.give_up_hope(*id);
        }
        self.reservations.consider(plan.reserved.considered.clone());
        for (member, reservation) in &plan.reserved.changes {
            self.reserve(member, reservation.clone());
        }
    }

    /// Apply refused to place this job: it is not looked at again before something is gained, or [`View::retry`]. Nothing
    /// stays reserved for it until then, since nobody knows whether it could start there.
    pub fn refused(&mut self, job: &Key) {
        if let Some(id) = self.queue.class_of_job(job) {
            self.queue.settle(id);
        }
        if let Some(member) = self.reservations.of_job(job).map(|(member, _)| member.clone()) {
            self.reservations.set(&member, None);
            let oldest = self.queue.firsts().take(MAX_RESERVATIONS).map(|(position, _)| position);
            self.reservations.consider(oldest.last().cloned());
        }
    }

    /// Looks at all waiting jobs again.
    pub fn retry(&mut self) {
        self.queue.gain();
        self.reservations.reconsider();
    }

    /// Whether a plan may place something, or reserve Nodes.
    pub fn wants_plan(&self, now: TimeMs) -> bool {
        self.queue.wants_cycle() || self.reservations.any_due(now) || self.candidates(now).next().is_some()
    }

    /// The revision of the last change taken in.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many jobs wait for a place.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The jobs that wait for a place, the next one first.
    pub fn waiting_in_order(&self) -> impl Iterator<Item = &Key> {
        self.queue.in_order()
    }

    /// A waiting job's number in the queue, from 1. O(jobs ahead).
    pub fn position(&self, job: &Key) -> Option<u64> {
        self.queue.number(job)
    }

    /// The members in order of name.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&MemberName, &Member)> {
        self.members.iter()
    }

    pub(crate) fn member(&self, name: &MemberName) -> Option<&Member> {
        self.members.get(name)
    }

    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    pub(crate) fn mix(&self) -> &Mix {
        &self.mix
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    pub(crate) fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// Jobs for which Nodes may be reserved, and that were not considered yet, oldest first.
    pub(crate) fn candidates(&self, now: TimeMs) -> impl Iterator<Item = (Position, ClassId)> {
        let there = self.reservations.by_member().len();
        let may_be_more = there < MAX_RESERVATIONS.min(self.members.len());
        let oldest = self.queue.firsts().take(if may_be_more { MAX_RESERVATIONS } else { 0 });
        let considered = self.reservations.considered();
        let is_new = move |position: &Position| considered.is_none_or(|until| until < position);
        let waits_long = move |position: &Position| now.since(position.queued_at) >= RESERVE_AFTER;
        oldest
            .filter(move |(position, class)| {
                waits_long(position) && is_new(position) && !self.reservations.has(*class)
            })
            .map(|(position, class)| (position.clone(), class))
    }

    /// Reserves Nodes of a member, or releases them.
    fn reserve(&mut self, member: &MemberName, reservation: Option<Arc<NodeReservation>>) {
        let old = self.reservations.by_member().get(member).cloned();
        if !self.reservations.set(member, reservation) || muster_model::mutant!(release_is_no_gain) {
            return;
        }
        let (Some(old), Some(there)) = (old, self.members.get(member)) else { return };
        let free = &there.cluster().status.nodes.free;
        let room = old.nodes.iter().filter_map(|node| Some(free.get(*node as usize)?.free));
        if let Some(most) = room.reduce(each_most) {
            self.queue.gain_room(member, most);
        }
    }

    pub(crate) fn placement(&self, namespace: &str, name: &str) -> Option<Arc<PlacementSpec>> {
        self.placements.get(&Key::new(kinds::PLACEMENT, namespace, name)).cloned()
    }

    pub(crate) fn dataset(&self, key: &Key) -> Option<Arc<Dataset>> {
        self.datasets.get(key).cloned()
    }

    /// The transfers of a dataset, by their targets.
    pub(crate) fn transfers(&self, dataset: &Key) -> Option<&BTreeMap<MemberName, Arc<Transfer>>> {
        self.transfers.get(dataset)
    }

    pub(crate) fn wait_cost_per_hour(&self, namespace: &str) -> MicroUsd {
        self.wait_costs.get(namespace).copied().unwrap_or_default()
    }

    fn set(&mut self, key: &Key, object: Option<&Arc<Object>>) {
        let status = object.map(|object| &object.status);
        match &*key.kind.0 {
            kinds::JOB => self.set_job(key, object),
            kinds::CLUSTER => self.set_member(key, object),
            kinds::PLACEMENT => {
                let spec =
                    status.and_then(|s| if let Status::Placement(spec) = s { Some(spec) } else { None });
                self.gained_if(|view| replace(&mut view.placements, key, spec.cloned()));
            }
            kinds::DATASET => {
                self.set_dataset(key, object.and_then(|object| object.dataset()));
            }
            kinds::TRANSFER => self.set_transfer(key, object.and_then(|object| object.transfer())),
            kinds::PRICE_BOOK => {
                let spec =
                    status.and_then(|s| if let Status::PriceBook(spec) = s { Some(spec) } else { None });
                self.gained_if(|view| view.prices.set(key, spec.cloned()));
            }
            kinds::NAMESPACE => {
                let spec =
                    status.and_then(|s| if let Status::Namespace(spec) = s { Some(spec) } else { None });
                let cost = spec.map(|s| s.wait_cost_per_hour);
                self.gained_if(|view| replace(&mut view.wait_costs, &key.name, cost));
            }
            _ => {}
        }
    }

    /// Progress of bytes opens no place: a whole copy does, or another spec.
    fn set_dataset(&mut self, key: &Key, dataset: Option<&Arc<Dataset>>) {
        let old = match dataset {
            Some(dataset) => self.datasets.insert(key.clone(), Arc::clone(dataset)),
            None => self.datasets.remove(key),
        };
        let same =
            old.zip(dataset).is_some_and(|(old, new)| old.spec == new.spec && holders(&old).eq(holders(new)));
        self.gained_if(|_| !same);
    }

    /// The end of a transfer changes what is possible; that it goes on does not.
    fn set_transfer(&mut self, key: &Key, transfer: Option<&Arc<Transfer>>) {
        let Some((dataset, target)) = key.name.split_once(':') else { return };
        let dataset = Key::new(kinds::DATASET, &key.namespace, dataset);
        let of_dataset = self.transfers.entry(dataset.clone()).or_default();
        match transfer {
            Some(transfer) => drop(of_dataset.insert(MemberName::new(target), Arc::clone(transfer))),
            None => drop(of_dataset.remove(&MemberName::new(target))),
        }
        if of_dataset.is_empty() {
            self.transfers.remove(&dataset);
        }
        self.gained_if(|_| transfer.is_none_or(|transfer| !transfer.is_open()));
    }

    /// Keeps count of what the stored jobs ask for, those that run or are over too: they tell what will be asked.
    fn count(&mut self, old: Option<&Object>, new: Option<&Object>) {
        let spec = |object: Option<&Object>| object.and_then(Object::job).map(|job| Arc::clone(&job.spec));
        let (old, new) = (spec(old), spec(new));
        if old == new {
            return;
        }
        if let Some(spec) = old {
            self.mix.remove_job(&spec);
        }
        if let Some(spec) = new {
            self.mix.add_job(&spec);
        }
    }

    fn gained_if(&mut self, change: impl FnOnce(&mut View) -> bool) {
        if change(self) {
            self.queue.gain();
            self.reservations.touch_all();
        }
    }

    /// A job being deleted is placed no more.
    fn set_job(&mut self, key: &Key, object: Option<&Arc<Object>>) {
        let wanted = object.filter(|object| object.meta.deletion.is_none());
        match wanted.and_then(|object| Some((object, object.job()?))) {
            Some((object, job)) if job.phase == JobPhase::Queued => {
                let live = job.attempt.as_ref().filter(|_| !muster_model::mutant!(grant_while_live));
                let held_by = live.map(|attempt| &attempt.assignment.member);
                self.queue.insert(key, object.meta.uid, job.queued_at, &job.spec, held_by);
            }
            _ => self.queue.remove(key),
        }
        for object in self.running.set(key, object).iter().flatten() {
            let Some(attempt) = attempt(object) else { continue };
            let member = &attempt.assignment.member;
            let there = self.reservations.by_member().get(member);
            if there.is_some_and(|reservation| touches(attempt, &reservation.nodes)) {
                self.reservations.touch(member);
            }
        }
        self.release_of(key);
    }

    /// What is reserved for a job that does not wait any more, or for something else, is released.
    fn release_of(&mut self, key: &Key) {
        let Some((member, reservation)) = self.reservations.of_job(key) else { return };
        let waits = self.queue.class_of_job(key) == Some(reservation.class)
            && self.queue.position(key) == Some(&reservation.position);
        if !waits {
            let member = member.clone();
            self.reserve(&member, None);
        }
    }

    fn set_member(&mut self, key: &Key, object: Option<&Arc<Object>>) {
        let name = MemberName::new(Arc::clone(&key.name));
        let Some(object) = object.filter(|object| object.cluster().is_some()) else {
            self.members.remove(&name);
            // Bytes come from it no more.
            self.reservations.touch_all();
            return self.reserve(&name, None);
        };
        let new = Member(Arc::clone(object));
        let old = self.members.insert(name.clone(), new);
        let (old, new) = (old.as_ref(), &self.members[&name]);
        // Bytes may come from it again, to any member, or no more.
        let was_in_contact = old.is_some_and(Member::is_in_contact);
        let is_back = new.is_in_contact() && !was_in_contact;
        let is_source = new.is_in_contact() != was_in_contact
            && self.datasets.values().any(|dataset| dataset.whole_at(&name).is_some());
        if is_source {
            self.reservations.touch_all();
        }
        if is_back && is_source {
            self.queue.gain();
        }
        if old.is_none_or(|old| changed_as_a_whole(old.cluster(), new.cluster())) {
            self.queue.hope();
            self.reservations.reconsider();
        }
        if old.is_none_or(|old| !holds_as_before(old, new)) {
            self.reservations.touch(&name);
        }
        if let Some(most) = gained_room(old, new) {
            self.queue.gain_room(&name, most);
        }
    }
}

/// Puts a value in or takes it out. `false` if nothing changed.
fn replace<K: Ord + Clone, V: PartialEq>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) -> bool {
    if map.get(key) == value.as_ref() {
        return false;
    }
    match value {
        Some(value) => drop(map.insert(key.clone(), value)),
        None => drop(map.remove(key)),
    }
    true
}

/// The members that bytes of a dataset can come from.
fn holders(dataset: &Dataset) -> impl Iterator<Item = &MemberName> {
    dataset.copies.iter().filter(|(_, copy)| copy.is_whole()).map(|(member, _)| member)
}

/// The most room on a Node where a job may fit that did not before; `None` if there is no such Node. What merely fills a
/// member, or takes from it, does not count; a member that changed in another way is looked at as a whole.
fn gained_room(old: Option<&Member>, new: &Member) -> Option<Resources> {
    let after = new.cluster();
    let has = &after.status.nodes;
    let had = old.map(Member::cluster).filter(|before| !changed_as_a_whole(before, after));
    let is_gain = |node: usize| {
        had.is_none_or(|before| {
            before.status.nodes.free.get(node).is_none_or(|old| !old.free.holds(&has.free[node].free))
        })
    };
    let gained = (0..has.free.len()).filter(|node| is_gain(*node)).map(|node| has.free[node].free);
    gained.reduce(each_most)
}

fn each_most(one: Resources, other: Resources) -> Resources {
    Resources {
        gpu_milli: one.gpu_milli.max(other.gpu_milli),
        cpu_milli: one.cpu_milli.max(other.cpu_milli),
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
    }
}

/// Whether all that a reservation rests on is as before: what is free apart.
fn holds_as_before(old: &Member, new: &Member) -> bool {
    let (before, after) = (old.cluster(), new.cluster());
    before.spec == after.spec
        && takes_jobs(old).is_ok() == takes_jobs(new).is_ok()
        && old.is_being_deleted() == new.is_being_deleted()
        && before.status.joined_at.is_some() == after.status.joined_at.is_some()
        && before.status.can_fence == after.status.can_fence
        && before.status.nodes.shapes == after.status.nodes.shapes
}

fn changed_as_a_whole(before: &Cluster, after: &Cluster) -> bool {
    let is_ready = |cluster: &Cluster| matches!(cluster.status.ready, Readiness::Ready { .. });
    before.spec != after.spec
        || before.status.joined_at.is_some() != after.status.joined_at.is_some()
        || (is_ready(after) && !is_ready(before))
        || (after.status.can_fence && !before.status.can_fence)
        || (before.is_cordoned() && !after.is_cordoned() && !muster_model::mutant!(undrain_is_no_gain))
        || before.status.nodes.shapes != after.status.nodes.shapes
}
