//! The cycle: each waiting job, in order, gets the best place there is. And the explanation of one job by the same rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{Assignment, JobSpec, Key, MemberName, Nodes, Plan, PodClaim, Resources, TimeMs, Uid};

use crate::demand::Demand;
use crate::feasible::{Offer, could_ever_fit, gang, offers, room, soft_taints, takes_jobs};
use crate::fit::Fit;
use crate::order::{ClassId, Position};
use crate::packer::{Packer, Share};
use crate::rejected::Rejected;
use crate::report::{ClusterReport, PlacementReport, Verdict, because};
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
    /// Where the next cycle goes on, if this one had enough.
    pub(crate) resume: Option<Position>,
}

/// Places what waits. Tell [`View::note`] what came out. O((open classes + those a gain may be for) x members + jobs placed x
/// places looked at).
pub fn plan(view: &View, now: TimeMs) -> PlacementPlan {
    let mut cycle = Cycle::new(view, now);
    let mut turns = Turns::new(view.queue());
    let (mut looked_at, mut claims) = (0, 0);
    while let Some(head) = turns.next(view.queue()) {
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
            None => {
                turns.gave_up(|lane| cycle.may_still_hold(lane));
                cycle.give_up(&head);
            }
        }
    }
    cycle.out
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
    out: PlacementPlan,
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
        Cycle { view, now, typical, packers: BTreeMap::new(), nodes_seen: 0, priced: BTreeMap::new(), out }
    }

    /// Places the job if it can be; gives the number of claims. Where room was gained is asked first: most find none. One
    /// that does is compared with all places, which its reason tells of.
    fn place(&mut self, head: &Head) -> Option<usize> {
        if head.scope == Scope::Gained {
            let gained = self.priced(head, Scope::Gained)?;
            self.choose(&gained)?;
        }
        let class = self.view.queue().class(head.class)?;
        let uid: Uid = *class.jobs.get(&head.position)?;
        let priced = self.priced(head, Scope::Everywhere)?;
        let (index, claims) = self.choose(&priced)?;
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

    /// Whether a pod of this lane may still find room where some was gained.
    fn may_still_hold(&mut self, lane: &Resources) -> bool {
        let members: Vec<MemberName> = self.view.queue().gains().keys().cloned().collect();
        members
            .iter()
            .filter_map(|member| self.packer(member).map(|packer| packer.holds_anywhere(lane)))
            .any(|it| it)
    }

    fn give_up(&mut self, head: &Head) {
        self.out.settled.push(head.class);
        if let Some(class) = self.view.queue().class(head.class) {
            self.out.unplaced.push((head.position.job.clone(), Arc::clone(&class.spec)));
        }
    }

    /// A class that found no place before can find one only where room was gained.
    fn price(&self, namespace: &str, spec: &Arc<JobSpec>, scope: Scope) -> Result<Priced, Rejected> {
        let demand = Demand::new(self.view, namespace, spec)?;
        let mut places = Vec::new();
        let members: Vec<(&MemberName, &Member)> = match scope {
            Scope::Everywhere => self.view.members().collect(),
            Scope::Gained => {
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
    fn choose(&mut self, priced: &Priced) -> Option<(usize, Vec<PodClaim>)> {
        let mut best: Option<(Score, usize, Vec<PodClaim>)> = None;
        for (index, place) in priced.places.iter().enumerate() {
            if best.as_ref().is_some_and(|(score, ..)| place.standing > score.standing) {
                break;
            }
            let Some(packer) = self.packer(&place.member) else { continue };
            let nodes = packer.len();
            let fit = packer.fit(gang(&priced.demand, &place.offer.gpus), &BTreeSet::new());
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
        let mut clusters: Vec<(Option<Score>, ClusterReport)> = match &demand {
            Ok(demand) => {
                self.view.members().map(|(name, member)| self.explain_at(demand, name, member)).collect()
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
        let (job, revision) = (job.clone(), self.view.revision());
        PlacementReport { job, verdict, chosen, revision, obstacle: demand.err(), clusters }
    }

    /// The member's best way to run the job: of those with room now, else of those it could ever hold.
    fn explain_at(
        &self,
        demand: &Demand,
        name: &MemberName,
        member: &Member,
    ) -> (Option<Score>, ClusterReport) {
        let offers = match offers(self.view.prices(), demand, member, self.now) {
            Ok(offers) => offers,
            Err(reason) => return refused(name, reason),
        };
        let nodes = &member.cluster().status.nodes;
        let judged = offers.into_iter().map(|offer| self.judge(demand, name, member, nodes, offer));
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
        name: &MemberName,
        member: &Member,
        nodes: &Nodes,
        offer: Offer,
    ) -> Judged {
        let standing = standing(demand, member, &offer);
        let fit = match room(demand, &offer.gpus, nodes, &self.typical) {
            Ok(fit) => takes_jobs(member).map(|()| fit),
            Err(busy) => {
                could_ever_fit(demand, &offer.gpus, nodes).and_then(|()| takes_jobs(member)).and(Err(busy))
            }
        };
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
