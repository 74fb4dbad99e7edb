//! The agent dies and comes back, the machine under it perhaps rebooted.

use expect_test::expect;
use muster_member_machine::*;
use muster_model::*;

use crate::rig::*;

#[test]
fn a_running_pod_is_adopted_and_goes_on() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(2))]);
    rig.running(5, 0);
    rig.take_log();
    rig.restart(1, vec![(pod(5, 0), Observation::Running { since: TimeMs(7) })]);
    rig.seen(pod(5, 0), completed());
    rig.open();
    rig.ack(0, &[5]);
    rig.full(vec![desired(5, 1, Some(2))]);
    expect![[r#"
             0 persist life
             0 persist dead 5/0 Completed
             0 hello session 2 [5 running 0/0/1/0]
             0 report 1: [5 running 0/0/1/0]
             0 persist pod 5/1
             0 start 5/1 node 0 gpus [0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_pod_recorded_but_never_started_is_replaced_under_another_id() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.take_log();
    rig.restart(1, vec![]);
    rig.open();
    rig.ack(0, &[5]);
    rig.full(vec![desired(5, 1, Some(1))]);
    expect![[r#"
             0 persist dead 5/0 NotStarted, life
             0 hello session 2 
             0 persist pod 5/1
             0 start 5/1 node 0 gpus [0]
             0 report 1: [5 running 1/0/0/0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn an_end_that_was_not_taken_is_said_in_the_hello_and_one_that_was_is_not() {
    let mut other = desired(6, 1, Some(1));
    other.uid = Uid(9);
    let mut rig = Rig::with(vec![desired(5, 1, Some(1)), other]);
    rig.seen(pod(5, 0), completed());
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.hear(ToMember::ReportsTaken { seq: 2 });
    rig.seen(pod(6, 0), completed());
    rig.take_log();
    rig.restart(1, vec![(pod(5, 0), completed()), (pod(6, 0), completed())]);
    rig.open();
    expect![[r#"
             0 persist life
             0 hello session 2 [6 Succeeded (0) 0/0/1/0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn after_a_reboot_what_ran_is_lost_and_does_not_count_as_failed() {
    let attempt = with_spec(desired(5, 1, Some(1)), |spec| spec.backoff_limit = 0);
    let mut rig = Rig::with(vec![attempt]);
    rig.running(5, 0);
    rig.take_log();
    rig.restart(2, vec![(pod(5, 0), end(EndReason::Lost, None))]);
    rig.open();
    expect![[r#"
             0 persist dead 5/0 Stopped, life, ending 5 Lost, ended 5
             0 hello session 2 [5 Lost 0/0/0/0]
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_fenced_attempt_stays_fenced_over_a_restart() {
    let attempt = || fenced(desired(5, 1, Some(1)), 12_000);
    let mut rig = Rig::with(vec![attempt()]);
    rig.running(5, 0);
    rig.pass(7_000);
    rig.take_log();
    rig.restart(1, vec![(pod(5, 0), Observation::Running { since: TimeMs(7) })]);
    rig.open();
    rig.ack(0, &[5]);
    rig.full(vec![attempt()]);
    rig.seen(pod(5, 0), end(EndReason::Fenced, Some(137)));
    expect![[r#"
        7000 persist life
        7000 stop 5/0 3000 Fenced
        7000 hello session 2 [5 running 0/0/0/0  ending 1]
        7000 report 1: [5 running 0/0/0/0  ending 1]
        7000 persist dead 5/0 Fenced, ended 5
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_restart_leaves_the_deadline_to_the_shim_until_the_hub_renews_it() {
    let attempt = || fenced(desired(5, 1, Some(2)), 12_000);
    let mut rig = Rig::with(vec![attempt()]);
    rig.running(5, 0);
    rig.take_log();
    rig.now.boot_ms += 60_000; // an earlier life renewed the shim meanwhile
    rig.restart(1, vec![(pod(5, 0), Observation::Running { since: TimeMs(7) })]);
    rig.seen(pod(5, 0), completed());
    rig.open();
    rig.ack(0, &[]);
    rig.full(vec![attempt()]);
    expect![[r#"
         60000 persist life
         60000 persist dead 5/0 Completed
         60000 hello session 2 [5 running 0/0/1/0]
         60000 report 1: [5 running 0/0/1/0]
    "#]]
    .assert_eq(&rig.take_log());
    rig.pass(2_000);
    rig.ack(1, &[5]);
    expect![[r#"
         62000 persist pod 5/1
         62000 start 5/1 node 0 gpus [0] from 62000
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_pod_that_no_record_tells_of_is_removed_or_stopped() {
    let mut rig = Rig::new();
    rig.take_log();
    let running = Observation::Running { since: TimeMs(7) };
    rig.restart(1, vec![(pod(5, 0), completed()), (pod(6, 0), running)]);
    expect![[r#"
             0 persist life
             0 remove 5/0
             0 stop 6/0 0 Stopped
    "#]]
    .assert_eq(&rig.take_log());
}

#[test]
fn a_compacted_journal_gives_the_same_machine() {
    let mut rig = Rig::with(vec![desired(5, 2, Some(4)), {
        let mut other = fenced(desired(6, 1, Some(1)), 12_000);
        other.uid = Uid(9);
        other
    }]);
    rig.running(5, 0);
    rig.seen(pod(5, 1), failed());
    rig.pass(500);
    rig.seen(pod(5, 0), completed());
    rig.pass(7_000);
    let from_journal = Machine::recover(capacity(1), rig.journal.clone());
    let from_snapshot = Machine::recover(capacity(1), from_journal.snapshot());
    assert_eq!(from_journal, from_snapshot);
}
