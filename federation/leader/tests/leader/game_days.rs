//! Game days as the leader runs them, and drains: what is proposed when, and what stops a run.

use std::sync::Arc;

use expect_test::{Expect, expect};
use muster_leader::{ChaosFacts, Input};
use muster_model::*;

use crate::hub::*;

fn day(name: &str, dry_run: bool, targets: &[&str]) -> Command {
    let fault = |member: &&str| GameDayFault {
        kind: FaultKind::Drain,
        after: DurationMs(1_000),
        ttl: DurationMs(3_000),
        count: 1,
        targets: TargetChoice::Members {
            selector: Selector::default(),
            names: vec![MemberName::new(*member)],
        },
    };
    let spec = GameDaySpec {
        schedule: None,
        suspend: false,
        dry_run,
        seed: 1,
        faults: targets.iter().map(fault).collect(),
        probes: ProbeKind::ALL.to_vec(),
        limits: GameDayLimits { members: 1, replicas: 0, gpus: None, duration: DurationMs(30_000) },
    };
    create(Key::game_day(name), Spec::GameDay(Arc::new(spec)))
}

fn facts(next: &[(&str, u64)], submitted: Option<Result<(), Arc<str>>>) -> Input {
    Input::ChaosFacts(ChaosFacts {
        replicas: ["c1", "c2", "c3"].map(Into::into).to_vec(),
        next: next.iter().map(|(name, at)| ((*name).into(), TimeMs(START + at))).collect(),
        submitted,
    })
}

fn status(hub: &Hub, name: &str) -> GameDayStatus {
    let day = hub.state.get(&Key::game_day(name)).and_then(|object| object.game_day());
    day.expect("the game day").status.clone()
}

/// Approves what the plan is now.
fn approve(hub: &mut Hub, name: &str) {
    let planned = hub.leader.day_plan(name).expect("the game day").expect("a plan");
    let approval =
        Approval { plan: planned.hash, by: Principal::new("remi"), expires: TimeMs(START + 1_000_000) };
    hub.apply(Command::ApproveGameDay(ApproveGameDay { day: name.into(), approval }));
}

/// So many seconds of a run: ticks, facts, and what follows from them.
fn seconds(hub: &mut Hub, count: u64, submitted: Option<&Result<(), Arc<str>>>) {
    for _ in 0..count {
        hub.wait(1_000);
        hub.step(facts(&[], submitted.cloned()));
        hub.commit();
    }
}

fn running(hub: &mut Hub, targets: &[&str]) {
    hub.apply(day("d", false, targets));
    hub.step(facts(&[("d", 500)], None));
    approve(hub, "d");
    hub.wait(600);
    hub.step(facts(&[], None));
    hub.commit();
}

fn ruling(hub: &Hub, want: &Expect) {
    let status = status(hub, "d");
    let text = match status.last.as_deref().map(|run| &run.phase) {
        Some(GameDayPhase::Ended { ruling, .. }) => format!("{}: {}", ruling.verdict.word(), ruling.reason),
        _ => format!("{:?}", status.run.map(|run| run.phase)),
    };
    want.assert_eq(&text);
}

#[test]
fn a_run_by_schedule_goes_to_its_verdict() {
    let mut hub = Hub::new(&["a", "b"]);
    running(&mut hub, &["a"]);
    assert_eq!(status(&hub, "d").runs, 1);
    seconds(&mut hub, 9, Some(&Ok(())));
    ruling(&hub, &expect!["Passed: 1 faults injected and taken back; every probe held, 5 samples each"]);
}

#[test]
fn a_game_day_that_is_made_anew_runs_again() {
    let mut hub = Hub::new(&["a", "b"]);
    for _ in 0..2 {
        hub.apply(Command::SetReady { member: MemberName::new("a"), ready: true });
        running(&mut hub, &["a"]);
        assert_eq!(status(&hub, "d").runs, 1);
        seconds(&mut hub, 9, Some(&Ok(())));
        ruling(&hub, &expect!["Passed: 1 faults injected and taken back; every probe held, 5 samples each"]);
        hub.apply(Command::Delete(Delete {
            key: Key::game_day("d"),
            precondition: Precondition::default(),
            propagation: Propagation::Background,
            grace_s: None,
            principal: Principal::new("petra"),
        }));
    }
}

#[test]
fn a_new_leader_goes_on_with_a_run() {
    let mut hub = Hub::new(&["a", "b"]);
    running(&mut hub, &["a"]);
    let mut hub = Hub::elected(muster_core::State::clone(&hub.state), hub.at);
    seconds(&mut hub, 9, Some(&Ok(())));
    ruling(&hub, &expect!["Passed: 1 faults injected and taken back; every probe held, 5 samples each"]);
}

#[test]
fn a_probe_that_fails_or_says_nothing_stops_the_run() {
    let mut hub = Hub::new(&["a", "b"]);
    running(&mut hub, &["a"]);
    seconds(&mut hub, 3, Some(&Err("no leader".into())));
    ruling(&hub, &expect!["Failed: submitWorks does not hold"]);
    assert!(hub.state.open_faults().next().is_none(), "what was open is taken back");

    let mut hub = Hub::new(&["a", "b"]);
    running(&mut hub, &["a"]);
    seconds(&mut hub, 17, None);
    ruling(&hub, &expect!["Failed: submitWorks says nothing, which counts as failing"]);
}

#[test]
fn an_attempt_that_runs_beside_another_one_stops_the_run() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.connect(2, "b");
    hub.create_job("j", PartitionPolicy::Keep);
    let member = hub.job("j").attempt.as_ref().map(|attempt| attempt.assignment.member.clone());
    let (own, other) = if member.as_ref().is_some_and(|m| m.as_str() == "a") { (1, 2) } else { (2, 1) };
    let report = hub.report("j", running_state());
    hub.say(own, ToHub::Reports { seq: 1, reports: vec![report.clone()] });
    hub.commit();
    hub.apply(day("d", false, &["a"]));
    hub.step(facts(&[("d", 500)], None));
    approve(&mut hub, "d");
    hub.wait(600);
    hub.step(facts(&[], None));
    hub.commit();
    let stale = AttemptReport { epoch: Epoch(1), ..report };
    hub.say(other, ToHub::Reports { seq: 1, reports: vec![stale] });
    seconds(&mut hub, 3, Some(&Ok(())));
    ruling(&hub, &expect!["Failed: noDoubleRun does not hold"]);
}

fn running_state() -> ReportedState {
    ReportedState::Running { since: TimeMs(START) }
}

#[test]
fn a_time_that_may_not_be_run_is_skipped_with_its_reason() {
    let mut hub = Hub::new(&["a", "b"]);
    let skipped = |hub: &Hub, want: &Expect| {
        let reason = status(hub, "d").skipped.map_or("none".into(), |skipped| skipped.reason);
        want.assert_eq(&reason);
    };
    let time_comes = |hub: &mut Hub| {
        let next = hub.at + 500;
        hub.step(facts(&[("d", next)], None));
        hub.wait(600);
        hub.step(facts(&[], None));
        hub.commit();
    };
    hub.apply(day("d", false, &["a"]));
    time_comes(&mut hub);
    skipped(&hub, &expect!["approval: nobody has agreed to a plan: `muster gameday approve`"]);
    approve(&mut hub, "d");
    let (answer, _) = hub.apply(day("other", false, &["b"]));
    assert!(matches!(answer, Answer::Stored(_)));
    let planned = hub.leader.day_plan("other").expect("the game day").expect("a plan");
    let start = StartGameDay {
        day: "other".into(),
        uid: planned.uid,
        approved: Some(planned.hash),
        hash: planned.hash,
        plan: planned.plan,
        principal: Principal::new("remi"),
    };
    hub.apply(Command::StartGameDay(Box::new(start)));
    time_comes(&mut hub);
    skipped(&hub, &expect!["run: game day other is under way, and two never overlap"]);
    hub.apply(Command::SetReady { member: MemberName::new("a"), ready: false });
    time_comes(&mut hub);
    skipped(&hub, &expect!["spec.faults[0].targets: 1 wanted, 0 in contact match"]);
}

#[test]
fn a_time_that_passed_while_nobody_led_is_not_made_up_for() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.apply(day("d", false, &["a"]));
    hub.step(facts(&[("d", 500)], None));
    approve(&mut hub, "d");
    let mut hub = Hub::elected(muster_core::State::clone(&hub.state), 60_000);
    seconds(&mut hub, 3, None);
    assert_eq!(status(&hub, "d").runs, 0);
}

#[test]
fn what_runs_on_a_drained_member_moves() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.connect(2, "b");
    hub.create_job("j", PartitionPolicy::Keep);
    let member = hub.job("j").attempt.as_ref().expect("placed").assignment.member.clone();
    let drain = |on| {
        Command::Drain(Drain {
            member: member.clone(),
            owner: "upgrade".into(),
            on,
            principal: Principal::new("petra"),
        })
    };
    hub.apply(drain(true));
    hub.commit();
    let stopping = hub.job("j").attempt.as_ref().map(|attempt| attempt.state);
    assert!(matches!(stopping, Some(AttemptState::Stopping { reason: StopReason::Evicted, .. })));
    let before = hub.open.len();
    hub.wait(3_000);
    assert_eq!(hub.open.len(), before, "it is asked for once");
    let report = hub.report(
        "j",
        ReportedState::Ended { outcome: AttemptOutcome::Stopped, exit_code: None, at: TimeMs(START) },
    );
    hub.say(if member.as_str() == "a" { 1 } else { 2 }, ToHub::Reports { seq: 1, reports: vec![report] });
    hub.commit();
    let moved = hub.job("j").attempt.as_ref().map(|attempt| attempt.assignment.member.clone());
    assert!(moved.is_some_and(|moved| moved != member), "it runs on the other one");
}
