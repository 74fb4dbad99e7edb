//! Contact with the hub: what it permits, and what its loss changes.

use expect_test::expect;
use muster_member_machine::*;
use muster_model::*;

use crate::rig::*;

#[test]
fn nothing_starts_before_the_hello_was_acknowledged() {
    let mut rig = Rig::new();
    rig.open();
    rig.full(vec![desired(5, 1, Some(1))]);
    rig.delta(vec![desired(5, 1, Some(1))], &[]);
    expect![[r#"
             0 persist life
             0 hello session 1 
    "#]]
    .assert_eq(&rig.take_log());
    rig.ack(0, &[]);
    rig.delta(vec![desired(5, 1, Some(1))], &[]);
    expect![[r#""#]].assert_eq(&rig.take_log());
    rig.full(vec![desired(5, 1, Some(1))]);
    expect![[r#"
             0 persist attempt 5, pod 5/0
             0 start 5/0 node 0 gpus [0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn what_an_old_session_says_is_passed_over() {
    let mut rig = Rig::new();
    rig.open();
    rig.open();
    rig.ack(0, &[]);
    rig.take_log();
    let attempts = vec![std::sync::Arc::new(desired(5, 1, Some(1)))];
    let message = ToMember::Full { revision: Revision(1), attempts };
    rig.step(Input::FromHub { session: 1, message });
    rig.step(Input::SessionLost { session: 1 });
    assert_eq!(rig.take_log(), "");
    rig.full(vec![desired(5, 1, Some(1))]);
    assert!(rig.take_log().contains("start 5/0"));
}

#[test]
fn a_silent_session_is_given_up_and_after_the_lease_nothing_starts() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(2))]);
    rig.running(5, 0);
    rig.take_log();
    rig.pass(10_500);
    expect![[r#"
        5000 report 2: [5 running 1/1/0/0]
        10000 reconnect 1
    "#]]
    .assert_eq(&rig.take_log());
    // Within the lease the desired set still holds: the next pod of the job starts.
    rig.seen(pod(5, 0), completed());
    expect![[r#"
         10500 persist dead 5/0 Completed, pod 5/1
         10500 start 5/1 node 0 gpus [0]
    "#]]
    .assert_eq(&rig.take_log());
    rig.pass(10_000);
    rig.seen(pod(5, 1), failed());
    rig.pass(60_000);
    expect![[r#"
         20500 persist dead 5/1 Error
    "#]]
    .assert_eq(&rig.take_log());
    // A new session alone is not enough, its full set is.
    rig.open();
    rig.ack(0, &[5]);
    rig.pass(500);
    expect![[r#"
         80500 hello session 2 [5 running 0/0/1/1]
         80500 report 3: [5 running 0/0/1/1]
    "#]]
    .assert_eq(&rig.take_log());
    rig.full(vec![desired(5, 1, Some(2))]);
    expect![[r#"
         81000 persist pod 5/2
         81000 start 5/2 node 0 gpus [0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn an_acknowledgement_that_comes_after_the_lease_revives_nothing() {
    let mut rig = Rig::with(vec![]);
    rig.pass(9_000);
    rig.now.real_ms += 11_000;
    rig.ack(4, &[]);
    rig.delta(vec![desired(5, 1, Some(1))], &[]);
    expect![[r#"
          9000 reconnect 1
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn what_is_missing_in_the_full_set_is_ended_and_its_end_still_reported() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.running(5, 0);
    rig.full(vec![]);
    rig.take_log();
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.hear(ToMember::ReportsTaken { seq: 2 });
    rig.step(Input::ForgetJobs { uids: vec![desired(5, 1, None).uid] });
    expect![[r#"
             0 persist dead 5/0 Stopped, ended 5
             0 report 2: [5 Stopped 0/0/0/0]
             0 persist taken 5
             0 persist forgotten 5
             0 remove 5/0
             0 hide
    "#]]
    .assert_eq(&rig.take_log());
    assert_eq!(rig.machine.pods().count(), 0);
}

#[test]
fn an_older_epoch_is_refused_even_after_the_newer_one_is_forgotten() {
    let mut rig = Rig::with(vec![desired(7, 1, Some(1))]);
    rig.delta(vec![], &[7]);
    rig.seen(pod(7, 0), end(EndReason::Stopped, Some(143)));
    rig.step(Input::ForgetJobs { uids: vec![desired(7, 1, None).uid] });
    rig.take_log();
    rig.delta(vec![desired(5, 1, Some(1)), desired(7, 1, Some(1))], &[]);
    expect![[r#"
             0 warn EpochRefused
             0 warn EpochRefused
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_newer_epoch_waits_for_the_death_of_the_older_one() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.running(5, 0);
    rig.take_log();
    rig.delta(vec![desired(8, 1, Some(1))], &[]);
    expect![[r#"
             0 persist attempt 8, ending 5 Stopped
             0 stop 5/0 3000 Stopped
    "#]]
    .assert_eq(&rig.take_log());
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    rig.pass(500);
    expect![[r#"
        0 persist dead 5/0 Stopped, ended 5
        500 persist pod 8/0
        500 start 8/0 node 0 gpus [0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn reports_are_sent_again_until_taken_and_in_every_new_session() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.take_log();
    rig.running(5, 0);
    rig.pass(5_000);
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.open();
    rig.ack(0, &[]);
    expect![[r#"
        0 report 1: [5 running 1/1/0/0]
        5000 report 2: [5 running 1/1/0/0]
        5000 hello session 2 [5 running 1/1/0/0]
        5000 report 3: [5 running 1/1/0/0]
    "#]]
    .assert_eq(&rig.take_log());
}
