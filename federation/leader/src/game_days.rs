//! The game-day timer: begins runs when their time comes, steps when theirs does, asks the probes, and stops a run when a
//! probe fails or says nothing.
//!
//! Nothing of it has to outlive the leader: the next one reads the run from the state and goes on. Times of schedules come
//! from the edge, which knows zones; one that passed while nobody led is not made up for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_chaos_plan::{Fleet, FleetMember, PlanError, judge, missing_probe, over, plan_hash, resolve};
use muster_core::State;
use muster_model::{
    Answer, Command, DocumentHash, DurationMs, Event, FaultOwner, FaultPlan, FaultSpec, GameDay,
    GameDayPhase, GameDayRun, Key, Kind, MemberName, Principal, ProbeGameDay, ProbeKind, ProbeSample,
    Readiness, Ruling, SkipGameDay, SkippedRun, StartFault, StartGameDay, StopGameDay, TimeMs, Uid, Verdict,
    kinds,
};

use crate::input::Outcome;
use crate::outbox::{Outbox, Purpose};
use crate::probes::Probes;

/// Between two samples of a run's probes.
const PROBE_EVERY: DurationMs = DurationMs::from_secs(1);
/// A probe that said nothing for so long counts as failing.
const PROBE_PATIENCE: DurationMs = DurationMs::from_secs(15);
/// Before what came to nothing is asked again.
const RETRY: DurationMs = DurationMs::from_secs(1);
/// How long the probes must hold after the last fault was taken back.
const SETTLE: DurationMs = DurationMs::from_secs(2);
/// Beyond the limit of a run's duration: for faults that are admitted late, and their end.
const DURATION_SLACK: DurationMs = DurationMs::from_secs(10);

/// What the edge knows and the state does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChaosFacts {
    /// Voting replicas of the hub.
    pub replicas: Vec<Arc<str>>,
    /// The next time of each schedule that is not held.
    pub next: BTreeMap<Arc<str>, TimeMs>,
    /// Whether a job could be submitted, if that was tried since the last facts.
    pub submitted: Option<Result<(), Arc<str>>>,
}

/// A game day's plan as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayPlan {
    /// Its steps.
    pub plan: FaultPlan,
    /// Its hash.
    pub hash: DocumentHash,
    /// Of the game day's object.
    pub uid: Uid,
    /// Whether it may run; else the first reason why not.
    pub verdict: Result<(), PlanError>,
}

/// The game-day timer.
#[derive(Clone, Debug)]
pub struct GameDays {
    replicas: Vec<Arc<str>>,
    next: BTreeMap<Arc<str>, TimeMs>,
    /// The game day that has a run under way.
    running: Option<Arc<str>>,
    /// Since when this leader looks at that run.
    since: TimeMs,
    probes: Probes,
    sampled_at: TimeMs,
    /// Proposals under way.
    open: BTreeSet<Asked>,
    /// Nothing is asked before then: what was asked last came to nothing.
    not_before: TimeMs,
}

/// What was asked of apply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// To begin a run by schedule, whose time this was.
    Start(Arc<str>, TimeMs),
    /// To admit a step's fault.
    Step(Arc<str>, u32, u32),
    /// To take samples.
    Probe,
    /// To stop a run.
    Stop,
    /// To note that a time passed without a run.
    Skip,
}

impl GameDays {
    /// The timer of a new leader.
    pub fn new(state: &State, now: TimeMs) -> GameDays {
        let days = state.list(&Kind::new(kinds::GAME_DAY), None, None);
        let running = days.filter(|o| o.game_day().is_some_and(|day| day.status.run.is_some()));
        let running = running.map(|object| Arc::clone(&object.key.name)).next();
        GameDays {
            replicas: Vec::new(),
            next: BTreeMap::new(),
            running,
            since: now,
            probes: Probes::new(state),
            sampled_at: now,
            open: BTreeSet::new(),
            not_before: now,
        }
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: &Event, state: &State, now: TimeMs) {
        self.probes.update(event);
        let Event::Changed { key, new, .. } = event else { return };
        if !key.is(kinds::GAME_DAY) {
            return;
        }
        let runs = new.as_ref().and_then(|object| object.game_day()).is_some_and(|d| d.status.run.is_some());
        match (runs, self.running.as_ref() == Some(&key.name)) {
            (true, false) => {
                self.running = Some(Arc::clone(&key.name));
                self.since = now;
                self.probes = Probes::new(state);
            }
            (false, true) => self.running = None,
            (true, true) | (false, false) => {}
        }
    }

    /// What members report, for the probe that looks for jobs that run twice.
    pub fn probes(&mut self) -> &mut Probes {
        &mut self.probes
    }

    /// Whether jobs shall be submitted to see if that works.
    pub fn wants_submissions(&self, state: &State) -> bool {
        self.run_of(state).is_some_and(|(day, _)| day.spec.probes.contains(&ProbeKind::SubmitWorks))
    }

    /// Takes in what the edge knows. Times that have come are acted on first.
    pub fn facts(&mut self, facts: ChaosFacts, state: &State, now: TimeMs, out: &mut Outbox) {
        self.replicas = facts.replicas;
        let due: Vec<_> =
            self.next.iter().filter(|(_, at)| **at <= now).map(|(day, at)| (Arc::clone(day), *at)).collect();
        due.into_iter().for_each(|(day, at)| self.begin(&day, at, state, out));
        self.next = facts.next;
        if let Some(submitted) = facts.submitted {
            self.probes.submitted(submitted);
        }
    }

    /// The plan of a game day as it is now.
    pub fn plan(&self, day: &str, state: &State) -> Option<Result<DayPlan, PlanError>> {
        let object = state.get(&Key::game_day(day))?;
        let spec = &object.game_day()?.spec;
        let fleet = fleet(state, &self.replicas);
        Some(resolve(spec, &fleet).map(|plan| DayPlan {
            hash: plan_hash(spec, &plan),
            verdict: over(&plan, &spec.limits, &fleet),
            uid: object.meta.uid,
            plan,
        }))
    }

    /// A time of a schedule has come.
    fn begin(&mut self, name: &Arc<str>, at: TimeMs, state: &State, out: &mut Outbox) {
        let Some(day) = state.get(&Key::game_day(name)).and_then(|object| object.game_day()) else { return };
        let Some(planned) = self.plan(name, state) else { return };
        let planned = planned.and_then(|planned| planned.verdict.clone().map(|()| planned));
        match planned {
            Err(error) => self.skip(name, at, error.to_string(), out),
            Ok(planned) if day.spec.dry_run => {
                let reason = format!(
                    "spec.dryRun is set; the plan is {:032x} with {} steps",
                    planned.hash.0,
                    planned.plan.steps.len()
                );
                self.skip(name, at, reason, out);
            }
            Ok(planned) => {
                let start = StartGameDay {
                    day: Arc::clone(name),
                    uid: planned.uid,
                    plan: planned.plan,
                    hash: planned.hash,
                    approved: None,
                    principal: Principal::new("system:hub"),
                };
                let asked = Asked::Start(Arc::clone(name), at);
                self.ask(asked, Command::StartGameDay(Box::new(start)), out);
            }
        }
    }

    fn skip(&mut self, day: &Arc<str>, at: TimeMs, reason: String, out: &mut Outbox) {
        let skipped = SkippedRun { at, reason: reason.into() };
        self.ask(Asked::Skip, Command::SkipGameDay(SkipGameDay { day: Arc::clone(day), skipped }), out);
    }

    fn ask(&mut self, asked: Asked, command: Command, out: &mut Outbox) {
        self.open.insert(asked.clone());
        out.propose(Purpose::GameDay(asked), command);
    }

    /// What apply said.
    pub fn done(
        &mut self,
        asked: &Asked,
        outcome: &Outcome,
        (state, now): (&State, TimeMs),
        out: &mut Outbox,
    ) {
        self.open.remove(asked);
        let rejection = match outcome {
            Outcome::Answered(Answer::Rejected(rejection)) => rejection,
            Outcome::Answered(_) => return,
            Outcome::Unknown => {
                self.not_before = now.plus(RETRY);
                return;
            }
        };
        match asked {
            Asked::Start(day, at) => self.skip(day, *at, rejection.to_string(), out),
            Asked::Step(day, run, step) => {
                let is_running = self.run_of(state).is_some_and(|(_, under_way)| under_way.number == *run);
                if is_running && self.running.as_ref() == Some(day) {
                    self.stop(Verdict::Failed, format!("step {step} was refused: {rejection}"), state, out);
                }
            }
            Asked::Probe | Asked::Stop | Asked::Skip => {}
        }
    }

    /// The run under way.
    fn run_of<'a>(&self, state: &'a State) -> Option<(&'a GameDay, &'a GameDayRun)> {
        let day = state.get(&Key::game_day(self.running.as_ref()?))?.game_day()?;
        day.status.run.as_deref().map(|run| (day, run))
    }

    /// Whatever is due of the run under way.
    pub fn run(&mut self, state: &State, now: TimeMs, out: &mut Outbox) {
        let Some((day, run)) = self.run_of(state) else { return };
        if run.phase != GameDayPhase::Running || now < self.not_before {
            return;
        }
        if let Some(ruling) = self.ruling(day, run, now) {
            return self.stop(ruling.verdict, ruling.reason, state, out);
        }
        self.begin_steps(run, now, out);
        self.sample(day, run, now, out);
    }

    /// Whether the run is to be stopped, and with which verdict.
    fn ruling(&self, day: &GameDay, run: &GameDayRun, now: TimeMs) -> Option<Ruling> {
        let failed = |reason: String| Some(Ruling { verdict: Verdict::Failed, reason: reason.into() });
        if let Some(probe) = run.probes.iter().find(|probe| !probe.holds) {
            return failed(format!("{} does not hold", probe.kind.word()));
        }
        let times = (self.since.max(run.started), now);
        if let Some(missing) = missing_probe(&day.spec, run, times, PROBE_PATIENCE) {
            return failed(format!("{} says nothing, which counts as failing", missing.0.word()));
        }
        if now > run.started.plus(day.spec.limits.duration).plus(DURATION_SLACK) {
            return failed("it took longer than spec.limits.duration".to_owned());
        }
        let last = run.steps.iter().filter_map(|step| step.reverted).max().unwrap_or(run.started);
        let settled = last.plus(SETTLE);
        let spoke = |kind| run.probes.iter().any(|probe| probe.kind == kind && probe.at >= settled);
        let sampled = day.spec.probes.iter().all(|kind| spoke(*kind));
        (run.is_done() && now >= settled && sampled).then(|| judge(&day.spec, run))
    }

    fn stop(&mut self, verdict: Verdict, reason: impl Into<Arc<str>>, state: &State, out: &mut Outbox) {
        let (Some(day), Some((_, run))) = (self.running.clone(), self.run_of(state)) else { return };
        if self.open.contains(&Asked::Stop) {
            return;
        }
        let ruling = Ruling { verdict, reason: reason.into() };
        let principal = Principal::new("system:hub");
        let stop = StopGameDay { day, run: Some(run.number), ruling, principal };
        self.ask(Asked::Stop, Command::StopGameDay(stop), out);
    }

    fn begin_steps(&mut self, run: &GameDayRun, now: TimeMs, out: &mut Outbox) {
        let Some(day) = self.running.clone() else { return };
        // Without them the quorum is not known.
        if self.replicas.is_empty() {
            return;
        }
        for (i, step) in run.plan.steps.iter().enumerate() {
            let number = u32::try_from(i).unwrap_or(u32::MAX);
            let asked = Asked::Step(Arc::clone(&day), run.number, number);
            let begun = run.steps[i].fault.is_some() || self.open.contains(&asked);
            if begun || run.started.plus(step.after) > now {
                continue;
            }
            let start = StartFault {
                uid: step_uid(run, number),
                id: fault_id(&day, run, number),
                spec: FaultSpec { kind: step.kind, target: step.target.clone(), ttl: step.ttl },
                owner: FaultOwner::GameDay { day: Arc::clone(&day), run: run.number, step: number },
                principal: run.by.clone(),
                replicas: self.replicas.clone(),
            };
            self.ask(asked, Command::StartFault(Box::new(start)), out);
        }
    }

    fn sample(&mut self, day: &GameDay, run: &GameDayRun, now: TimeMs, out: &mut Outbox) {
        if now.since(self.sampled_at) < PROBE_EVERY || self.open.contains(&Asked::Probe) {
            return;
        }
        self.sampled_at = now;
        let Some(name) = self.running.clone() else { return };
        let samples: Vec<ProbeSample> =
            day.spec.probes.iter().filter_map(|kind| self.probes.sample(*kind)).collect();
        if !samples.is_empty() {
            let probe = ProbeGameDay { day: name, run: run.number, samples };
            self.ask(Asked::Probe, Command::ProbeGameDay(probe), out);
        }
    }
}

/// The name of a step's fault. Faults stay for a day, and a game day that is made anew counts its runs from 1 again: so the
/// name ends with a part of the time when the run began.
fn fault_id(day: &str, run: &GameDayRun, step: u32) -> Arc<str> {
    format!("{day}-{}-{step}-{:06x}", run.number, run.started.0 & 0xff_ffff).into()
}

/// The uid of a step's fault: the same whoever proposes it.
fn step_uid(run: &GameDayRun, step: u32) -> Uid {
    let mixed =
        run.hash.0 ^ (u128::from(run.started.0) << 64) ^ (u128::from(run.number) << 32) ^ u128::from(step);
    Uid(mixed & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62)
}

/// The fleet as the state has it.
fn fleet(state: &State, replicas: &[Arc<str>]) -> Fleet {
    let members = state.list(&Kind::new(kinds::CLUSTER), None, None).filter_map(|object| {
        let cluster = object.cluster()?;
        cluster.status.joined_at?;
        let gpus = cluster.status.nodes.gpus().iter().map(|(_, total, _)| total / 1000).sum();
        let member = FleetMember {
            uid: object.meta.uid,
            labels: cluster.spec.labels.clone(),
            is_ready: matches!(cluster.status.ready, Readiness::Ready { .. }),
            gpus,
        };
        Some((MemberName(Arc::clone(&object.key.name)), member))
    });
    Fleet { members: members.collect(), replicas: replicas.to_vec() }
}
