//! Fence deadlines: counted from the send, looked at before anything else, final.

use expect_test::expect;
use muster_member_machine::*;
use muster_model::*;

use crate::rig::*;

/// 12 s: 3 s grace and 2 s to kill, so SIGTERM at 7 s.
fn attempt() -> DesiredAttempt {
    fenced(desired(5, 1, Some(1)), 12_000)
}

fn running() -> Rig {
    let mut rig = Rig::with(vec![attempt()]);
    rig.running(5, 0);
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.hear(ToMember::ReportsTaken { seq: 2 });
    rig.take_log();
    rig
}

#[test]
fn the_deadline_counts_from_the_sending_of_the_heartbeat() {
    let mut rig = running();
    rig.pass(5_000); // heartbeats 1 at 2 s, 2 at 4 s
    rig.ack(1, &[5]);
    expect![[r#"
          5000 renew 5/0 from 2000
    "#]]
    .assert_eq(&rig.take_log());
    rig.pass(3_500);
    expect![[r#""#]].assert_eq(&rig.take_log());
    rig.pass(500);
    expect![[r#"
        9000 persist ending 5 Fenced
        9000 stop 5/0 3000 Fenced
        9000 report 2: [5 running 0/0/0/0  ending 1]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn an_acknowledgement_that_does_not_name_it_renews_nothing() {
    let mut rig = running();
    rig.pass(6_500);
    rig.ack(3, &[99]);
    rig.pass(500);
    expect![[r#"
        7000 persist ending 5 Fenced
        7000 stop 5/0 3000 Fenced
        7000 report 2: [5 running 0/0/0/0  ending 1]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_deadline_that_passed_while_frozen_comes_before_the_acknowledgement_that_waited() {
    let mut rig = running();
    rig.pass(2_000);
    rig.now.boot_ms += 6_000;
    rig.ack(1, &[5]);
    rig.full(vec![attempt()]);
    rig.seen(pod(5, 0), end(EndReason::Fenced, Some(137)));
    rig.full(vec![attempt()]);
    expect![[r#"
        8000 persist ending 5 Fenced
        8000 stop 5/0 2000 Fenced
        8000 report 2: [5 running 0/0/0/0  ending 1]
        8000 persist dead 5/0 Fenced, ended 5
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_clock_that_jumps_can_only_shorten() {
    let mut rig = running();
    rig.now.real_ms -= 900_000;
    rig.pass(6_500);
    assert_eq!(rig.take_log(), "");
    rig.now.real_ms += 1_800_000;
    rig.step(Input::Tick);
    expect![[r#"
          6500 persist ending 5 Fenced
          6500 stop 5/0 0 Fenced
          6500 reconnect 1
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_start_that_was_buffered_past_its_deadline_does_not_happen() {
    let mut rig = Rig::with(vec![]);
    rig.now.boot_ms += 7_000;
    rig.delta(vec![attempt()], &[]);
    rig.pass(500);
    expect![[r#"
          7000 persist attempt 5
          7500 persist ending 5 Fenced, ended 5
          7500 report 1: [5 Fenced 0/0/0/0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_pod_that_its_shim_fenced_makes_the_attempt_fenced() {
    let mut rig = running();
    rig.seen(pod(5, 0), end(EndReason::Fenced, Some(137)));
    expect![[r#"
             0 persist dead 5/0 Fenced, ending 5 Fenced, ended 5
             0 report 2: [5 Fenced 0/0/0/0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn without_a_fence_nothing_is_stopped_however_long_the_hub_is_away() {
    for partition in [PartitionPolicy::Keep, PartitionPolicy::DuplicateOk] {
        let mut attempt = desired(5, 1, Some(1));
        attempt.policy = GrantPolicy { partition, fence_after: DurationMs(12_000) };
        let mut rig = Rig::with(vec![attempt]);
        rig.running(5, 0);
        rig.step(Input::SessionLost { session: 1 });
        rig.take_log();
        rig.now.boot_ms += 86_400_000;
        rig.pass(1_000);
        assert_eq!(rig.take_log(), "");
    }
}
