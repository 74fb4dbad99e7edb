//! A new leader starts every clock anew and trusts nothing before it has caught up.

use std::sync::Arc;

use expect_test::expect;
use muster_core::State;
use muster_leader::{Config, Input, Leader};
use muster_model::{PartitionPolicy, TimeMs};

use crate::hub::{Hub, START, show};

/// A state in which `a` runs a job under each policy, as an earlier leader left it.
fn left_behind() -> State {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.create_job("fence", PartitionPolicy::Fence);
    hub.create_job("dup", PartitionPolicy::DuplicateOk);
    State::clone(&hub.state)
}

#[test]
fn after_an_election_each_lease_and_each_deadline_has_its_full_time() {
    let day = 86_400_000;
    let mut hub = Hub::elected(left_behind(), day);
    expect![[""]].assert_eq(&show(&hub.wait(8_999)));
    expect![[r#"
        propose ready a false
        propose ready b false
    "#]]
    .assert_eq(&show(&hub.wait(1)));
    hub.lose_proposals();
    hub.at = day + 62_024;
    hub.tick();
    assert!(!hub.open.values().any(|c| format!("{c:?}").contains("DeadlinePassed")));
    hub.at += 1;
    expect![[r#"
        propose fence on a by DeadlinePassed: fence
    "#]]
    .assert_eq(&show(&hub.tick()));
}

#[test]
fn a_leader_proposes_nothing_else_before_its_first_entry_is_applied() {
    let state = Arc::new(left_behind());
    let mut leader = Leader::new(9, &state, TimeMs(START), Config::default());
    expect![[r#"
        propose Tick
    "#]]
    .assert_eq(&show(&leader.step(Input::Tick, TimeMs(START))));
    assert_eq!(leader.step(Input::Tick, TimeMs(START + 100_000)), []);
    assert_eq!(leader.term(), 9);
}

#[test]
fn time_that_goes_back_is_not_believed() {
    let mut hub = Hub::elected(left_behind(), 100_000);
    hub.at = 0;
    hub.tick();
    hub.at = 108_999;
    assert_eq!(hub.tick(), []);
    let lease = hub.leader.lease(&muster_model::MemberName::new("a")).expect("a lease");
    assert_eq!((lease.renewed, lease.expires), (TimeMs(START + 100_000), TimeMs(START + 118_000)));
}
