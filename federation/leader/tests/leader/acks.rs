//! An acknowledgement follows a ReadIndex round that began after its heartbeat arrived.

use expect_test::expect;
use muster_leader::Input;
use muster_model::PartitionPolicy;

use crate::hub::{Hub, hello, show};

#[test]
fn a_hello_is_answered_only_after_its_round() {
    let mut hub = Hub::new(&["a"]);
    hub.create_job("j", PartitionPolicy::Keep);
    assert_eq!(hub.open_session(1, "a"), []);
    expect![[r#"
        start read
    "#]]
    .assert_eq(&show(&hub.say(1, hello("a", 1, vec![]))));
    expect![[r#"
        to 1: ack 0 renews 1
        to 1: full [j]
    "#]]
    .assert_eq(&show(&hub.read_done()));
}

#[test]
fn a_heartbeat_during_a_round_waits_for_the_next_one() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.connect(2, "b");
    expect![[r#"
        start read
    "#]]
    .assert_eq(&show(&hub.beat(1, 1)));
    assert_eq!(hub.beat(2, 1), [], "the round under way began before this one arrived");
    assert_eq!(hub.beat(1, 2), []);
    expect![[r#"
        to 1: ack 1 renews 0
        start read
    "#]]
    .assert_eq(&show(&hub.read_done()));
    expect![[r#"
        to 1: ack 2 renews 0
        to 2: ack 1 renews 0
    "#]]
    .assert_eq(&show(&hub.read_done()));
    assert!(hub.rounds.is_empty());
}

#[test]
fn a_deposed_leader_gets_no_round_done_and_so_acknowledges_nothing() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    let mut actions = hub.beat(1, 1);
    for seq in 2..9 {
        actions.extend(hub.wait(1_000));
        actions.extend(hub.beat(1, seq));
    }
    expect![[r#"
        start read
        start read
        start read
        start read
        start read
        start read
        start read
        start read
    "#]]
    .assert_eq(&show(&actions));
}

#[test]
fn a_round_that_was_given_up_vouches_for_nothing() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.beat(1, 1);
    hub.wait(1_000);
    assert_eq!(hub.rounds.len(), 2);
    let late = hub.rounds[0];
    assert_eq!(hub.step(Input::ReadDone { round: late }), []);
    hub.rounds.remove(0);
    expect![[r#"
        to 1: ack 1 renews 0
    "#]]
    .assert_eq(&show(&hub.read_done()));
}

#[test]
fn a_closed_session_gets_no_acknowledgement() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.beat(1, 1);
    hub.step(Input::SessionClosed { session: muster_leader::SessionId(1) });
    assert_eq!(hub.read_done(), []);
}
