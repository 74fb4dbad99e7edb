//! Runs of game days: one at a time, by the plan that was agreed to, and always to an end with a report (L8).

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_model::{
    Answer, ApproveGameDay, AuditVerb, DocumentHash, EventSeverity, FaultOwner, FaultPhase, FaultStep,
    FaultTarget, GameDay, GameDayPhase, GameDayRun, Key, Object, Principal, ProbeGameDay, ProbeSample,
    ProbeState, Rejection, Ruling, SkipGameDay, StartFault, StartGameDay, Status, StepState, StopGameDay,
    TimeMs, Verdict,
};

use super::Step;
use super::faults::invalid;

impl Step<'_> {
    /// Begins a run, or says what is in the way, and audits it.
    pub(super) fn start_game_day(&mut self, start: &StartGameDay) -> Result<Answer, Rejection> {
        let key = Key::game_day(&start.day);
        let result = self.admit_day(start, &key).map(|by| self.begin_run(start, &key, by));
        self.audit(&start.principal, AuditVerb::Update, &key, result)
    }

    /// Gives who agreed to the plan.
    fn admit_day(&self, start: &StartGameDay, key: &Key) -> Result<Principal, Rejection> {
        let object = self.find(key)?;
        let day = object.game_day().ok_or_else(|| Rejection::NotFound(key.clone()))?;
        if object.meta.uid != start.uid {
            return Err(Rejection::UidChanged {
                key: key.clone(),
                expected: start.uid,
                found: object.meta.uid,
            });
        }
        self.chaos_is_allowed()?;
        if let Some(other) = self.running_day() {
            return Err(invalid(
                "run",
                format!("game day {} is under way, and two never overlap", other.name),
            ));
        }
        let by = self.agreed_by(start, day)?;
        start.plan.steps.iter().try_for_each(|step| self.check_still_there(step))?;
        Ok(by)
    }

    /// The game day that has a run under way.
    fn running_day(&self) -> Option<Key> {
        let days = self.state.list(&Key::game_day("").kind, None, None);
        let mut running = days.filter(|o| o.game_day().is_some_and(|day| day.status.run.is_some()));
        running.next().map(|object| object.key.clone())
    }

    /// An agreement binds the hash of the plan: a target that went or came since is another plan.
    fn agreed_by(&self, start: &StartGameDay, day: &GameDay) -> Result<Principal, Rejection> {
        let differs = |agreed: DocumentHash| {
            let why = format!(
                "the plan is {:032x} now, not {:032x}: its targets or the game day changed since the dry run; look at the plan and agree to the new one",
                start.hash.0, agreed.0
            );
            invalid("planHash", why)
        };
        match (start.approved, &day.status.approval) {
            (Some(hash), _) if hash == start.hash => Ok(start.principal.clone()),
            (Some(hash), _) => Err(differs(hash)),
            (None, None) => Err(invalid("approval", "nobody has agreed to a plan: `muster gameday approve`")),
            (None, Some(approval)) if approval.expires <= self.time => {
                Err(invalid("approval", format!("has expired at {}", approval.expires)))
            }
            (None, Some(approval)) if approval.plan == start.hash => Ok(approval.by.clone()),
            (None, Some(approval)) => Err(differs(approval.plan)),
        }
    }

    fn check_still_there(&self, step: &FaultStep) -> Result<(), Rejection> {
        let FaultTarget::Member(member) = &step.target else { return Ok(()) };
        match self.state.get(&Key::cluster(member.as_str())) {
            Some(object) if object.meta.uid == step.target_uid => Ok(()),
            _ => Err(invalid("plan", format!("member {member} is gone since the dry run"))),
        }
    }

    fn begin_run(&mut self, start: &StartGameDay, key: &Key, by: Principal) -> Answer {
        let now = self.time;
        let object = self.change_day(key, |day| {
            day.status.runs += 1;
            let mut run = GameDayRun {
                number: day.status.runs,
                started: now,
                by,
                seed: day.spec.seed,
                plan: Arc::new(start.plan.clone()),
                hash: start.hash,
                steps: vec![StepState::default(); start.plan.steps.len()],
                probes: Vec::new(),
                timeline: Vec::new(),
                phase: GameDayPhase::Running,
            };
            run.tell(now, format!("begun by {}", start.principal));
            day.status.run = Some(Box::new(run));
        });
        self.tell_day(key, "GameDayStarted", "A run has begun", EventSeverity::Normal);
        object.map_or(Answer::Done, Answer::Stored)
    }

    /// No fault outside the approved plan (S23), nor beyond the game day's limits (S24).
    pub(super) fn check_step(
        &self,
        start: &StartFault,
        (name, number, step): (&Arc<str>, u32, u32),
    ) -> Result<(), Rejection> {
        let object = self.find(&Key::game_day(name))?;
        let day = object.game_day().ok_or_else(|| Rejection::NotFound(object.key.clone()))?;
        let run = day.status.run.as_deref().filter(|run| run.number == number);
        let run = run.filter(|run| run.phase == GameDayPhase::Running);
        let run = run.ok_or_else(|| invalid("owner", "this run of the game day is over"))?;
        let at = usize::try_from(step).unwrap_or(usize::MAX);
        let planned = run.plan.steps.get(at);
        let is_planned = planned.is_some_and(|planned| {
            (planned.kind, &planned.target, planned.ttl)
                == (start.spec.kind, &start.spec.target, start.spec.ttl)
        });
        if !is_planned && !muster_model::mutant!(faults_outside_the_plan) {
            return Err(invalid("owner", "the approved plan has no such step"));
        }
        if run.steps.get(at).is_some_and(|step| step.fault.is_some()) {
            return Err(invalid("owner", "this step has begun already"));
        }
        self.check_day_limits(start, day)
    }

    fn check_day_limits(&self, start: &StartFault, day: &GameDay) -> Result<(), Rejection> {
        let open = self.state.open_faults().filter_map(|object| Some(object.fault()?.spec.target.clone()));
        let targets: BTreeSet<FaultTarget> = open.chain([start.spec.target.clone()]).collect();
        let members: Vec<_> = targets.iter().filter_map(FaultTarget::member).collect();
        let replicas = targets.len() - members.len();
        let gpus: u64 = members.iter().map(|member| self.gpus_of(member)).sum();
        let limits = &day.spec.limits;
        let over = |field, n: u64, limit: u64| {
            invalid(field, format!("{n} would be under a fault at one time, at most {limit} may"))
        };
        if members.len() as u64 > u64::from(limits.members) {
            return Err(over("limits.members", members.len() as u64, u64::from(limits.members)));
        }
        if replicas as u64 > u64::from(limits.replicas) {
            return Err(over("limits.replicas", replicas as u64, u64::from(limits.replicas)));
        }
        match limits.gpus {
            Some(limit) if gpus > limit => Err(over("limits.gpus", gpus, limit)),
            _ => Ok(()),
        }
    }

    fn gpus_of(&self, member: &muster_model::MemberName) -> u64 {
        let cluster = self.state.get(&Key::cluster(member.as_str())).and_then(|object| object.cluster());
        cluster.map_or(0, |c| c.status.nodes.gpus().iter().map(|(_, total, _)| total / 1000).sum())
    }

    /// A fault of a run was admitted.
    pub(super) fn step_admitted(&mut self, owner: &FaultOwner, id: &Arc<str>, expires: TimeMs) {
        let now = self.time;
        self.change_step(owner, |run, at| {
            run.steps[at].fault = Some(Arc::clone(id));
            run.steps[at].expires = Some(expires);
            let step = &run.plan.steps[at];
            let what = format!("{id}: {} of {} admitted", step.kind.word(), step.target.name());
            run.tell(now, what);
        });
    }

    /// A fault of a run became active or was ended; the last one ends a run that is being stopped.
    pub(super) fn step_moved(&mut self, object: &Object) {
        let Some(fault) = object.fault() else { return };
        let (now, id) = (self.time, &object.key.name);
        self.change_step(&fault.owner, |run, at| match &fault.phase {
            FaultPhase::Pending => {}
            FaultPhase::Active { since } => {
                run.steps[at].active = Some(*since);
                run.tell(now, format!("{id}: active"));
            }
            FaultPhase::Reverted(end) => {
                let said = if run.steps[at].reverted.is_none() { "over" } else { "confirmed by its host" };
                run.steps[at].reverted = Some(end.confirmed.unwrap_or(end.at));
                run.tell(now, format!("{id}: {said}"));
            }
        });
        if let FaultOwner::GameDay { day, .. } = &fault.owner {
            self.end_if_healed(&Key::game_day(day));
        }
    }

    fn change_step(&mut self, owner: &FaultOwner, change: impl FnOnce(&mut GameDayRun, usize)) {
        let FaultOwner::GameDay { day, run: number, step } = owner else { return };
        let at = usize::try_from(*step).unwrap_or(usize::MAX);
        self.change_day_run(&Key::game_day(day), Some(*number), |run| {
            if at < run.steps.len() {
                change(run, at);
            }
        });
    }

    /// Takes what the probes of a run saw.
    pub(super) fn probe_game_day(&mut self, probe: &ProbeGameDay) -> Answer {
        let now = self.time;
        self.change_day_run(&Key::game_day(&probe.day), Some(probe.run), |run| {
            probe.samples.iter().for_each(|sample| take_sample(run, sample, now));
        });
        Answer::Done
    }

    /// Ends a run with this ruling once nothing of it is left, and audits it.
    pub(super) fn stop_game_day(&mut self, stop: &StopGameDay) -> Result<Answer, Rejection> {
        let StopGameDay { day, run, ruling, principal } = stop;
        let key = Key::game_day(day);
        let result = self.find(&key).and_then(|_| {
            let stopped = self.stop_run(&key, *run, ruling);
            stopped.then_some(()).ok_or_else(|| invalid("run", "no such run is under way"))
        });
        self.audit(principal, AuditVerb::Update, &key, result)?;
        Ok(self.state.get(&key).map_or(Answer::Done, |object| Answer::Stored(Arc::clone(object))))
    }

    /// Ends every run, as somebody asked for.
    pub(super) fn abort_game_days(&mut self, principal: &Principal) {
        while let Some(key) = self.running_day() {
            let ruling =
                Ruling { verdict: Verdict::Aborted, reason: format!("{principal} stopped all chaos").into() };
            self.stop_run(&key, None, &ruling);
            // One whose hosts still have to take something back is still running.
            if self.running_day().as_ref() == Some(&key) {
                return;
            }
        }
    }

    fn stop_run(&mut self, key: &Key, number: Option<u32>, ruling: &Ruling) -> bool {
        let now = self.time;
        let mut faults = None;
        self.change_day_run(key, number, |run| {
            faults = Some(run.steps.iter().filter_map(|step| step.fault.clone()).collect::<Vec<_>>());
            if run.phase == GameDayPhase::Running {
                run.tell(now, format!("stops: {}: {}", ruling.verdict.word(), ruling.reason));
                run.phase = GameDayPhase::Stopping(ruling.clone());
            }
        });
        let Some(faults) = faults else { return false };
        faults.iter().for_each(|id| self.abort_fault(&Key::fault(id)));
        self.end_if_healed(key);
        true
    }

    fn end_if_healed(&mut self, key: &Key) {
        let now = self.time;
        let mut ended = None;
        self.change_day(key, |day| {
            let Some(run) = day.status.run.as_deref_mut() else { return };
            let GameDayPhase::Stopping(ruling) = run.phase.clone() else { return };
            if run.has_open_faults() {
                return;
            }
            run.tell(now, format!("ended: {}", ruling.verdict.word()));
            run.phase = GameDayPhase::Ended { at: now, ruling: ruling.clone() };
            day.status.last = day.status.run.take();
            ended = Some(ruling);
        });
        if let Some(ruling) = ended {
            let severity = match ruling.verdict {
                Verdict::Passed => EventSeverity::Normal,
                Verdict::Failed | Verdict::Aborted => EventSeverity::Warning,
            };
            let message = format!("{}: {}", ruling.verdict.word(), ruling.reason);
            self.tell_day(key, "GameDayEnded", &message, severity);
        }
    }

    /// Somebody agrees to a plan, and that is audited.
    pub(super) fn approve_game_day(&mut self, approve: &ApproveGameDay) -> Result<Answer, Rejection> {
        let ApproveGameDay { day, approval } = approve;
        let key = Key::game_day(day);
        let changed = self.change_day(&key, |day| day.status.approval = Some(approval.clone()));
        let result = changed.map(Answer::Stored).ok_or_else(|| Rejection::NotFound(key.clone()));
        self.audit(&approval.by, AuditVerb::Update, &key, result)
    }

    /// A time of the schedule passed without a run.
    pub(super) fn skip_game_day(&mut self, skip: &SkipGameDay) -> Answer {
        let SkipGameDay { day, skipped } = skip;
        let key = Key::game_day(day);
        self.change_day(&key, |day| day.status.skipped = Some(skipped.clone()));
        let message = format!("No run at {}: {}", skipped.at, skipped.reason);
        self.tell_day(&key, "GameDaySkipped", &message, EventSeverity::Warning);
        Answer::Done
    }

    fn tell_day(&mut self, key: &Key, reason: &str, message: &str, severity: EventSeverity) {
        if let Some(object) = self.state.get(key).cloned() {
            self.note(&object, reason, message, severity);
        }
    }

    fn change_day_run(&mut self, key: &Key, number: Option<u32>, change: impl FnOnce(&mut GameDayRun)) {
        self.change_day(key, |day| {
            let run = day.status.run.as_deref_mut();
            if let Some(run) = run.filter(|run| number.is_none_or(|number| run.number == number)) {
                change(run);
            }
        });
    }

    /// Stores a game day changed by `change`, if it is there and the change changes it.
    fn change_day(&mut self, key: &Key, change: impl FnOnce(&mut GameDay)) -> Option<Arc<Object>> {
        let there = self.state.get(key).cloned()?;
        let mut object = Object::clone(&there);
        let Status::GameDay(day) = &mut object.status else { return None };
        change(day);
        if object.status == there.status { Some(there) } else { Some(self.store(object)) }
    }
}

fn take_sample(run: &mut GameDayRun, sample: &ProbeSample, now: TimeMs) {
    let before = run.probes.iter().position(|probe| probe.kind == sample.kind);
    let at = before.unwrap_or(run.probes.len());
    if before.is_none() {
        run.probes.push(ProbeState { kind: sample.kind, samples: 0, failures: 0, at: now, holds: true });
    }
    let probe = &mut run.probes[at];
    let turned = probe.holds != sample.holds;
    probe.samples += 1;
    probe.failures += u32::from(!sample.holds);
    (probe.at, probe.holds) = (now, sample.holds);
    if turned {
        let kind = sample.kind.word();
        let what =
            if sample.holds { format!("{kind}: holds again") } else { format!("{kind}: {}", sample.seen) };
        run.tell(now, what);
    }
}
