//! Which members will do for a job, and why the others will not. What no waiting can change is asked first, so that a
//! job that can never run somewhere is not told to wait for it.

use std::collections::BTreeSet;

use muster_model::{
    GpuModel, Location, Nodes, PartitionPolicy, PriceClass, Readiness, Resources, SpotUse, Taint,
    TaintEffect, TimeMs,
};

use crate::cost::Quote;
use crate::demand::{Demand, GpuUse};
use crate::fit::{Fit, Gang, emptied, fit};
use crate::packer::Packer;
use crate::prices::Prices;
use crate::rejected::Rejected;
use crate::typical::Typical;
use crate::view::Member;

/// One way to run a job at a member, priced.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which GPUs.
    pub gpus: GpuUse,
    /// At what cost.
    pub quote: Quote,
}

/// A filter: passes, or says why not.
type Filter = fn(&Demand, &Member) -> Result<(), Rejected>;

/// Filters that waiting does not change, except for a member that has yet to join.
const FILTERS: [Filter; 8] = [
    is_wanted,
    has_joined,
    matches_cluster_selector,
    matches_node_selector,
    tolerates_taints,
    may_use_spot,
    may_read_data,
    can_fence,
];

/// The ways to run a job at a member, whether it has room now or not.
pub fn offers(
    prices: &Prices,
    demand: &Demand,
    member: &Member,
    now: TimeMs,
) -> Result<Vec<Offer>, Rejected> {
    for filter in FILTERS {
        filter(demand, member)?;
    }
    let has = models(&member.cluster().status.nodes);
    let uses = demand.gpu_uses(&has);
    if uses.is_empty() {
        return Err(Rejected::GpuModel { wanted: demand.models(), has });
    }
    let priced = uses.into_iter().map(|gpus| offer(prices, demand, member, gpus, now));
    let (mut offers, mut refusals) = (Vec::new(), Vec::new());
    for result in priced {
        match result {
            Ok(offer) => offers.push(offer),
            Err(refusal) => refusals.push(refusal),
        }
    }
    match refusals.into_iter().next() {
        Some(refusal) if offers.is_empty() => Err(refusal),
        _ => Ok(offers),
    }
}

/// Whether the member takes jobs now.
pub fn takes_jobs(member: &Member) -> Result<(), Rejected> {
    let cluster = member.cluster();
    match cluster.status.ready {
        _ if cluster.is_cordoned() => Err(Rejected::Cordoned),
        Readiness::Ready { .. } => Ok(()),
        Readiness::Unknown => Err(Rejected::NotReady(None)),
        Readiness::Lapsed { since } => Err(Rejected::NotReady(Some(since))),
    }
}

/// The place of each pod on what is free, off `closed` Nodes, or what is missing.
pub fn room(
    demand: &Demand,
    gpus: &GpuUse,
    nodes: &Nodes,
    typical: &Typical,
    closed: &BTreeSet<u32>,
) -> Result<Fit, Rejected> {
    let fit = Packer::new(nodes, typical).fit(gang(demand, gpus), closed);
    fit.ok_or_else(|| busy(demand, gpus, nodes))
}

/// A job's pods with these GPUs.
pub fn gang<'a>(demand: &'a Demand, gpus: &'a GpuUse) -> Gang<'a> {
    Gang { spec: &demand.spec, model: gpus.model.as_ref(), requests: &gpus.requests }
}

/// Whether the gang would fit if nothing else ran there.
pub fn could_ever_fit(demand: &Demand, gpus: &GpuUse, nodes: &Nodes) -> Result<(), Rejected> {
    let empty = emptied(nodes);
    match fit(&empty, &demand.spec, gpus.model.as_ref(), &gpus.requests) {
        Some(_) => Ok(()),
        None => Err(Rejected::GangTooLarge {
            pods: pods(demand),
            request: total_request(demand, gpus),
            total: free_of(&empty, gpus).0,
        }),
    }
}

fn offer(
    prices: &Prices,
    demand: &Demand,
    member: &Member,
    gpus: GpuUse,
    now: TimeMs,
) -> Result<Offer, Rejected> {
    let cluster = member.cluster();
    fits_a_node(&gpus, &cluster.status.nodes)?;
    let quote = Quote::new(prices, demand, (&member.name(), &cluster.spec), &gpus)?;
    if let Some(max) = demand.options.max_hourly_cost.filter(|max| quote.hourly > *max) {
        return Err(Rejected::TooExpensive { hourly: quote.hourly, max });
    }
    let done = now.plus(quote.transfer).plus(demand.duration);
    match demand.options.deadline {
        Some(deadline) if done > deadline => Err(Rejected::TooLate { done, deadline }),
        _ => Ok(Offer { gpus, quote }),
    }
}

fn is_wanted(_: &Demand, member: &Member) -> Result<(), Rejected> {
    if member.is_being_deleted() { Err(Rejected::BeingDeleted) } else { Ok(()) }
}

/// Of a member that has said nothing yet nobody knows what it has.
fn has_joined(_: &Demand, member: &Member) -> Result<(), Rejected> {
    let status = &member.cluster().status;
    match status.joined_at {
        None => Err(Rejected::NotJoined),
        Some(_) if status.ready == Readiness::Unknown && status.nodes.shapes.is_empty() => {
            Err(Rejected::NotReady(None))
        }
        Some(_) => Ok(()),
    }
}

fn matches_cluster_selector(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    let checked = demand.options.cluster_selector.check(&member.cluster().spec.labels);
    checked.map_err(|requirement| Rejected::ClusterSelector(requirement.clone()))
}

fn matches_node_selector(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    let checked = demand.spec.node_selector.check(&member.cluster().spec.labels);
    checked.map_err(|requirement| Rejected::NodeSelector(requirement.clone()))
}

fn tolerates_taints(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    let hard = |taint: &&Taint| taint.effect != TaintEffect::PreferNoSchedule && !tolerates(demand, taint);
    member.cluster().spec.taints.iter().find(hard).map_or(Ok(()), |taint| Err(Rejected::Taint(taint.clone())))
}

/// Taints that ask jobs to go elsewhere if they can.
pub fn soft_taints(demand: &Demand, member: &Member) -> u32 {
    let soft = |taint: &&Taint| taint.effect == TaintEffect::PreferNoSchedule && !tolerates(demand, taint);
    member.cluster().spec.taints.iter().filter(soft).count() as u32
}

fn tolerates(demand: &Demand, taint: &Taint) -> bool {
    demand.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
}

fn may_use_spot(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    match (demand.options.spot, member.cluster().spec.price_class) {
        (SpotUse::Never, PriceClass::Spot) => Err(Rejected::SpotForbidden),
        (SpotUse::Require, class @ (PriceClass::OnPrem | PriceClass::OnDemand)) => {
            Err(Rejected::SpotRequired(class))
        }
        _ => Ok(()),
    }
}

fn may_read_data(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    let place = &member.cluster().spec.location;
    match demand.datasets.iter().find(|needed| !needed.dataset.may_go_to(place)) {
        None => Ok(()),
        Some(needed) => Err(Rejected::Sovereignty {
            dataset: std::sync::Arc::clone(&needed.name),
            place: Location { zone: None, ..place.clone() },
            allowed: needed.dataset.spec.allowed_regions.clone(),
        }),
    }
}

fn can_fence(demand: &Demand, member: &Member) -> Result<(), Rejected> {
    let needed = demand.options.partition_policy == PartitionPolicy::Fence;
    if needed && !member.cluster().status.can_fence { Err(Rejected::CannotFence) } else { Ok(()) }
}

/// Whether each pod set's pod fits an empty Node: eight GPUs on eight Nodes are not one Node with eight.
fn fits_a_node(gpus: &GpuUse, nodes: &Nodes) -> Result<(), Rejected> {
    for request in &gpus.requests {
        let model = gpus.model.as_ref().filter(|_| request.gpu_milli > 0);
        let suitable =
            nodes.shapes.iter().filter(|s| s.nodes > 0 && (model.is_none() || s.gpu_model.as_ref() == model));
        let (mut fits, mut largest) = (false, Resources::default());
        for shape in suitable {
            fits |= shape.allocatable.holds(request);
            largest = each_max(&largest, &shape.allocatable);
        }
        if !fits {
            return Err(Rejected::NodeTooSmall { request: *request, largest, model: model.cloned() });
        }
    }
    Ok(())
}

fn busy(demand: &Demand, gpus: &GpuUse, nodes: &Nodes) -> Rejected {
    let (free, most_gpu_milli) = free_of(nodes, gpus);
    Rejected::Busy {
        pods: pods(demand),
        request: total_request(demand, gpus),
        free,
        most_gpu_milli,
        pod_gpu_milli: gpus.requests.iter().map(|request| request.gpu_milli).max().unwrap_or_default(),
    }
}

/// Free on suitable Nodes: the sum, and the most GPUs on one. A job with GPUs is shown the Nodes with its model.
fn free_of(nodes: &Nodes, gpus: &GpuUse) -> (Resources, u64) {
    let model_of = |shape: u16| nodes.shapes.get(usize::from(shape)).and_then(|s| s.gpu_model.as_ref());
    let suitable =
        nodes.free.iter().filter(|n| gpus.model.is_none() || model_of(n.shape) == gpus.model.as_ref());
    suitable.fold((Resources::default(), 0), |(sum, most), node| {
        (sum.plus(&node.free), most.max(node.free.gpu_milli))
    })
}

fn pods(demand: &Demand) -> u32 {
    demand.spec.pod_sets.iter().fold(0, |sum: u32, set| sum.saturating_add(set.count))
}

fn total_request(demand: &Demand, gpus: &GpuUse) -> Resources {
    let sets = demand.spec.pod_sets.iter().zip(&gpus.requests);
    sets.fold(Resources::default(), |sum, (set, request)| sum.plus(&request.times(u64::from(set.count))))
}

fn each_max(a: &Resources, b: &Resources) -> Resources {
    Resources {
        gpu_milli: a.gpu_milli.max(b.gpu_milli),
        cpu_milli: a.cpu_milli.max(b.cpu_milli),
        memory_bytes: a.memory_bytes.max(b.memory_bytes),
    }
}

/// The GPU models of a member's Nodes, each once, in order.
fn models(nodes: &Nodes) -> Vec<GpuModel> {
    let has_nodes = nodes.shapes.iter().filter(|shape| shape.nodes > 0);
    let models: BTreeSet<_> = has_nodes.filter_map(|shape| shape.gpu_model.clone()).collect();
    models.into_iter().collect()
}
