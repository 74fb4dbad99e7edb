//! Faults on purpose, and game days.

use muster_model::{
    AbortFaults, Approval, ApproveGameDay, ChaosStop, Drain, Fault, FaultEnd, FaultEndCause, FaultKind,
    FaultNews, FaultOwner, FaultPhase, FaultPlan, FaultSpec, FaultStep, FaultTarget, GameDay, GameDayFault,
    GameDayLimits, GameDayPhase, GameDayRun, GameDaySchedule, GameDaySpec, GameDayStatus, ProbeGameDay,
    ProbeKind, ProbeSample, ProbeState, ReportFault, ResumeChaos, Ruling, SkipGameDay, SkippedRun,
    StartFault, StartGameDay, StepState, StopGameDay, TargetChoice, TimeMs, TimelineEntry, Verdict,
};

use super::FieldError;
use super::durable::{Durable, message, value};
use super::pb::{self, fault, fault_owner, fault_target, game_day_run, report_fault, target_choice};

durable_enums! {
    FaultKind { Drain, Partition, Kill, Pause }
    FaultEndCause { Expired, Aborted, Host }
    ProbeKind { NoLostJob, NoDoubleRun, SubmitWorks }
    Verdict { Passed, Failed, Aborted }
}

durable_structs! {
    FaultSpec => FaultSpec { kind: kind, target: target required, ttl: ttl_ms }
    FaultEnd => FaultEnd {
        at: at_ms,
        active_since: active_since_ms,
        cause: cause,
        confirmed: confirmed_ms,
    }
    ChaosStop => ChaosStop { by: by, at: at_ms }
    StartFault => StartFault {
        id: id,
        uid: uid,
        spec: spec required,
        owner: owner required,
        principal: principal,
        replicas: replicas,
    }
    GameDaySpec => GameDaySpec {
        schedule: schedule,
        suspend: suspend,
        dry_run: dry_run,
        seed: seed,
        faults: faults,
        probes: probes,
        limits: limits required,
    }
    GameDaySchedule => GameDaySchedule { cron: cron, zone: zone }
    GameDayFault => GameDayFault {
        kind: kind,
        after: after_ms,
        ttl: ttl_ms,
        count: count,
        targets: targets required,
    }
    GameDayLimits => GameDayLimits {
        members: members,
        replicas: replicas,
        gpus: gpus,
        duration: duration_ms,
    }
    FaultPlan => FaultPlan { steps: steps }
    FaultStep => FaultStep {
        kind: kind,
        target: target required,
        target_uid: target_uid,
        after: after_ms,
        ttl: ttl_ms,
    }
    GameDay => GameDay { spec: spec required, status: status required }
    GameDayStatus => GameDayStatus {
        approval: approval,
        runs: runs,
        run: run,
        last: last,
        skipped: skipped,
    }
    Approval => Approval { plan: plan, by: by, expires: expires_ms }
    SkippedRun => SkippedRun { at: at_ms, reason: reason }
    StepState => StepState {
        fault: fault,
        active: active_ms,
        expires: expires_ms,
        reverted: reverted_ms,
    }
    ProbeState => ProbeState {
        kind: kind,
        samples: samples,
        failures: failures,
        at: at_ms,
        holds: holds,
    }
    TimelineEntry => TimelineEntry { at: at_ms, what: what }
    Ruling => Ruling { verdict: verdict, reason: reason }
    StartGameDay => StartGameDay {
        day: day,
        uid: uid,
        plan: plan required,
        hash: hash,
        approved: approved,
        principal: principal,
    }
    ProbeSample => ProbeSample { kind: kind, holds: holds, seen: seen }
    AbortFaults => AbortFaults { id: id, stop: stop, principal: principal }
    ResumeChaos => ResumeChaos { principal: principal }
    Drain => Drain { member: member, owner: owner, on: on, principal: principal }
    ProbeGameDay => ProbeGameDay { day: day, run: run, samples: samples }
    StopGameDay => StopGameDay { day: day, run: run, ruling: ruling required, principal: principal }
    ApproveGameDay => ApproveGameDay { day: day, approval: approval required }
    SkipGameDay => SkipGameDay { day: day, skipped: skipped required }
}

impl Durable for FaultTarget {
    type Form = pb::FaultTarget;

    fn form(&self) -> pb::FaultTarget {
        let target = match self {
            FaultTarget::Member(member) => fault_target::Target::Member(member.form()),
            FaultTarget::Replica(name) => fault_target::Target::Replica(name.form()),
        };
        pb::FaultTarget { target: Some(target) }
    }

    fn read(form: pb::FaultTarget) -> Result<FaultTarget, FieldError> {
        Ok(match form.target.ok_or_else(|| FieldError::missing("target"))? {
            fault_target::Target::Member(member) => FaultTarget::Member(value("member", member)?),
            fault_target::Target::Replica(name) => FaultTarget::Replica(value("replica", name)?),
        })
    }
}

impl Durable for FaultOwner {
    type Form = pb::FaultOwner;

    fn form(&self) -> pb::FaultOwner {
        let owner = match self {
            FaultOwner::Principal(principal) => fault_owner::Owner::Principal(principal.form()),
            FaultOwner::GameDay { day, run, step } => fault_owner::Owner::GameDay(fault_owner::OfGameDay {
                day: day.form(),
                run: *run,
                step: *step,
            }),
        };
        pb::FaultOwner { owner: Some(owner) }
    }

    fn read(form: pb::FaultOwner) -> Result<FaultOwner, FieldError> {
        Ok(match form.owner.ok_or_else(|| FieldError::missing("owner"))? {
            fault_owner::Owner::Principal(principal) => FaultOwner::Principal(value("principal", principal)?),
            fault_owner::Owner::GameDay(of) => {
                FaultOwner::GameDay { day: value("game_day.day", of.day)?, run: of.run, step: of.step }
            }
        })
    }
}

impl Durable for Fault {
    type Form = pb::Fault;

    fn form(&self) -> pb::Fault {
        let phase = match &self.phase {
            FaultPhase::Pending => fault::Phase::Pending(pb::FaultPending {}),
            FaultPhase::Active { since } => fault::Phase::Active(pb::FaultActive { since_ms: since.0 }),
            FaultPhase::Reverted(end) => fault::Phase::Reverted(end.form()),
        };
        pb::Fault {
            spec: Some(self.spec.form()),
            owner: Some(self.owner.form()),
            expires_ms: self.expires.form(),
            aborted_ms: self.aborted.form(),
            voters: self.voters,
            phase: Some(phase),
        }
    }

    fn read(form: pb::Fault) -> Result<Fault, FieldError> {
        let phase = match form.phase.ok_or_else(|| FieldError::missing("phase"))? {
            fault::Phase::Pending(pb::FaultPending {}) => FaultPhase::Pending,
            fault::Phase::Active(active) => FaultPhase::Active { since: TimeMs(active.since_ms) },
            fault::Phase::Reverted(end) => FaultPhase::Reverted(value("reverted", end)?),
        };
        Ok(Fault {
            spec: message("spec", form.spec)?,
            owner: message("owner", form.owner)?,
            expires: value("expires_ms", form.expires_ms)?,
            aborted: value("aborted_ms", form.aborted_ms)?,
            voters: form.voters,
            phase,
        })
    }
}

impl Durable for ReportFault {
    type Form = pb::ReportFault;

    fn form(&self) -> pb::ReportFault {
        let news = match self.news {
            FaultNews::Injecting => report_fault::News::Injecting(pb::FaultInjecting {}),
            FaultNews::Reverted { at } => report_fault::News::Reverted(pb::FaultReverted { at_ms: at.0 }),
        };
        pb::ReportFault {
            id: self.id.form(),
            uid: self.uid.form(),
            host: Some(self.host.form()),
            news: Some(news),
        }
    }

    fn read(form: pb::ReportFault) -> Result<ReportFault, FieldError> {
        let news = match form.news.ok_or_else(|| FieldError::missing("news"))? {
            report_fault::News::Injecting(pb::FaultInjecting {}) => FaultNews::Injecting,
            report_fault::News::Reverted(reverted) => FaultNews::Reverted { at: TimeMs(reverted.at_ms) },
        };
        Ok(ReportFault {
            id: value("id", form.id)?,
            uid: value("uid", form.uid)?,
            host: message("host", form.host)?,
            news,
        })
    }
}

impl Durable for TargetChoice {
    type Form = pb::TargetChoice;

    fn form(&self) -> pb::TargetChoice {
        let choice = match self {
            TargetChoice::Members { selector, names } => target_choice::Choice::Members(pb::ChosenMembers {
                selector: Some(selector.form()),
                names: names.form(),
            }),
            TargetChoice::Replicas { names } => {
                target_choice::Choice::Replicas(pb::ChosenReplicas { names: names.form() })
            }
        };
        pb::TargetChoice { choice: Some(choice) }
    }

    fn read(form: pb::TargetChoice) -> Result<TargetChoice, FieldError> {
        Ok(match form.choice.ok_or_else(|| FieldError::missing("choice"))? {
            target_choice::Choice::Members(members) => TargetChoice::Members {
                selector: message("members.selector", members.selector)?,
                names: value("members.names", members.names)?,
            },
            target_choice::Choice::Replicas(replicas) => {
                TargetChoice::Replicas { names: value("replicas.names", replicas.names)? }
            }
        })
    }
}

impl Durable for GameDayRun {
    type Form = pb::GameDayRun;

    fn form(&self) -> pb::GameDayRun {
        let phase = match &self.phase {
            GameDayPhase::Running => game_day_run::Phase::Running(pb::DayRunning {}),
            GameDayPhase::Stopping(ruling) => game_day_run::Phase::Stopping(ruling.form()),
            GameDayPhase::Ended { at, ruling } => {
                game_day_run::Phase::Ended(pb::DayEnded { at_ms: at.0, ruling: Some(ruling.form()) })
            }
        };
        pb::GameDayRun {
            number: self.number,
            started_ms: self.started.form(),
            by: self.by.form(),
            seed: self.seed,
            plan: Some(self.plan.form()),
            hash: self.hash.form(),
            steps: self.steps.form(),
            probes: self.probes.form(),
            timeline: self.timeline.form(),
            phase: Some(phase),
        }
    }

    fn read(form: pb::GameDayRun) -> Result<GameDayRun, FieldError> {
        let phase = match form.phase.ok_or_else(|| FieldError::missing("phase"))? {
            game_day_run::Phase::Running(pb::DayRunning {}) => GameDayPhase::Running,
            game_day_run::Phase::Stopping(ruling) => GameDayPhase::Stopping(value("stopping", ruling)?),
            game_day_run::Phase::Ended(ended) => {
                let ruling = message("ended.ruling", ended.ruling)?;
                GameDayPhase::Ended { at: TimeMs(ended.at_ms), ruling }
            }
        };
        Ok(GameDayRun {
            number: form.number,
            started: value("started_ms", form.started_ms)?,
            by: value("by", form.by)?,
            seed: form.seed,
            plan: message("plan", form.plan)?,
            hash: value("hash", form.hash)?,
            steps: value("steps", form.steps)?,
            probes: value("probes", form.probes)?,
            timeline: value("timeline", form.timeline)?,
            phase,
        })
    }
}
