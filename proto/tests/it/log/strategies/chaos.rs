//! Faults on purpose, and game days.

use std::sync::Arc;

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::words::*;

fn kind() -> Of<FaultKind> {
    one_of![FaultKind::Drain, FaultKind::Partition, FaultKind::Kill, FaultKind::Pause]
}

fn target() -> Of<FaultTarget> {
    prop_oneof![member().prop_map(FaultTarget::Member), text().prop_map(FaultTarget::Replica)].boxed()
}

fn fault_spec() -> Of<FaultSpec> {
    each!(FaultSpec { kind: kind(), target: target(), ttl: duration() })
}

fn owner() -> Of<FaultOwner> {
    prop_oneof![
        principal().prop_map(FaultOwner::Principal),
        (text(), any::<u32>(), any::<u32>()).prop_map(|(day, run, step)| FaultOwner::GameDay {
            day,
            run,
            step
        }),
    ]
    .boxed()
}

pub fn fault() -> Of<Fault> {
    let end = each!(FaultEnd {
        at: time(),
        active_since: option::of(time()),
        cause: one_of![FaultEndCause::Expired, FaultEndCause::Aborted, FaultEndCause::Host],
        confirmed: option::of(time()),
    });
    let phase = prop_oneof![
        Just(FaultPhase::Pending),
        time().prop_map(|since| FaultPhase::Active { since }),
        end.prop_map(FaultPhase::Reverted),
    ];
    each!(Fault {
        spec: fault_spec(),
        owner: owner(),
        expires: time(),
        aborted: option::of(time()),
        voters: any::<u32>(),
        phase: phase,
    })
}

pub fn stop() -> Of<ChaosStop> {
    each!(ChaosStop { by: principal(), at: time() })
}

fn probe_kind() -> Of<ProbeKind> {
    one_of![ProbeKind::NoLostJob, ProbeKind::NoDoubleRun, ProbeKind::SubmitWorks]
}

pub fn day_spec() -> Of<GameDaySpec> {
    let targets = prop_oneof![
        (selector(), vec(member(), 0..3))
            .prop_map(|(selector, names)| TargetChoice::Members { selector, names }),
        texts().prop_map(|names| TargetChoice::Replicas { names }),
    ];
    let fault = each!(GameDayFault {
        kind: kind(),
        after: duration(),
        ttl: duration(),
        count: any::<u32>(),
        targets: targets,
    });
    let limits = each!(GameDayLimits {
        members: any::<u32>(),
        replicas: any::<u32>(),
        gpus: option::of(any::<u64>()),
        duration: duration(),
    });
    let schedule = each!(GameDaySchedule { cron: text(), zone: text() });
    each!(GameDaySpec {
        schedule: option::of(schedule),
        suspend: any::<bool>(),
        dry_run: any::<bool>(),
        seed: any::<u64>(),
        faults: vec(fault, 0..3),
        probes: vec(probe_kind(), 0..3),
        limits: limits,
    })
}

fn plan() -> Of<FaultPlan> {
    let step = each!(FaultStep {
        kind: kind(),
        target: target(),
        target_uid: uid(),
        after: duration(),
        ttl: duration(),
    });
    each!(FaultPlan { steps: vec(step, 0..3) })
}

fn ruling() -> Of<Ruling> {
    let verdict = one_of![Verdict::Passed, Verdict::Failed, Verdict::Aborted];
    each!(Ruling { verdict: verdict, reason: text() })
}

fn run() -> Of<Box<GameDayRun>> {
    let phase = prop_oneof![
        Just(GameDayPhase::Running),
        ruling().prop_map(GameDayPhase::Stopping),
        (time(), ruling()).prop_map(|(at, ruling)| GameDayPhase::Ended { at, ruling }),
    ];
    let step = each!(StepState {
        fault: option::of(text()),
        active: option::of(time()),
        expires: option::of(time()),
        reverted: option::of(time()),
    });
    let probe = each!(ProbeState {
        kind: probe_kind(),
        samples: any::<u32>(),
        failures: any::<u32>(),
        at: time(),
        holds: any::<bool>(),
    });
    let entry = each!(TimelineEntry { at: time(), what: text() });
    let run = each!(GameDayRun {
        number: any::<u32>(),
        started: time(),
        by: principal(),
        seed: any::<u64>(),
        plan: plan().prop_map(Arc::new),
        hash: hash(),
        steps: vec(step, 0..3),
        probes: vec(probe, 0..3),
        timeline: vec(entry, 0..3),
        phase: phase,
    });
    run.prop_map(Box::new).boxed()
}

fn approval() -> Of<Approval> {
    each!(Approval { plan: hash(), by: principal(), expires: time() })
}

fn skipped() -> Of<SkippedRun> {
    each!(SkippedRun { at: time(), reason: text() })
}

pub fn day() -> Of<GameDay> {
    let status = each!(GameDayStatus {
        approval: option::of(approval()),
        runs: any::<u32>(),
        run: option::of(run()),
        last: option::of(run()),
        skipped: option::of(skipped()),
    });
    each!(GameDay { spec: day_spec().prop_map(Arc::new), status: status })
}

pub fn command() -> Of<Command> {
    let start = each!(StartFault {
        id: text(),
        uid: uid(),
        spec: fault_spec(),
        owner: owner(),
        principal: principal(),
        replicas: texts(),
    });
    let news = prop_oneof![Just(FaultNews::Injecting), time().prop_map(|at| FaultNews::Reverted { at })];
    let report = each!(ReportFault { id: text(), uid: uid(), host: target(), news: news });
    let abort = each!(AbortFaults { id: option::of(text()), stop: any::<bool>(), principal: principal() });
    let drain = each!(Drain { member: member(), owner: text(), on: any::<bool>(), principal: principal() });
    prop_oneof![
        start.prop_map(|start| Command::StartFault(Box::new(start))),
        report.prop_map(Command::ReportFault),
        abort.prop_map(Command::AbortFaults),
        principal().prop_map(|principal| Command::ResumeChaos(ResumeChaos { principal })),
        drain.prop_map(Command::Drain),
        of_days(),
    ]
    .boxed()
}

fn of_days() -> Of<Command> {
    let start = each!(StartGameDay {
        day: text(),
        uid: uid(),
        plan: plan(),
        hash: hash(),
        approved: option::of(hash()),
        principal: principal(),
    });
    let sample = each!(ProbeSample { kind: probe_kind(), holds: any::<bool>(), seen: text() });
    let probe = each!(ProbeGameDay { day: text(), run: any::<u32>(), samples: vec(sample, 0..3) });
    let stop = each!(StopGameDay {
        day: text(),
        run: option::of(any::<u32>()),
        ruling: ruling(),
        principal: principal(),
    });
    let approve = each!(ApproveGameDay { day: text(), approval: approval() });
    let skip = each!(SkipGameDay { day: text(), skipped: skipped() });
    prop_oneof![
        start.prop_map(|start| Command::StartGameDay(Box::new(start))),
        probe.prop_map(Command::ProbeGameDay),
        stop.prop_map(Command::StopGameDay),
        approve.prop_map(Command::ApproveGameDay),
        skip.prop_map(Command::SkipGameDay),
    ]
    .boxed()
}
