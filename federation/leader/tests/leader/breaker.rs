//! When much of the fleet falls silent at once, the hub is suspected.

use muster_model::{Command, FenceReason, Key, PartitionPolicy, Spec};

use crate::hub::{Hub, create, job_spec};

const MEMBERS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Five live members, each with a job that may run twice.
fn hub() -> Hub {
    let mut hub = Hub::new(&MEMBERS);
    for (session, member) in (1..).zip(MEMBERS) {
        hub.connect(session, member);
        // Fills a whole member, so that each gets one.
        let mut spec = job_spec(PartitionPolicy::DuplicateOk);
        spec.pod_sets[0].count = 16;
        hub.apply(create(Key::job("default", &format!("job-{member}")), Spec::Job(spec.into())));
        hub.commit();
    }
    hub
}

fn beats(hub: &mut Hub, sessions: &[u64], seconds: u64) -> usize {
    let mut replaced = 0;
    for second in 0..seconds {
        hub.wait(1_000);
        for session in sessions {
            hub.beat(*session, second + 1);
        }
        while !hub.rounds.is_empty() {
            hub.read_done();
        }
        let is_replacement =
            |c: &&Command| matches!(c, Command::FenceAttempts { reason: FenceReason::DuplicateOk, .. });
        replaced += hub.open.values().filter(is_replacement).count();
        hub.commit();
    }
    replaced
}

#[test]
fn most_of_the_fleet_silent_replaces_nothing_until_it_is_back() {
    let mut hub = hub();
    assert_eq!(beats(&mut hub, &[1, 2], 60), 0);
    assert!(hub.leader.breaker_is_open());
    hub.connect(6, "c");
    hub.commit();
    assert_eq!(beats(&mut hub, &[1, 2, 6], 15), 0, "the others may be about to come back");
    assert!(hub.leader.breaker_is_open());
    let replaced = beats(&mut hub, &[1, 2, 6], 10);
    assert!(!hub.leader.breaker_is_open());
    assert!(replaced > 0, "still two are silent of five: they, and not the hub, are at fault");
}

/// As when a frozen hub thaws: everybody was silent, and comes back one by one.
#[test]
fn whoever_comes_back_last_is_not_replaced() {
    let mut hub = hub();
    assert_eq!(beats(&mut hub, &[], 60), 0);
    let mut back = Vec::new();
    for (session, member) in (11..).zip(MEMBERS) {
        hub.connect(session, member);
        hub.commit();
        back.push(session);
        assert_eq!(beats(&mut hub, &back, 2), 0, "{member} is back");
    }
    assert_eq!(beats(&mut hub, &back, 60), 0);
    assert!(!hub.leader.breaker_is_open());
}

#[test]
fn few_silent_members_are_themselves_at_fault() {
    let mut hub = hub();
    assert!(beats(&mut hub, &[1, 2, 3], 30) > 0);
    assert!(!hub.leader.breaker_is_open());
}
