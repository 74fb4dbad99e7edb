//! The leader: what it knows, and what each input does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_chaos_plan::PlanError;
use muster_core::State;
use muster_model::{
    Answer, Cluster, Command, Epoch, Event, JobSpec, Key, MemberName, Object, Readiness, TimeMs, ToMember,
    kinds,
};
use muster_placement::{PlacementReport, View, explain};

use crate::breaker::Breaker;
use crate::burst::{BurstDesk, PoolOutlook};
use crate::config::Config;
use crate::drains::Drains;
use crate::fences::FenceRetries;
use crate::game_days::{DayPlan, GameDays};
use crate::grants::Grants;
use crate::housekeeping::Housekeeping;
use crate::input::{Action, Input, Outcome, SessionId};
use crate::lease::{Lease, LeaseTimes};
use crate::outbox::{Outbox, Purpose};
use crate::planner::Planner;
use crate::rounds::Rounds;
use crate::session::{Session, Sessions};

/// What only a leader decides. Made at the election, dropped with it.
#[derive(Clone, Debug)]
pub struct Leader {
    pub(crate) config: Config,
    pub(crate) term: u64,
    /// The latest time given. Never goes back, whatever the driver does.
    pub(crate) now: TimeMs,
    pub(crate) state: Arc<State>,
    /// Whether the first proposal of the term was applied: before, the state may lack what earlier leaders committed.
    progress: Progress,
    pub(crate) out: Outbox,
    pub(crate) rounds: Rounds,
    pub(crate) sessions: Sessions,
    /// Members that have joined.
    pub(crate) members: BTreeSet<MemberName>,
    /// Those that hold a lease.
    pub(crate) leases: BTreeMap<MemberName, Lease>,
    pub(crate) breaker: Breaker,
    /// Changes of readiness under way, or not to be proposed again before then.
    pub(crate) readiness: BTreeMap<MemberName, Option<TimeMs>>,
    pub(crate) grants: Grants,
    pub(crate) fences: FenceRetries,
    planner: Planner,
    burst: BurstDesk,
    housekeeping: Housekeeping,
    drains: Drains,
    pub(crate) days: GameDays,
}

/// How far the leader is into its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The first proposal is not made, or came to nothing and is made again then.
    Elected {
        propose_at: TimeMs,
    },
    CatchingUp,
    CaughtUp,
}

impl Leader {
    /// A leader of this term. All clocks start now: each member keeps its lease, each attempt its full time (L2).
    pub fn new(term: u64, state: &Arc<State>, now: TimeMs, config: Config) -> Leader {
        let mut leader = Leader {
            config,
            term,
            now,
            state: Arc::clone(state),
            progress: Progress::Elected { propose_at: now },
            out: Outbox::default(),
            rounds: Rounds::default(),
            sessions: Sessions::default(),
            members: BTreeSet::new(),
            leases: BTreeMap::new(),
            breaker: Breaker::default(),
            readiness: BTreeMap::new(),
            grants: Grants::default(),
            fences: FenceRetries::default(),
            planner: Planner::new(View::new(state.objects(), state.revision())),
            burst: BurstDesk::default(),
            housekeeping: Housekeeping::default(),
            drains: Drains::default(),
            days: GameDays::new(state, now),
        };
        for object in state.objects() {
            leader.inherit(object);
        }
        leader
    }

    /// Takes one input; gives what to do, in order.
    pub fn step(&mut self, input: Input, now: TimeMs) -> Vec<Action> {
        self.now = self.now.max(now);
        if matches!(self.progress, Progress::Elected { propose_at } if propose_at <= self.now) {
            self.progress = Progress::CatchingUp;
            self.out.propose(Purpose::Opening, Command::Tick);
        }
        match input {
            Input::StateChanged { state, events } => self.state_changed(state, &events),
            Input::SessionOpened { member, session, certificate_from } => {
                self.session_opened(session, member, certificate_from);
            }
            Input::FromMember { session, message } => self.message_arrived(session, message),
            Input::SessionClosed { session } => self.session_closed(session),
            Input::ReadDone { round } => {
                self.rounds.done(round).iter().for_each(|beat| self.acknowledge(beat));
            }
            Input::ProposalDone { id, outcome } => {
                if let Some(purpose) = self.out.done(id) {
                    self.proposal_done(purpose, &outcome);
                }
            }
            Input::ChaosFacts(facts) if self.progress == Progress::CaughtUp => {
                self.days.facts(facts, &self.state, self.now, &mut self.out);
            }
            Input::ChaosFacts(_) => {}
            Input::Tick => self.tick(),
        }
        self.follow_up();
        self.out.take()
    }

    /// The term it leads in.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Where a job of this spec could run now, at what price, and why not elsewhere. The job need not be stored.
    pub fn explain(&self, job: &Key, spec: &Arc<JobSpec>, now: TimeMs) -> PlacementReport {
        explain(&self.planner.view, job, spec, now)
    }

    /// The same of a stored job. None if it is not there.
    pub fn explain_stored(&self, job: &Key, now: TimeMs) -> Option<PlacementReport> {
        let spec = &self.state.get(job)?.job()?.spec;
        Some(self.explain(job, spec, now))
    }

    /// The jobs that wait for a place, the next one first.
    pub fn waiting_in_order(&self) -> impl Iterator<Item = &Key> {
        self.planner.view.waiting_in_order()
    }

    /// A waiting job's number in the queue, from 1. O(jobs ahead).
    pub fn position(&self, job: &Key) -> Option<u64> {
        self.planner.view.position(job)
    }

    /// How many jobs wait for a place.
    pub fn waiting(&self) -> usize {
        self.planner.view.waiting()
    }

    /// What the queue says to a burst pool now, and what the pool says to it. None if it is not there.
    pub fn pool_outlook(&self, pool: &Key) -> Option<PoolOutlook> {
        let object = self.state.get(pool)?;
        Some(self.burst.outlook(object, &self.planner.view, self.now, &self.config))
    }

    /// A member's lease, if it holds one.
    pub fn lease(&self, member: &MemberName) -> Option<LeaseTimes> {
        self.leases.get(member).map(|lease| lease.times(&self.config))
    }

    /// The accepted session of a member: where its logs are asked for.
    pub fn session_of(&self, member: &MemberName) -> Option<SessionId> {
        self.sessions.of_member(member)
    }

    /// Whether so much of the fleet fell silent at once that the hub itself is suspected.
    pub fn breaker_is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// The plan of a game day as it is now. None if there is no such game day.
    pub fn day_plan(&self, day: &str) -> Option<Result<DayPlan, PlanError>> {
        self.days.plan(day, &self.state)
    }

    /// Whether a run wants to know if jobs can be submitted.
    pub fn wants_submissions(&self) -> bool {
        self.days.wants_submissions(&self.state)
    }

    /// Takes over what an earlier leader granted.
    fn inherit(&mut self, object: &Arc<Object>) {
        if let Some(cluster) = object.cluster() {
            self.inherit_member(object, cluster);
        }
        if object.burst_pool().is_some() {
            self.burst.pool_changed(&object.key, true);
        }
        if let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) {
            let not_reset = muster_model::mutant!(timers_not_reset_on_election);
            let seen = if not_reset { attempt.granted_at } else { self.now };
            self.grants.set(&object.key, Some(attempt), seen, &self.config);
        }
    }

    fn inherit_member(&mut self, object: &Object, cluster: &Cluster) {
        let member = MemberName(Arc::clone(&object.key.name));
        self.drains.set(&member, !cluster.status.drains.is_empty());
        self.members.insert(member.clone());
        let incarnation = cluster.status.incarnation.clone();
        let heard = self.now;
        match cluster.status.ready {
            Readiness::Unknown => {}
            Readiness::Lapsed { .. } => drop(self.leases.insert(member, Lease { incarnation: None, heard })),
            Readiness::Ready { since } => {
                self.breaker.joins(&member);
                let not_reset = muster_model::mutant!(timers_not_reset_on_election);
                let heard = if not_reset { since } else { heard };
                self.leases.insert(member, Lease { incarnation, heard });
            }
        }
    }

    fn state_changed(&mut self, state: Arc<State>, events: &[Event]) {
        self.state = state;
        let mut touched = BTreeSet::new();
        for event in events {
            self.planner.update(event);
            self.days.update(event, &self.state, self.now);
            if let Event::Changed { key, new, .. } = event {
                self.object_changed(key, new.as_deref(), &mut touched);
            }
        }
        self.days.probes().stored(&self.state);
        self.tell_changes(&touched);
    }

    fn object_changed(
        &mut self,
        key: &Key,
        new: Option<&Object>,
        touched: &mut BTreeSet<(MemberName, Epoch)>,
    ) {
        match &*key.kind.0 {
            kinds::JOB => {
                self.drains.job_changed();
                let attempt = new.and_then(|object| object.job()?.attempt.as_deref());
                if let Some(attempt) = attempt {
                    self.burst.job_placed(&attempt.assignment.member);
                }
                touched.extend(self.grants.set(key, attempt, self.now, &self.config));
            }
            kinds::BURST_POOL => self.burst.pool_changed(key, new.is_some()),
            kinds::DATASET => self.dataset_changed(),
            kinds::TRANSFER => self.transfer_changed(key),
            kinds::CLUSTER => self.member_changed(MemberName(Arc::clone(&key.name)), new),
            _ => {}
        }
    }

    fn transfer_changed(&mut self, key: &Key) {
        if let Some((_, target)) = key.name.split_once(':') {
            self.dataset_changed();
            self.tell_transfers(&MemberName::new(target));
        }
    }

    /// A member may have been revoked or deleted: its streams end at once (S20).
    fn member_changed(&mut self, member: MemberName, new: Option<&Object>) {
        let Some(cluster) = new.and_then(Object::cluster) else {
            for id in self.sessions.ids_of(&member) {
                self.close(id, "the Cluster was deleted");
            }
            self.breaker.leaves(&member);
            self.drains.set(&member, false);
            self.leases.remove(&member);
            self.members.remove(&member);
            return;
        };
        for id in self.sessions.ids_of(&member) {
            let revoked = |session: &Session| !cluster.status.admits_certificate(session.certificate_from);
            if self.sessions.get(id).is_some_and(revoked) {
                self.close(id, "the certificate was revoked: join again with a new token");
            }
        }
        self.drains.set(&member, !cluster.status.drains.is_empty());
        self.tell_transfers(&member);
        self.members.insert(member);
    }

    /// Tells live sessions what changed of their desired sets, one message each.
    fn tell_changes(&mut self, touched: &BTreeSet<(MemberName, Epoch)>) {
        let mut members: BTreeMap<&MemberName, Vec<Epoch>> = BTreeMap::new();
        for (member, epoch) in touched {
            members.entry(member).or_default().push(*epoch);
        }
        for (member, epochs) in members {
            self.tell_member(member, &epochs);
        }
    }

    fn tell_member(&mut self, member: &MemberName, epochs: &[Epoch]) {
        let Some(id) = self.sessions.of_member(member) else { return };
        let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) else { return };
        let incarnation = greeted.incarnation.clone();
        let Some(told) = greeted.told() else { return };
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for epoch in epochs {
            match self.grants.get(member, *epoch) {
                Some(grant) if grant.is_wanted_of(&incarnation) => {
                    changed.extend(self.state.get(&grant.job).and_then(|job| told.tell(job, self.now)));
                }
                None if told.forget(*epoch) => gone.push(*epoch),
                Some(_) | None => {}
            }
        }
        if !changed.is_empty() || !gone.is_empty() {
            self.out.send(id, ToMember::Delta { revision: self.state.revision(), changed, gone });
        }
    }

    fn proposal_done(&mut self, purpose: Purpose, outcome: &Outcome) {
        let is_known = matches!(outcome, Outcome::Answered(_));
        match purpose {
            Purpose::Opening if is_known => self.progress = Progress::CaughtUp,
            Purpose::Opening => {
                self.progress = Progress::Elected { propose_at: self.now.plus(self.config.retry) };
            }
            Purpose::Burst(pool) => self.burst.done(&pool, outcome, self.now, &self.config),
            Purpose::Plan => self.planner.done(outcome, self.now, &self.config),
            Purpose::Expire => self.housekeeping.expire_done(),
            Purpose::Collect => self.housekeeping.collect_done(),
            Purpose::Ready(member) if is_known => drop(self.readiness.remove(&member)),
            Purpose::Ready(member) => {
                self.readiness.insert(member, Some(self.now.plus(self.config.retry)));
            }
            Purpose::Fence(member, epochs) if !is_known => {
                self.fences.again_at(self.now.plus(self.config.retry), member, epochs);
            }
            Purpose::Fence(..) => {}
            Purpose::Reports(id) => self.reports_done(id, is_known),
            Purpose::Capacity(id) => self.capacity_done(id, outcome),
            Purpose::Evict => self.drains.done(is_known, self.now, &self.config),
            Purpose::Data(id) => self.data_done(id, is_known),
            Purpose::GameDay(asked) => {
                let seen = (&*self.state, self.now);
                self.days.done(&asked, outcome, seen, &mut self.out);
            }
        }
    }

    fn reports_done(&mut self, id: SessionId, is_known: bool) {
        if is_known {
            self.reports_taken(id);
            self.propose_for(id);
        } else if let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) {
            // Proposed again at the next tick: at once might be in vain again, without end.
            greeted.reports.failed();
        }
    }

    fn data_done(&mut self, id: SessionId, is_known: bool) {
        if let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) {
            greeted.data.done();
        }
        if is_known {
            self.propose_for(id);
        }
    }

    fn capacity_done(&mut self, id: SessionId, outcome: &Outcome) {
        if let Some(greeted) = self.sessions.get_mut(id).and_then(Session::greeted) {
            greeted.capacity.done(matches!(outcome, Outcome::Answered(Answer::Rejected(_))));
        }
        if matches!(outcome, Outcome::Answered(_)) {
            self.propose_for(id);
        }
    }

    fn tick(&mut self) {
        if self.progress == Progress::CaughtUp {
            self.watch();
        }
        for id in self.sessions.accepted() {
            self.propose_for(id);
        }
    }

    /// What may be due after any input.
    fn follow_up(&mut self) {
        if self.rounds.wants_round(self.now, self.config.read_timeout) {
            let round = self.out.start_read();
            self.rounds.begin(round, self.now);
        }
        if self.progress == Progress::CaughtUp {
            self.planner.run(self.now, &mut self.out);
            self.burst.run(&self.state, &self.planner, (self.now, &self.config), &mut self.out);
            self.housekeeping.run(&self.state, self.now, &self.config, &mut self.out);
            self.drains.run(&self.state, self.now, &mut self.out);
            self.days.run(&self.state, self.now, &mut self.out);
        }
    }
}
