//! When an attempt counts as over without its member's word.

use expect_test::expect;
use muster_leader::Action;
use muster_model::{PartitionPolicy, ToMember};

use crate::hub::{Hub, show};

/// 60,000 x 1,000,200 / 999,800 = 60,024.005, rounded up, and 2,000.
const WAIT: u64 = 62_025;

/// A hub whose member `a` is live and runs job `j` under this policy.
fn hub(policy: PartitionPolicy) -> Hub {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", policy);
    hub
}

#[test]
fn under_fence_the_wait_counts_from_the_last_acknowledged_heartbeat_to_the_millisecond() {
    let mut hub = hub(PartitionPolicy::Fence);
    hub.wait(2_000);
    hub.contact(1, 1);
    hub.wait(2_000);
    hub.beat(1, 2); // arrives, but no round vouches for it
    hub.rounds.clear();
    hub.at = 2_000 + WAIT - 1;
    expect![[r#"
        propose ready a false
        close 1: the lease lapsed: say hello again
        start read
    "#]]
    .assert_eq(&show(&hub.tick()));
    hub.at += 1;
    expect![[r#"
        propose fence on a by DeadlinePassed: j
    "#]]
    .assert_eq(&show(&hub.tick()));
    expect![[""]].assert_eq(&show(&hub.commit()));
    assert!(hub.job("j").attempt.is_none());
}

#[test]
fn a_grant_that_was_never_renewed_counts_from_when_it_was_made() {
    let mut hub = hub(PartitionPolicy::Fence);
    hub.at = WAIT - 1;
    hub.tick();
    hub.commit();
    assert!(hub.job("j").attempt.is_some());
    hub.at += 1;
    hub.tick();
    hub.commit();
    assert!(hub.job("j").attempt.is_none());
}

#[test]
fn no_acknowledgement_names_an_attempt_whose_lapse_was_proposed() {
    let mut hub = hub(PartitionPolicy::Fence);
    hub.create_job("kept", PartitionPolicy::Keep);
    hub.at = WAIT - 5_000;
    hub.tick();
    hub.connect(2, "a");
    expect![[r#"
        to 2: ack 1 renews 2
    "#]]
    .assert_eq(&show(&hub.contact(2, 1)));
    hub.at = WAIT - 5_000 + WAIT;
    hub.beat(2, 2); // keeps the lease, so that the session stays
    expect![[r#"
        propose fence on a by DeadlinePassed: j
    "#]]
    .assert_eq(&show(&hub.tick()));
    expect![[r#"
        to 2: ack 2 renews 1
    "#]]
    .assert_eq(&show(&hub.read_done()));
    // The proposal comes to nothing: the attempt still is over for this leader, and the lapse is proposed again.
    hub.lose_proposals();
    expect![[r#"
        to 2: ack 3 renews 1
    "#]]
    .assert_eq(&show(&hub.contact(2, 3)));
    let again = hub.wait(1_000);
    assert!(show(&again).contains("propose fence on a by DeadlinePassed: j"), "{}", show(&again));
    assert_eq!(hub.wait(5_000).iter().filter(|a| matches!(a, Action::Propose { .. })).count(), 0, "once");
}

#[test]
fn an_attempt_whose_lapse_was_proposed_is_not_in_a_full_set() {
    let mut hub = Hub::new(&["a"]);
    hub.create_job("j", PartitionPolicy::Fence);
    hub.at = WAIT;
    expect![[r#"
        propose ready a false
        propose fence on a by DeadlinePassed: j
    "#]]
    .assert_eq(&show(&hub.tick()));
    // The member has not started it, and must not start it beside the next one.
    expect![[r#"
        start read
        to 1: ack 0 renews 0
        to 1: full []
    "#]]
    .assert_eq(&show(&hub.connect(1, "a")));
    expect![[""]].assert_eq(&show(&hub.commit()));
}

#[test]
fn under_keep_nothing_ends_an_attempt_but_its_member() {
    let mut hub = hub(PartitionPolicy::Keep);
    let epoch = hub.epoch("j");
    for _ in 0..50 {
        hub.at += 3_600_000;
        hub.tick();
        hub.commit();
    }
    assert_eq!(hub.epoch("j"), epoch);
    let renewed = hub.connect(2, "a");
    let ack = Action::Send {
        session: muster_leader::SessionId(2),
        message: ToMember::Ack { seq: 0, epochs: vec![epoch] },
    };
    assert!(renewed.contains(&ack), "{}", show(&renewed));
}

#[test]
fn under_duplicate_ok_a_lapsed_lease_is_enough() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::DuplicateOk);
    hub.wait(1_000);
    hub.connect(2, "b");
    expect![[r#"
        propose ready a false
        propose ready b false
    "#]]
    .assert_eq(&show(&hub.wait(16_999)));
    hub.commit();
    hub.contact(2, 1);
    hub.commit();
    expect![[r#"
        close 1: the lease lapsed: say hello again
        propose fence on a by DuplicateOk: j
    "#]]
    .assert_eq(&show(&hub.wait(1)));
    expect![[r#"
        propose plan j on b
        to 2: delta [j] gone 0
    "#]]
    .assert_eq(&show(&hub.commit()));
    assert_eq!(hub.job("j").attempt.as_ref().map(|a| a.assignment.member.as_str()), Some("b"));
}

#[test]
fn silence_makes_a_member_not_ready_and_contact_makes_it_ready() {
    let mut hub = hub(PartitionPolicy::Keep);
    expect![[""]].assert_eq(&show(&hub.wait(8_999)));
    expect![[r#"
        propose ready a false
    "#]]
    .assert_eq(&show(&hub.wait(1)));
    hub.commit();
    expect![[r#"
        to 1: ack 1 renews 1
        propose ready a true
    "#]]
    .assert_eq(&show(&hub.contact(1, 1)));
    assert_eq!(hub.contact(1, 2).len(), 1, "one proposal under way is enough");
    hub.commit();
    expect![[r#"
        to 1: ack 3 renews 1
    "#]]
    .assert_eq(&show(&hub.contact(1, 3)));
}
