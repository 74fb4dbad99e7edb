//! What one more member of a burst pool would cost, and what the queue would gain by it.
//!
//! The member is imagined, empty, and asked by the same rules as those that are there: what is counted here is what the
//! next cycle would place on it.

use muster_model::{
    BurstPoolSpec, Cluster, ClusterStatus, Key, MicroUsd, Nodes, PriceClass, Readiness, TimeMs,
};

use crate::demand::Demand;
use crate::feasible::{Offer, could_ever_fit, offers};
use crate::fit::fit;
use crate::order::Class;
use crate::rejected::Rejected;
use crate::view::{Member, View};

/// Classes of jobs that are looked at: past it the answer is a lower bound.
const MAX_CLASSES: usize = 256;
/// Jobs that are counted: nothing more is learned from further ones.
const MAX_JOBS: u64 = 1_000;

/// What the queue would gain by one more member of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolDemand {
    /// Jobs that wait and would fit it together, beyond those that the members on their way will take.
    pub jobs: u64,
    /// Those among them that no member could ever hold: they wait without end.
    pub homeless: u64,
    /// What an hour of waiting costs all of them together.
    pub wait_cost_per_hour: MicroUsd,
    /// The one that waits longest.
    pub first: Option<Key>,
}

/// What a member of this pool costs per hour.
///
/// # Errors
/// [`Rejected::NoPrice`] if a rented GPU has no price there.
pub fn pool_price(view: &View, pool: &BurstPoolSpec) -> Result<MicroUsd, Rejected> {
    let member = &pool.member;
    let mut total = MicroUsd(0);
    for shape in &pool.shapes {
        let Some(model) = &shape.gpu_model else { continue };
        let price = view.prices().compute(&member.location, model);
        let per_gpu = match member.price_class {
            PriceClass::Spot => price.and_then(|figure| figure.price.spot),
            PriceClass::OnDemand => price.map(|figure| figure.price.on_demand),
            PriceClass::OnPrem => Some(price.map(|figure| figure.price.on_demand).unwrap_or_default()),
        };
        let per_gpu = per_gpu.ok_or_else(|| Rejected::NoPrice {
            model: model.clone(),
            place: member.location.clone(),
            class: member.price_class,
        })?;
        let gpu_milli = i128::from(shape.allocatable.gpu_milli) * i128::from(shape.nodes);
        total += per_gpu.scaled(gpu_milli, 1000);
    }
    Ok(total)
}

/// What the queue would gain by one more member, while `coming` of the pool are on their way. Jobs count only when they
/// were looked at and found no place. O(classes x members + jobs that fit).
pub fn pool_demand(view: &View, pool: &BurstPoolSpec, coming: usize, now: TimeMs) -> PoolDemand {
    let status = ClusterStatus {
        joined_at: Some(now),
        ready: Readiness::Ready { since: now },
        nodes: Nodes::new(pool.shapes.clone()),
        can_fence: true,
        ..ClusterStatus::default()
    };
    let candidate = Member::imagined(Cluster { spec: pool.member.clone(), status });
    let room = vec![Nodes::new(pool.shapes.clone()); coming.saturating_add(1)];
    let mut packing = Packing { view, now, candidate, room, demand: PoolDemand::default(), first: None };
    view.queue().classes().take(MAX_CLASSES).for_each(|class| packing.add(class));
    let Packing { demand, first, .. } = packing;
    PoolDemand { first: first.map(|position| position.job), ..demand }
}

/// Jobs put on imagined members, those on their way first.
struct Packing<'a> {
    view: &'a View,
    now: TimeMs,
    candidate: Member,
    room: Vec<Nodes>,
    demand: PoolDemand,
    first: Option<crate::order::Position>,
}

impl Packing<'_> {
    fn add(&mut self, class: &Class) {
        let Ok(demand) = Demand::new(self.view, &class.namespace, &class.spec) else { return };
        let offers = offers(self.view.prices(), &demand, &self.candidate, self.now).unwrap_or_default();
        let Some(offer) = offers.into_iter().min_by_key(|offer| (offer.gpus.rank, offer.quote.total)) else {
            return;
        };
        let homeless = !self.has_home(&demand);
        for position in class.jobs.keys() {
            match self.put(&demand, &offer) {
                Some(0) if self.demand.jobs < MAX_JOBS => {
                    self.demand.jobs += 1;
                    self.demand.homeless += u64::from(homeless);
                    self.demand.wait_cost_per_hour += demand.wait_cost_per_hour;
                    if self.first.as_ref().is_none_or(|first| position < first) {
                        self.first = Some(position.clone());
                    }
                }
                Some(more) if more > 0 => {}
                // Jobs of a class are alike: where one does not fit, none does.
                _ => return,
            }
        }
    }

    /// Puts a job on the first member with room; says how many there are behind it.
    fn put(&mut self, demand: &Demand, offer: &Offer) -> Option<usize> {
        let gpus = &offer.gpus;
        let last = self.room.len().checked_sub(1)?;
        for (index, nodes) in self.room.iter_mut().enumerate() {
            let Some(claims) = fit(nodes, &demand.spec, gpus.model.as_ref(), &gpus.requests) else {
                continue;
            };
            for claim in claims {
                let taken = gpus.requests[usize::from(claim.pod_set)].times(u64::from(claim.pods));
                assert!(nodes.take(claim.node, &taken), "a fit claims only what is free");
            }
            return Some(last - index);
        }
        None
    }

    /// Whether a member that is there could hold such a job some day.
    fn has_home(&self, demand: &Demand) -> bool {
        let stays = |member: &Member| !member.cluster().status.draining;
        self.view.members().map(|(_, member)| member).filter(|member| stays(member)).any(|member| {
            let nodes = &member.cluster().status.nodes;
            let ways = offers(self.view.prices(), demand, member, self.now).unwrap_or_default();
            ways.iter().any(|offer| could_ever_fit(demand, &offer.gpus, nodes).is_ok())
        })
    }
}
