//! Reports are taken only once they are committed; capacity is committed when it differs.

use expect_test::expect;
use muster_model::{AttemptReport, Epoch, PartitionPolicy, ToHub};

use crate::hub::{Hub, capacity, running, show, succeeded};

fn hub() -> Hub {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::Keep);
    hub.create_job("k", PartitionPolicy::Keep);
    hub
}

#[test]
fn taken_follows_commit_and_what_arrives_meanwhile_goes_together() {
    let mut hub = hub();
    let (j, k) = (hub.report("j", running()), hub.report("k", running()));
    let j_done = hub.report("j", succeeded());
    expect![[r#"
        propose reports of a/1: j
    "#]]
    .assert_eq(&show(&hub.say(1, ToHub::Reports { seq: 1, reports: vec![j.clone()] })));
    assert_eq!(hub.say(1, ToHub::Reports { seq: 2, reports: vec![k] }), []);
    assert_eq!(hub.say(1, ToHub::Reports { seq: 3, reports: vec![j_done] }), []);
    assert_eq!(
        hub.say(1, ToHub::Reports { seq: 1, reports: vec![j] }),
        [],
        "sent again: an end stays an end"
    );
    expect![[r#"
        to 1: taken 1
        propose reports of a/1: j, k
        to 1: delta [] gone 1
        to 1: taken 1
        to 1: taken 2
        to 1: taken 3
    "#]]
    .assert_eq(&show(&hub.commit()));
    assert!(hub.job("j").is_finished());
}

#[test]
fn reports_whose_entry_came_to_nothing_are_proposed_again() {
    let mut hub = hub();
    let reports = vec![hub.report("j", succeeded())];
    hub.say(1, ToHub::Reports { seq: 1, reports });
    assert_eq!(hub.lose_proposals(), []);
    expect![[r#"
        propose reports of a/1: j
    "#]]
    .assert_eq(&show(&hub.wait(100)));
    expect![[r#"
        to 1: delta [] gone 1
        to 1: taken 1
    "#]]
    .assert_eq(&show(&hub.commit()));
}

#[test]
fn a_report_of_an_epoch_that_is_over_is_taken_and_dropped() {
    let mut hub = hub();
    let report = hub.report("j", succeeded());
    let old = AttemptReport { epoch: Epoch(report.epoch.0 - 1), ..report };
    expect![[r#"
        to 1: taken 1
    "#]]
    .assert_eq(&show(&hub.say(1, ToHub::Reports { seq: 1, reports: vec![old] })));
}

#[test]
fn what_a_hello_reports_waits_for_its_acknowledgement_and_is_taken_as_number_0() {
    let mut hub = hub();
    let report = hub.report("j", succeeded());
    hub.open_session(2, "a");
    expect![[r#"
        close 1: the agent opened a newer session
        start read
    "#]]
    .assert_eq(&show(&hub.say(2, crate::hub::hello("a", 1, vec![report]))));
    expect![[r#"
        to 2: ack 0 renews 2
        to 2: full [j, k]
        propose reports of a/1: j
    "#]]
    .assert_eq(&show(&hub.read_done()));
    expect![[r#"
        to 2: delta [] gone 1
        to 2: taken 0
    "#]]
    .assert_eq(&show(&hub.commit()));
}

#[test]
fn more_capacity_is_committed_once_a_second_and_a_loss_at_once() {
    let mut hub = hub();
    assert_eq!(hub.say(1, ToHub::Capacity(capacity("a", 1, 2))), [], "it is what is committed");
    expect![[r#"
        propose capacity of a/1: 3 Nodes
    "#]]
    .assert_eq(&show(&hub.say(1, ToHub::Capacity(capacity("a", 1, 3)))));
    assert_eq!(hub.say(1, ToHub::Capacity(capacity("a", 1, 4))), [], "one under way");
    hub.commit();
    expect![[""]].assert_eq(&show(&hub.wait(999)));
    expect![[r#"
        propose capacity of a/1: 4 Nodes
    "#]]
    .assert_eq(&show(&hub.wait(1)));
    hub.commit();
    expect![[r#"
        propose capacity of a/1: 1 Nodes
    "#]]
    .assert_eq(&show(&hub.say(1, ToHub::Capacity(capacity("a", 1, 1)))));
}
