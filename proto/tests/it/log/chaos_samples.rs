//! Samples of faults and game days, with every field off its default.

use std::sync::Arc;

use muster_model::*;

fn at(seconds: u64) -> TimeMs {
    TimeMs(1_795_171_445_000 + seconds * 1000)
}

fn uid(last: u8) -> Uid {
    Uid(0x0a1b_2c3d_0000_4000_8000_0000_0000_0000 | u128::from(last))
}

fn hash(last: u8) -> DocumentHash {
    DocumentHash(0xfeed_0000_0000_0000_0000_0000_0000_0000 | u128::from(last))
}

fn member() -> FaultTarget {
    FaultTarget::Member(MemberName::new("onprem-a"))
}

fn spec() -> FaultSpec {
    FaultSpec { kind: FaultKind::Partition, target: member(), ttl: DurationMs(60_000) }
}

fn owner() -> FaultOwner {
    FaultOwner::GameDay { day: "sites".into(), run: 2, step: 1 }
}

/// A fault that somebody aborted.
pub fn fault() -> Fault {
    Fault {
        spec: spec(),
        owner: owner(),
        expires: at(60),
        aborted: Some(at(5)),
        voters: 3,
        phase: FaultPhase::Reverted(FaultEnd {
            at: at(6),
            active_since: Some(at(1)),
            cause: FaultEndCause::Aborted,
            confirmed: Some(at(7)),
        }),
    }
}

/// The lever.
pub fn stop() -> ChaosStop {
    ChaosStop { by: Principal::new("ada"), at: at(9) }
}

/// What a game day does.
pub fn day_spec() -> GameDaySpec {
    let selector = Selector(vec![Requirement::In("site".into(), vec!["a".into()])]);
    let fault = |kind, targets| GameDayFault {
        kind,
        after: DurationMs(5_000),
        ttl: DurationMs(60_000),
        count: 2,
        targets,
    };
    GameDaySpec {
        schedule: Some(GameDaySchedule { cron: "0 10 * * MON".into(), zone: "Europe/Berlin".into() }),
        suspend: true,
        dry_run: true,
        seed: 7,
        faults: vec![
            fault(
                FaultKind::Drain,
                TargetChoice::Members { selector, names: vec![MemberName::new("onprem-a")] },
            ),
            fault(FaultKind::Pause, TargetChoice::Replicas { names: vec!["controller-1".into()] }),
        ],
        probes: ProbeKind::ALL.to_vec(),
        limits: GameDayLimits { members: 1, replicas: 2, gpus: Some(16), duration: DurationMs(600_000) },
    }
}

fn plan() -> FaultPlan {
    let step = |kind, target, target_uid| FaultStep {
        kind,
        target,
        target_uid,
        after: DurationMs(5_000),
        ttl: DurationMs(60_000),
    };
    let replica = FaultTarget::Replica("controller-1".into());
    FaultPlan {
        steps: vec![step(FaultKind::Partition, member(), uid(9)), step(FaultKind::Kill, replica, Uid(0))],
    }
}

fn run(phase: GameDayPhase) -> GameDayRun {
    GameDayRun {
        number: 2,
        started: at(0),
        by: Principal::new("ada"),
        seed: 7,
        plan: Arc::new(plan()),
        hash: hash(3),
        steps: vec![StepState {
            fault: Some("sites-2-0".into()),
            active: Some(at(1)),
            expires: Some(at(60)),
            reverted: Some(at(61)),
        }],
        probes: vec![ProbeState {
            kind: ProbeKind::SubmitWorks,
            samples: 9,
            failures: 1,
            at: at(8),
            holds: true,
        }],
        timeline: vec![TimelineEntry { at: at(0), what: "begun by ada".into() }],
        phase,
    }
}

fn ruling() -> Ruling {
    Ruling { verdict: Verdict::Failed, reason: "submitWorks does not hold".into() }
}

fn approval() -> Approval {
    Approval { plan: hash(3), by: Principal::new("grace"), expires: at(3600) }
}

fn skipped() -> SkippedRun {
    SkippedRun { at: at(99), reason: "two never overlap".into() }
}

/// A game day that was run once and runs again.
pub fn day() -> GameDay {
    let status = GameDayStatus {
        approval: Some(approval()),
        runs: 2,
        run: Some(Box::new(run(GameDayPhase::Stopping(ruling())))),
        last: Some(Box::new(run(GameDayPhase::Ended { at: at(70), ruling: ruling() }))),
        skipped: Some(skipped()),
    };
    GameDay { spec: Arc::new(day_spec()), status }
}

/// One of each command.
pub fn commands() -> Vec<Command> {
    let principal = || Principal::new("ada");
    let start = StartFault {
        id: "sites-2-1".into(),
        uid: uid(8),
        spec: spec(),
        owner: owner(),
        principal: principal(),
        replicas: vec!["controller-1".into(), "controller-2".into()],
    };
    let report = ReportFault {
        id: "sites-2-1".into(),
        uid: uid(8),
        host: FaultTarget::Replica("controller-1".into()),
        news: FaultNews::Reverted { at: at(61) },
    };
    let drain = Drain {
        member: MemberName::new("onprem-a"),
        owner: "upgrade".into(),
        on: true,
        principal: principal(),
    };
    let start_day = StartGameDay {
        day: "sites".into(),
        uid: uid(9),
        plan: plan(),
        hash: hash(3),
        approved: Some(hash(4)),
        principal: principal(),
    };
    let sample = ProbeSample { kind: ProbeKind::NoDoubleRun, holds: true, seen: "team-a/train".into() };
    let probe = ProbeGameDay { day: "sites".into(), run: 2, samples: vec![sample] };
    let stop = StopGameDay { day: "sites".into(), run: Some(2), ruling: ruling(), principal: principal() };
    vec![
        Command::StartFault(Box::new(start)),
        Command::ReportFault(report),
        Command::AbortFaults(AbortFaults { id: Some("x".into()), stop: true, principal: principal() }),
        Command::ResumeChaos(ResumeChaos { principal: principal() }),
        Command::Drain(drain),
        Command::StartGameDay(Box::new(start_day)),
        Command::ProbeGameDay(probe),
        Command::StopGameDay(stop),
        Command::ApproveGameDay(ApproveGameDay { day: "sites".into(), approval: approval() }),
        Command::SkipGameDay(SkipGameDay { day: "sites".into(), skipped: skipped() }),
    ]
}
