//! The cycle: each waiting job, in order, gets the best place there is. And the explanation of one job by the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{Assignment, JobSpec, Key, MemberName, Nodes, Plan, PodClaim, Resources, TimeMs, Uid};

use crate::demand::Demand;
use crate::feasible::{Offer, could_ever_fit, gang, offers, room, soft_taints, takes_jobs};
use crate::fit::Fit;
use crate::order::{ClassId, Lane, Position};
use crate::packer::{Packer, Share};
use crate::rejected::Rejected;
use crate::report::{ClusterReport, PlacementReport, Reserved, Verdict, because};
use crate::reserving::{Kept, Outcome};
use crate::score::{Score, Standing};
use crate::turns::{Head, Scope, Turns};
use crate::typical::Typical;
use crate::view::{Member, View};

/// Jobs that one cycle places at most; the next one goes on.
const MAX_JOBS: usize = 1_000;
/// Nodes that one cycle looks at before it places no further job, so that it never holds the leader up for long.
const MAX_NODES_SEEN: usize = 2_000_000;
/// Claims that one cycle makes at most, which bounds the log entry.
const MAX_CLAIMS: usize = 10_000;

/// What a cycle decided.
#[derive(Clone, Debug, Default)]
pub struct PlacementPlan {
    /// To be committed. Empty if no job found a place.
    pub plan: Plan,
    /// Jobs that found no place, one for all that ask for the same; [`explain`] says why. A placed job says why in its
    /// assignment.
    pub unplaced: Vec<(Key, Arc<JobSpec>)>,
    /// Classes that found no place.
    pub(crate) settled: Vec<ClassId>,
    /// Those of them that no member could hold.
    pub(crate) hopeless: Vec<ClassId>,
    /// What it did to reservations.
    pub(crate) reserved: Outcome,
    /// Where the next cycle goes on, if this one had enough.
    pub(crate) resume: Option<Position>,
}

/// Places what waits. Tell [`View::note`] what came out. O((open classes + those a gain may be for) x members + jobs placed x
/// places looked at).
pub fn plan(view: &View, now: TimeMs) -> PlacementPlan {
    let mut cycle = Cycle::new(view, now);
    cycle.kept.refresh();
    let mut turns = Turns::new(view.queue(), view.candidates(now));
    let (mut looked_at, mut claims) = (0, 0);
    while let Some(head) = turns.next(view.queue(), |lane, position| cycle.may_still_hold(lane, position)) {
        if looked_at == MAX_JOBS || claims >= MAX_CLAIMS || cycle.nodes_seen >= MAX_NODES_SEEN {
            cycle.out.resume = Some(head.position);
            break;
        }
        looked_at += 1;
        match cycle.place(&head) {
            Some(assigned) => {
                claims += assigned;
                turns.placed(cycle.next_of_class(&head));
            }
            None => cycle.give_up(&head),
        }
    }
    cycle.finish()
}

/// Says where a job could run, at what price, and why not elsewhere, as if it were next. The job need not be stored.
pub fn explain(view: &View, job: &Key, spec: &Arc<JobSpec>, now: TimeMs) -> PlacementReport {
    Cycle::new(view, now).explain(job, spec)
}

/// A cycle under way: the view, less what it gave away.
struct Cycle<'a> {
    view: &'a View,
    now: TimeMs,
    typical: Typical,
    /// Nodes looked at, less what this cycle gave away.
    packers: BTreeMap<MemberName, Packer>,
    nodes_seen: usize,
    priced: BTreeMap<(ClassId, Scope), Option<Arc<Priced>>>,
    kept: Kept<'a>,
    out: PlacementPlan,
}

/// Where a job stands: what decides on which reserved Nodes it may go.
struct Stand<'a> {
    position: &'a Position,
    lane: &'a Lane,
}

/// What a class asks for, and the places that take jobs now and may run it, best first.
struct Priced {
    demand: Demand,
    places: Vec<Place>,
}

/// One way to run a job at one member.
struct Place {
    standing: Standing,
    member: MemberName,
    offer: Offer,
}

impl<'a> Cycle<'a> {
    fn new(view: &'a View, now: TimeMs) -> Cycle<'a> {
        let plan = Plan { based_on: view.revision(), ..Plan::default() };
        let out = PlacementPlan { plan, ..PlacementPlan::default() };
        let typical = view.mix().typical();
        let (packers, priced) = (BTreeMap::new(), BTreeMap::new());
        Cycle { view, now, typical, packers, nodes_seen: 0, priced, kept: Kept::new(view, now), out }
    }

    fn finish(mut self) -> PlacementPlan {
        self.out.reserved = self.kept.outcome(self.out.resume.as_ref());
        self.out
    }

    /// Places the job if it can be; gives the number of claims. Where room was gained is asked first: most find none. One
    /// that does is compared with all places, which its reason tells of.
    fn place(&mut self, head: &Head) -> Option<usize> {
        let class = self.view.queue().class(head.class)?;
        let stand = Stand { position: &head.position, lane: &class.lane };
        match head.scope {
            Scope::Nowhere => return None,
            Scope::Everywhere => {}
            Scope::Gained => {
                let gained = self.priced(head, Scope::Gained)?;
                self.choose(&gained, &stand)?;
            }
        }
        let uid: Uid = *class.jobs.get(&head.position)?;
        let priced = self.priced(head, Scope::Everywhere)?;
        let (index, claims) = self.choose(&priced, &stand)?;
        let count = claims.len();
        let assignment = self.assign(&priced, index, claims);
        self.out.plan.assignments.push((head.position.job.clone(), uid, assignment));
        Some(count)
    }

    fn priced(&mut self, head: &Head, scope: Scope) -> Option<Arc<Priced>> {
        let slot = (head.class, scope);
        if let Some(priced) = self.priced.get(&slot) {
            return priced.clone();
        }
        let class = self.view.queue().class(head.class)?;
        let priced = self.price(&class.namespace, &class.spec, scope).ok().map(Arc::new);
        self.priced.insert(slot, priced.clone());
        priced
    }

    fn next_of_class(&self, head: &Head) -> Option<Head> {
        use std::ops::Bound::{Excluded, Unbounded};
        let class = self.view.queue().class(head.class)?;
        let (position, _) = class.jobs.range((Excluded(&head.position), Unbounded)).next()?;
        Some(Head { position: position.clone(), ..head.clone() })
    }

    /// Whether a pod of a job in this lane, there or behind, may find room where some was gained.
    fn may_still_hold(&mut self, lane: &Lane, position: &Position) -> bool {
        let view = self.view;
        view.queue().gains().keys().any(|member| {
            let closed = self.kept.closed(member, position, lane);
            self.packer(member).is_some_and(|packer| packer.holds_anywhere(lane, &closed))
        })
    }

    fn give_up(&mut self, head: &Head) {
        if head.scope != Scope::Nowhere {
            self.out.settled.push(head.class);
            if let Some(class) = self.view.queue().class(head.class) {
                self.out.unplaced.push((head.position.job.clone(), Arc::clone(&class.spec)));
            }
        }
        if self.kept.may_reserve(head) && !self.reserve(head) {
            self.out.hopeless.push(head.class);
        }
    }

    /// Reserves Nodes of the cheapest member that could hold the job and has no reservation. `false` if no member could.
    fn reserve(&mut self, head: &Head) -> bool {
        let Some(priced) = self.priced(head, Scope::Everywhere) else { return false };
        let mut is_behind = false;
        for place in &priced.places {
            if self.kept.is_reserved(&place.member) {
                is_behind = true;
                continue;
            }
            let Some(nodes) = self.nodes_left(&place.member) else { continue };
            self.nodes_seen += nodes.free.len();
            if self.kept.reserve(head, &place.member, &nodes, (&priced.demand, &place.offer)) {
                return true;
            }
        }
        is_behind
    }

    /// The Nodes of a member, less what this cycle gave away.
    fn nodes_left(&mut self, member: &MemberName) -> Option<Nodes> {
        let mut nodes = self.view.member(member)?.cluster().status.nodes.clone();
        let packer = self.packer(member)?;
        for (number, node) in (0_u32..).zip(&mut nodes.free) {
            node.free = packer.room(number)?.free();
        }
        Some(nodes)
    }

    /// A class that found no place before can find one only where room was gained.
    fn price(&self, namespace: &str, spec: &Arc<JobSpec>, scope: Scope) -> Result<Priced, Rejected> {
        let demand = Demand::new(self.view, namespace, spec)?;
        let mut places = Vec::new();
        let members: Vec<(&MemberName, &Member)> = match scope {
            Scope::Everywhere => self.view.members().collect(),
            Scope::Gained | Scope::Nowhere => {
                let names = self.view.queue().gains().keys();
                names.filter_map(|name| Some((name, self.view.member(name)?))).collect()
            }
        };
        for (name, member) in members.into_iter().filter(|(_, member)| takes_jobs(member).is_ok()) {
            for offer in offers(self.view.prices(), &demand, member, self.now).unwrap_or_default() {
                places.push(Place {
                    standing: standing(&demand, member, &offer),
                    member: name.clone(),
                    offer,
                });
            }
        }
        places.sort_by(|a, b| (&a.standing, &a.member).cmp(&(&b.standing, &b.member)));
        Ok(Priced { demand, places })
    }

    /// The best place with room. Nodes are looked at only where the standing says that it is worth it.
    fn choose(&mut self, priced: &Priced, stand: &Stand<'_>) -> Option<(usize, Vec<PodClaim>)> {
        let mut best: Option<(Score, usize, Vec<PodClaim>)> = None;
        for (index, place) in priced.places.iter().enumerate() {
            if best.as_ref().is_some_and(|(score, ..)| place.standing > score.standing) {
                break;
            }
            let closed = self.kept.closed(&place.member, stand.position, stand.lane);
            let Some(packer) = self.packer(&place.member) else { continue };
            let nodes = packer.len();
            let fit = packer.fit(gang(&priced.demand, &place.offer.gpus), &closed);
            self.nodes_seen += nodes;
            let Some(fit) = fit else { continue };
            let score = score(place.standing.clone(), &place.member, &fit);
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                best = Some((score, index, fit.claims));
            }
        }
        best.map(|(_, index, claims)| (index, claims))
    }

    fn assign(&mut self, priced: &Priced, index: usize, claims: Vec<PodClaim>) -> Assignment {
        let place = &priced.places[index];
        let requests = place.offer.gpus.requests.clone();
        self.take(&place.member, &claims, &requests);
        let may: BTreeSet<&MemberName> = priced.places.iter().map(|place| &place.member).collect();
        let is_cheaper = |other: &&Place| other.standing < place.standing && other.member != place.member;
        let cheaper: Vec<_> =
            priced.places[..index].iter().filter(is_cheaper).map(|other| &other.member).collect();
        Assignment {
            member: place.member.clone(),
            claims,
            gpu_model: place.offer.gpus.model.clone(),
            requests,
            hourly: place.offer.quote.hourly,
            one_off: place.offer.quote.one_off(),
            policy: priced.demand.policy(),
            after: Vec::new(),
            because: because(&place.offer.quote, may.len(), &cheaper),
            data: place.offer.quote.data.clone(),
        }
    }

    fn packer(&mut self, member: &MemberName) -> Option<&mut Packer> {
        if !self.packers.contains_key(member) {
            let nodes = &self.view.member(member)?.cluster().status.nodes;
            self.packers.insert(member.clone(), Packer::new(nodes, &self.typical));
        }
        self.packers.get_mut(member)
    }

    fn take(&mut self, member: &MemberName, claims: &[PodClaim], requests: &[Resources]) {
        let Some(packer) = self.packer(member) else { return };
        for claim in claims {
            let share = Share { request: &requests[usize::from(claim.pod_set)], pods: claim.pods };
            assert!(packer.take(claim.node, share), "a fit claims only what is free");
        }
    }

    fn explain(&self, job: &Key, spec: &Arc<JobSpec>) -> PlacementReport {
        let held_by = self.view.queue().held_by(job);
        let demand = match held_by {
            Some(member) => Err(Rejected::AttemptNotOver(Arc::clone(&member.0))),
            None => Demand::new(self.view, &job.namespace, spec),
        };
        // One that is not stored would be the last.
        let last = Position { queued_at: self.now, job: job.clone() };
        let position = self.view.queue().position(job).unwrap_or(&last);
        let stand = Stand { position, lane: &Lane::of(spec) };
        let mut clusters: Vec<(Option<Score>, ClusterReport)> = match &demand {
            Ok(demand) => {
                let explained = |(name, member)| self.explain_at(demand, &stand, name, member);
                self.view.members().map(explained).collect()
            }
            Err(obstacle) => self.view.members().map(|(name, _)| refused(name, obstacle.clone())).collect(),
        };
        // A score is absent where the cluster does not take the job: those go last, by name.
        clusters.sort_by(|(a, x), (b, y)| (a.is_none(), a, &x.name).cmp(&(b.is_none(), b, &y.name)));
        let clusters: Vec<ClusterReport> = clusters.into_iter().map(|(_, report)| report).collect();
        let chosen =
            clusters.first().filter(|cluster| cluster.is_feasible()).map(|cluster| cluster.name.clone());
        let may_later = clusters.iter().any(|c| c.rejected.as_ref().is_some_and(Rejected::is_temporary));
        let verdict = match (&chosen, may_later || (demand.is_ok() && clusters.is_empty())) {
            (Some(_), _) => Verdict::Now,
            (None, true) => Verdict::Wait,
            (None, false) => Verdict::Never,
        };
        let (job, revision, reserved) = (job.clone(), self.view.revision(), self.reserved(job));
        PlacementReport { job, verdict, chosen, revision, obstacle: demand.err(), reserved, clusters }
    }

    /// What is reserved for a job, and what it waits for there.
    fn reserved(&self, job: &Key) -> Option<Reserved> {
        let (member, reservation) = self.view.reservations().of_job(job)?;
        let running = self.view.running().on(member, &reservation.nodes);
        Some(Reserved {
            member: member.clone(),
            nodes: reservation.nodes.len(),
            since: reservation.since,
            waits_for: running.map(|object| object.key.clone()).collect(),
            ends: reservation.ends,
        })
    }

    /// The member's best way to run the job: of those with room now, else of those it could ever hold.
    fn explain_at(
        &self,
        demand: &Demand,
        stand: &Stand<'_>,
        name: &MemberName,
        member: &Member,
    ) -> (Option<Score>, ClusterReport) {
        let offers = match offers(self.view.prices(), demand, member, self.now) {
            Ok(offers) => offers,
            Err(reason) => return refused(name, reason),
        };
        let judged = offers.into_iter().map(|offer| self.judge(demand, stand, (name, member), offer));
        // Of places that will do the best score; of others the one that waiting may open, then the best standing.
        let Some(Judged { offer, score, rejected, .. }) = judged.min_by(|a, b| a.rank().cmp(&b.rank()))
        else {
            return refused(name, Rejected::GpuModel { wanted: demand.models(), has: Vec::new() });
        };
        let report = ClusterReport {
            name: name.clone(),
            gpu_model: offer.gpus.model,
            quote: Some(offer.quote),
            rejected,
        };
        (score, report)
    }

    fn judge(
        &self,
        demand: &Demand,
        stand: &Stand<'_>,
        (name, member): (&MemberName, &Member),
        offer: Offer,
    ) -> Judged {
        let standing = standing(demand, member, &offer);
        let nodes = &member.cluster().status.nodes;
        let closed = self.kept.closed(name, stand.position, stand.lane);
        let fit = match room(demand, &offer.gpus, nodes, &self.typical, &closed) {
            Ok(fit) => takes_jobs(member).map(|()| fit),
            Err(busy) => {
                could_ever_fit(demand, &offer.gpus, nodes).and_then(|()| takes_jobs(member)).and(Err(busy))
            }
        };
        // Room that there is may be for someone else.
        let fit = fit.map_err(|reason| match self.kept.against(name, stand.position, stand.lane).next() {
            Some(other)
                if matches!(reason, Rejected::Busy { .. })
                    && room(demand, &offer.gpus, nodes, &self.typical, &BTreeSet::new()).is_ok() =>
            {
                let (job, nodes) = (other.position.job.clone(), other.nodes.len());
                Rejected::Reserved { job, nodes, ends: other.ends }
            }
            _ => reason,
        });
        let score = fit.as_ref().ok().map(|fit| score(standing.clone(), name, fit));
        Judged { offer, standing, score, rejected: fit.err() }
    }
}

/// One way to run a job at a member, and whether it will do now.
struct Judged {
    offer: Offer,
    standing: Standing,
    score: Option<Score>,
    rejected: Option<Rejected>,
}

impl Judged {
    fn rank(&self) -> (Option<bool>, Option<&Score>, &Standing) {
        (self.rejected.as_ref().map(|reason| !reason.is_temporary()), self.score.as_ref(), &self.standing)
    }
}

fn refused(name: &MemberName, reason: Rejected) -> (Option<Score>, ClusterReport) {
    (None, ClusterReport { name: name.clone(), gpu_model: None, quote: None, rejected: Some(reason) })
}

fn standing(demand: &Demand, member: &Member, offer: &Offer) -> Standing {
    Standing {
        choice: offer.gpus.rank,
        total: offer.quote.total,
        soft_taints: soft_taints(demand, member),
        class: member.cluster().spec.price_class,
    }
}

fn score(standing: Standing, member: &MemberName, fit: &Fit) -> Score {
    Score { standing, lost: fit.lost, left_in_pieces: fit.left_in_pieces, member: member.clone() }
}
