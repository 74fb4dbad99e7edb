//! A second agent under a member's name.

use expect_test::expect;
use muster_model::PartitionPolicy;

use crate::hub::{Hub, running, show};

#[test]
fn a_second_incarnation_is_refused_while_the_first_has_the_lease() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    expect![[r#"
        close 2: another agent holds the lease of a until 2026-11-20T10:44:23Z unless it renews it: stop that agent, or use another name
    "#]].assert_eq(&show(&hub.connect_as(2, "a", 2, vec![])));
    expect![[r#"
        to 1: ack 1 renews 0
    "#]]
    .assert_eq(&show(&hub.contact(1, 1)));
}

#[test]
fn also_right_after_an_election() {
    let mut hub = Hub::new(&["a"]);
    assert!(show(&hub.connect_as(1, "a", 2, vec![])).starts_with("close 1: another agent holds the lease"));
    hub.connect_as(2, "a", 1, vec![]);
    assert_eq!(hub.leader.session_of(&muster_model::MemberName::new("a")), Some(muster_leader::SessionId(2)));
}

#[test]
fn a_second_incarnation_makes_the_first_one_s_attempts_unknown_not_gone() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("kept", PartitionPolicy::Keep);
    hub.create_job("fenced", PartitionPolicy::Fence);
    hub.create_job("twice", PartitionPolicy::DuplicateOk);
    let kept = hub.epoch("kept");
    hub.at = 18_000;
    expect![[r#"
        close 1: the agent opened a newer session
        start read
        to 2: ack 0 renews 0
        to 2: full []
        propose capacity of a/2: 2 Nodes
    "#]]
    .assert_eq(&show(&hub.connect_as(2, "a", 2, vec![])));
    hub.commit();
    // What was granted to the first is neither started by the second nor renewed by it.
    hub.create_job("new", PartitionPolicy::Keep);
    expect![[r#"
        to 2: ack 1 renews 1
    "#]]
    .assert_eq(&show(&hub.contact(2, 1)));
    hub.at = 62_025;
    hub.beat(2, 2);
    expect![[r#"
        propose fence on a by DeadlinePassed: fenced
        propose fence on a by DuplicateOk: twice
    "#]]
    .assert_eq(&show(&hub.tick()));
    hub.commit();
    assert_eq!(hub.epoch("kept"), kept);
    assert_eq!(
        hub.job("fenced").attempt.as_ref().and_then(|a| a.incarnation.clone()),
        Some(crate::hub::incarnation(2))
    );
}

#[test]
fn the_same_incarnation_takes_over_from_its_older_session() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::Keep);
    let report = hub.report("j", running());
    expect![[r#"
        close 1: the agent opened a newer session
        start read
        to 2: ack 0 renews 1
        to 2: full [j]
        propose reports of a/1: j
    "#]]
    .assert_eq(&show(&hub.connect_as(2, "a", 1, vec![report])));
    assert_eq!(hub.beat(1, 1), [], "nobody speaks on the old one any more");
}
