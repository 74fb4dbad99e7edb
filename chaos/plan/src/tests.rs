//! Plans on small fleets.

use std::sync::Arc;

use expect_test::{Expect, expect};
use muster_model::*;
use proptest::prelude::*;

use crate::*;

fn fleet(members: &[(&str, &str, u64)]) -> Fleet {
    let member = |(i, (name, region, gpus)): (usize, &(&str, &str, u64))| {
        let labels = [("region".into(), Arc::from(*region))].into();
        let uid = Uid(i as u128 + 1);
        (MemberName::new(*name), FleetMember { uid, labels, is_ready: true, gpus: *gpus })
    };
    let replicas = ["c1", "c2", "c3"].map(Arc::from).to_vec();
    Fleet { members: members.iter().enumerate().map(member).collect(), replicas }
}

fn small() -> Fleet {
    fleet(&[("a", "eu", 8), ("b", "eu", 16), ("c", "us", 8)])
}

fn of_members(kind: FaultKind, count: u32, region: Option<&str>) -> GameDayFault {
    let selector = region.map(|region| Requirement::In("region".into(), vec![region.into()]));
    GameDayFault {
        kind,
        after: DurationMs(0),
        ttl: DurationMs(10_000),
        count,
        targets: TargetChoice::Members { selector: Selector(selector.into_iter().collect()), names: vec![] },
    }
}

fn of_replicas(kind: FaultKind, count: u32) -> GameDayFault {
    GameDayFault { targets: TargetChoice::Replicas { names: vec![] }, ..of_members(kind, count, None) }
}

fn day(faults: Vec<GameDayFault>) -> GameDaySpec {
    GameDaySpec {
        seed: 7,
        faults,
        probes: vec![ProbeKind::NoLostJob],
        limits: GameDayLimits { members: 2, replicas: 2, gpus: Some(24), duration: DurationMs(60_000) },
        ..GameDaySpec::default()
    }
}

fn text(spec: &GameDaySpec, fleet: &Fleet) -> String {
    let plan = match resolve(spec, fleet) {
        Ok(plan) => plan,
        Err(error) => return format!("{error}\n"),
    };
    if let Err(error) = over(&plan, &spec.limits, fleet) {
        return format!("{error}\n");
    }
    let line = |step: &FaultStep| {
        format!("+{} {} {} for {}\n", step.after.0, step.kind.word(), step.target.name(), step.ttl.0)
    };
    plan.steps.iter().map(line).collect()
}

fn check(faults: Vec<GameDayFault>, want: &Expect) {
    want.assert_eq(&text(&day(faults), &small()));
}

#[test]
fn plans_and_what_is_wrong_with_them() {
    use FaultKind::*;
    check(
        vec![
            of_members(Partition, 1, Some("us")),
            GameDayFault { after: DurationMs(5), ..of_replicas(Kill, 1) },
        ],
        &expect![[r#"
            +0 partition c for 10000
            +5 kill c1 for 10000
        "#]],
    );
    check(
        vec![of_members(Drain, 3, Some("eu"))],
        &expect![[r#"
        spec.faults[0].targets: 3 wanted, 2 in contact match
    "#]],
    );
    check(
        vec![of_members(Drain, 3, None)],
        &expect![[r#"
        spec.limits.members: 3 would be under a fault at one time, at most 2 may
    "#]],
    );
    check(
        vec![of_replicas(Pause, 2)],
        &expect![[r#"
        hub quorum: 2 would be under a fault at one time, at most 1 may
    "#]],
    );
    check(
        vec![of_replicas(Drain, 1)],
        &expect![[r#"
        spec.faults[0].kind: replicas take kill and pause; others are for members
    "#]],
    );
    let late = GameDayFault { after: DurationMs(55_000), ..of_members(Drain, 1, None) };
    check(
        vec![late],
        &expect![[r#"
        spec.limits.duration: the last fault ends after 65000 ms, at most 60000 ms may pass
    "#]],
    );
    check(
        vec![of_members(Pause, 1, Some("us")), of_members(Partition, 1, Some("us"))],
        &expect![[r#"
        spec.faults: two faults of one process at one time: c
    "#]],
    );
    let later = GameDayFault { after: DurationMs(10_000), ..of_members(Partition, 1, Some("us")) };
    check(
        vec![of_members(Pause, 1, Some("us")), later],
        &expect![[r#"
        +0 pause c for 10000
        +10000 partition c for 10000
    "#]],
    );
    let few_gpus = GameDaySpec {
        limits: GameDayLimits { gpus: Some(15), ..day(vec![]).limits },
        ..day(vec![of_members(Drain, 2, Some("eu"))])
    };
    expect![[r#"
        spec.limits.gpus: 24 would be under a fault at one time, at most 15 may
    "#]]
    .assert_eq(&text(&few_gpus, &small()));
}

#[test]
fn a_member_that_is_out_of_contact_is_no_target() {
    let mut fleet = small();
    fleet.members.get_mut(&MemberName::new("c")).unwrap().is_ready = false;
    let spec = day(vec![of_members(FaultKind::Kill, 1, Some("us"))]);
    assert_eq!(text(&spec, &fleet), "spec.faults[0].targets: 1 wanted, 0 in contact match\n");
}

#[test]
fn the_hash_is_of_what_is_done_to_whom_and_what_stops_it() {
    let spec = day(vec![of_members(FaultKind::Kill, 1, Some("us"))]);
    let hash = |spec: &GameDaySpec, fleet: &Fleet| plan_hash(spec, &resolve(spec, fleet).unwrap());
    let before = hash(&spec, &small());
    assert_eq!(before, hash(&GameDaySpec { suspend: true, ..spec.clone() }, &small()));
    let joined_again = {
        let mut fleet = small();
        fleet.members.get_mut(&MemberName::new("c")).unwrap().uid = Uid(99);
        fleet
    };
    let others = [
        hash(&spec, &joined_again),
        hash(&GameDaySpec { probes: vec![], ..spec.clone() }, &small()),
        hash(&GameDaySpec { limits: GameDayLimits { members: 3, ..spec.limits }, ..spec.clone() }, &small()),
        hash(&day(vec![of_members(FaultKind::Pause, 1, Some("us"))]), &small()),
        hash(&day(vec![GameDayFault { ttl: DurationMs(1), ..spec.faults[0].clone() }]), &small()),
    ];
    assert!(others.iter().all(|other| *other != before), "{others:?}");
}

fn run(spec: &GameDaySpec) -> GameDayRun {
    let plan = resolve(spec, &small()).unwrap();
    let step = StepState {
        fault: Some("f".into()),
        active: Some(TimeMs(1_000)),
        expires: Some(TimeMs(11_000)),
        reverted: Some(TimeMs(12_000)),
    };
    GameDayRun {
        number: 1,
        started: TimeMs(1_000),
        by: Principal::new("remi"),
        seed: spec.seed,
        hash: plan_hash(spec, &plan),
        steps: vec![step; plan.steps.len()],
        plan: Arc::new(plan),
        probes: vec![ProbeState {
            kind: ProbeKind::NoLostJob,
            samples: 9,
            failures: 0,
            at: TimeMs(12_000),
            holds: true,
        }],
        timeline: vec![],
        phase: GameDayPhase::Running,
    }
}

#[test]
fn verdicts() {
    let spec = day(vec![of_members(FaultKind::Kill, 1, Some("us"))]);
    let check = |change: &dyn Fn(&mut GameDayRun), want: &Expect| {
        let mut run = run(&spec);
        change(&mut run);
        let ruling = judge(&spec, &run);
        want.assert_eq(&format!("{}: {}", ruling.verdict.word(), ruling.reason));
    };
    check(&|_| {}, &expect!["Passed: 1 faults injected and taken back; every probe held, 9 samples each"]);
    check(&|run| run.probes[0].failures = 2, &expect!["Failed: noLostJob failed 2 of 9 times"]);
    check(&|run| run.probes.clear(), &expect!["Failed: noLostJob never said anything"]);
    check(&|run| run.steps[0].active = None, &expect!["Failed: f: kill of c was never injected"]);
    check(&|run| run.steps[0].reverted = Some(TimeMs(12_001)), &expect!["Failed: f was taken back too late"]);
}

#[test]
fn a_probe_that_says_nothing_is_missing() {
    let spec = day(vec![of_members(FaultKind::Kill, 1, Some("us"))]);
    let run = run(&spec);
    let at = |since, now| missing_probe(&spec, &run, (TimeMs(since), TimeMs(now)), DurationMs(5_000));
    assert_eq!(at(1_000, 17_000), None);
    assert_eq!(at(1_000, 17_001), Some(MissingProbe(ProbeKind::NoLostJob)));
    // A new leader gives it its time again.
    assert_eq!(at(16_000, 21_000), None);
}

proptest! {
    #[test]
    fn a_plan_is_the_same_for_the_same_fleet_and_draws_nobody_twice(seed: u64, count in 0_u32..4) {
        let spec = GameDaySpec { seed, ..day(vec![of_members(FaultKind::Partition, count.min(3), None)]) };
        let plan = resolve(&spec, &small()).unwrap();
        prop_assert_eq!(&plan, &resolve(&spec, &small()).unwrap());
        let mut targets: Vec<_> = plan.steps.iter().map(|step| step.target.clone()).collect();
        targets.dedup();
        prop_assert_eq!(targets.len(), count as usize);
    }
}
