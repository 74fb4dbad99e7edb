//! Elections, reads, changes of membership and the ends of proposals, on the simulated network.

use muster_consensus::log_store::DiskFault;
use muster_consensus::{Input, MembershipChange, Outcome, ReadOutcome, Refusal, Role};

use crate::ledger::replica;
use crate::world::World;

#[test]
fn groups_of_one_three_and_five_elect_and_commit() {
    for voters in [1, 3, 5] {
        let mut world = World::new(voters, voters);
        let leader = world.elect();
        let token = world.propose(leader, "x");
        world.run_until("the commit", |world| world.answers.contains_key(&token));
        assert!(matches!(world.answers[&token], Outcome::Committed { answer: 1, .. }));
    }
}

/// A group that starts as a whole leads within 0.4 s of virtual time, in the median and nearly always.
#[test]
fn a_restarted_group_elects_quickly() {
    let mut times: Vec<u64> = (0..100)
        .map(|seed| {
            let mut world = World::new(seed, 3);
            let leader = world.elect();
            world.run(500);
            assert_eq!(world.leader(), Some(leader));
            (1..=3).for_each(|id| world.crash(id));
            (1..=3).for_each(|id| world.start(id));
            let begun = world.now;
            world.elect();
            world.now - begun
        })
        .collect();
    times.sort_unstable();
    assert!(times[50] <= 200, "median {} ms", times[50]);
    assert!(times[98] <= 700, "p99 {} ms", times[98]);
}

/// A lost leader is replaced within 0.6 s in the median.
#[test]
fn a_lost_leader_is_replaced_quickly() {
    let mut times: Vec<u64> = (0..100)
        .map(|seed| {
            let mut world = World::new(seed, 3);
            let leader = world.elect();
            world.run(1_000 + seed);
            world.crash(leader);
            let begun = world.now;
            world.elect();
            world.now - begun
        })
        .collect();
    times.sort_unstable();
    assert!(times[50] <= 500, "median {} ms", times[50]);
    assert!(times[98] <= 1_000, "p99 {} ms", times[98]);
}

#[test]
fn a_follower_refuses_and_names_the_leader() {
    let mut world = World::new(1, 3);
    let leader = world.elect();
    world.run(200);
    let follower = if leader == 1 { 2 } else { 1 };
    let token = world.propose(follower, "x");
    let expected = Outcome::Refused(Refusal::NotLeader { leader: Some(replica(leader)) });
    assert_eq!(world.answers[&token], expected);
}

#[test]
fn empty_and_oversized_proposals_are_refused() {
    let mut world = World::new(1, 1);
    world.elect();
    let empty = world.propose(1, "");
    assert_eq!(world.answers[&empty], Outcome::Refused(Refusal::Empty));
    let large = world.propose(1, vec![0; (4 << 20) + 1]);
    let expected = Outcome::Refused(Refusal::TooLarge { bytes: (4 << 20) + 1, max: 4 << 20 });
    assert_eq!(world.answers[&large], expected);
}

#[test]
fn a_leader_without_a_quorum_refuses_more_than_its_limit() {
    let mut world = World::new(1, 3);
    let leader = world.elect();
    world.run(200);
    world.cut_off(leader);
    let tokens: Vec<_> = (0..9).map(|_| world.propose(leader, vec![7; 4 << 20])).collect();
    assert_eq!(world.answers.get(&tokens[0]), None);
    assert_eq!(world.answers[&tokens[8]], Outcome::Refused(Refusal::Busy));
}

/// A proposal of a leader that is cut off: another one takes its place, and the old leader learns it.
#[test]
fn a_proposal_that_lost_is_superseded() {
    let mut world = World::new(3, 3);
    let old = world.elect();
    world.run(300);
    world.cut_off(old);
    let lost = world.propose(old, "lost");
    world.run_until("another leader", |world| world.leader().is_some_and(|leader| leader != old));
    let new = world.leader().unwrap();
    for number in 0..3 {
        world.propose(new, format!("won {number}"));
    }
    world.run(300);
    world.cut.clear();
    world.run_until("the end", |world| world.answers.contains_key(&lost));
    assert_eq!(world.answers[&lost], Outcome::Superseded);
}

/// The same, but the old leader never hears of the outcome.
#[test]
fn a_proposal_whose_end_is_not_seen_is_unknown() {
    let mut world = World::new(4, 3);
    let old = world.elect();
    world.run(300);
    world.cut_off(old);
    let token = world.propose(old, "who knows");
    world.run_until("the end", |world| world.answers.contains_key(&token));
    assert_eq!(world.answers[&token], Outcome::Unknown);
}

/// After a failed fsync nothing more is written, and what was in flight is unknown.
#[test]
fn a_failed_fsync_stops_the_driver() {
    let mut world = World::new(5, 1);
    world.elect();
    world.run(100);
    world.fail_disk(1, DiskFault::FailedSync);
    let token = world.propose(1, "x");
    assert_eq!(world.answers[&token], Outcome::Unknown);
    assert!(world.nodes[&1].driver.is_none());
}

#[test]
fn an_entry_that_cannot_be_applied_stops_the_driver() {
    let mut world = World::new(6, 1);
    world.elect();
    world.run(100);
    let token = world.propose(1, "poison");
    assert_eq!(world.answers[&token], Outcome::Unknown);
    assert!(world.nodes[&1].driver.is_none());
}

#[test]
fn reads_on_every_replica_see_what_was_acknowledged_before() {
    let mut world = World::new(7, 3);
    let leader = world.elect();
    world.run(300);
    for round in 0..20 {
        let token = world.propose(leader, format!("{round}"));
        world.run_until("the commit", |world| world.answers.contains_key(&token));
        let Outcome::Committed { index, .. } = world.answers[&token] else { panic!("not committed") };
        for id in 1..=3 {
            let read = world.read(id);
            world.run_until("the read", |world| world.reads.contains_key(&read));
            let ReadOutcome::Ready { index: seen } = world.reads[&read] else { panic!("timed out") };
            assert!(seen >= index);
            assert!(
                world.ledger(id).entries.iter().any(|(at, _)| *at == index),
                "the read came before the apply"
            );
        }
    }
}

/// A leader that was replaced without knowing it confirms no read.
#[test]
fn a_deposed_leader_answers_no_read() {
    let mut world = World::new(8, 3);
    let old = world.elect();
    world.run(300);
    world.cut_off(old);
    let read = world.read(old);
    world.run_until("another leader", |world| world.leader().is_some_and(|leader| leader != old));
    let new = world.leader().unwrap();
    world.propose(new, "newer");
    world.run_until("the read's end", |world| world.reads.contains_key(&read));
    assert_eq!(world.reads[&read], ReadOutcome::TimedOut);
}

/// Raft drops read requests without a word; the retry hides it.
#[test]
fn lost_read_requests_are_repeated() {
    let mut world = World::new(9, 3);
    let leader = world.elect();
    world.run(300);
    let follower = if leader == 1 { 2 } else { 1 };
    world.cut.insert((follower, leader));
    let read = world.read(follower);
    world.run(100);
    assert!(!world.reads.contains_key(&read));
    world.cut.clear();
    world.run_until("the read", |world| world.reads.contains_key(&read));
    assert!(matches!(world.reads[&read], ReadOutcome::Ready { .. }));
}

#[test]
fn a_learner_joins_is_promoted_and_another_is_removed() {
    let mut world = World::new(10, 3);
    let leader = world.elect();
    for number in 0..60 {
        world.propose(leader, format!("{number}"));
        world.run(5);
    }
    world.join(4);
    let refused = world.change(leader, MembershipChange::Promote(replica(4)));
    assert!(matches!(world.changes[&refused], Outcome::Refused(Refusal::ImpossibleChange(_))));
    let added = world.change(leader, MembershipChange::AddLearner(replica(4)));
    let second = world.change(leader, MembershipChange::Remove(replica(if leader == 1 { 2 } else { 1 })));
    assert_eq!(world.changes[&second], Outcome::Refused(Refusal::ChangeInProgress));
    world.run_until("the learner", |world| world.changes.contains_key(&added));
    world.run_until("the learner's state", |world| world.ledger(4).entries == world.ledger(leader).entries);
    assert!(world.ledger(4).restored > 0, "a newcomer starts from a snapshot");
    let promoted = world.change(leader, MembershipChange::Promote(replica(4)));
    world.run_until("the promotion", |world| world.changes.contains_key(&promoted));
    let removed = world.change(leader, MembershipChange::Remove(replica(if leader == 3 { 2 } else { 3 })));
    world.run_until("the removal", |world| world.changes.contains_key(&removed));
    let Outcome::Committed { answer, .. } = &world.changes[&removed] else { panic!("not removed") };
    assert_eq!((answer.voters.len(), answer.voters.contains(&replica(4))), (3, true));
    let myself = world.change(leader, MembershipChange::Remove(replica(leader)));
    assert!(matches!(world.changes[&myself], Outcome::Refused(Refusal::ImpossibleChange(_))));
}

#[test]
fn leadership_is_handed_over() {
    let mut world = World::new(11, 3);
    let old = world.elect();
    world.run(300);
    let begun = world.now;
    let to = replica(if old == 1 { 2 } else { 1 });
    world.handle(old, vec![Input::TransferLeadership { to: Some(to) }]);
    world.run_until("the successor", |world| world.leader() == Some(to.get()));
    assert!(world.now - begun < 100, "a handover takes no election timeout");
}

/// A replica that comes back does not disturb a group that has a leader.
#[test]
fn a_returning_replica_does_not_depose_the_leader() {
    let mut world = World::new(12, 3);
    let leader = world.elect();
    world.run(300);
    let term = world.statuses()[0].term;
    let other = if leader == 1 { 2 } else { 1 };
    for _ in 0..5 {
        world.cut_off(other);
        world.run(2_000);
        world.cut.clear();
        world.run(1_000);
    }
    assert_eq!(world.leader(), Some(leader));
    let status = world.statuses().into_iter().find(|status| status.role == Role::Leader).unwrap();
    assert_eq!(status.term, term);
}

/// A replica that is held back hands over, does not campaign, and still votes.
#[test]
fn a_replica_that_is_held_back_does_not_lead() {
    let mut world = World::new(13, 3);
    let old = world.elect();
    world.run(300);
    world.handle(old, vec![Input::HoldBack { held: true }]);
    world.run_until("the successor", |world| world.leader().is_some_and(|leader| leader != old));
    world.run(500);
    let second = world.leader().unwrap();
    world.crash(second);
    world.run_until("the third", |world| world.leader().is_some());
    let third = world.leader().unwrap();
    assert_ne!(third, old, "the held back replica leads");
    world.crash(third);
    world.start(second);
    world.cut_off(second);
    world.run(5_000);
    assert_eq!(world.leader(), None, "the held back replica campaigned");
    world.cut.clear();
    world.handle(old, vec![Input::HoldBack { held: false }]);
    world.heal();
}

/// Nothing else goes to the followers that could tell them: they apply it within two ways of the network, not with the next
/// heartbeat.
#[test]
fn followers_hear_of_a_commit_at_once() {
    let mut world = World::new(15, 3);
    world.faults.max_delay = 1;
    let leader = world.elect();
    world.run(300);
    for round in 0..50 {
        world.run(7);
        let token = world.propose(leader, format!("{round}"));
        world.run_until("the commit", |world| world.answers.contains_key(&token));
        world.run(1);
        let applied: Vec<_> = world.statuses().iter().map(|status| status.applied).collect();
        assert!(applied.iter().all(|index| *index == applied[0]), "round {round}: {applied:?}");
    }
}

/// What is proposed while two rounds are under way goes to the followers as one; large proposals do not wait for it.
#[test]
fn many_proposals_share_rounds() {
    for (bytes, messages) in [(10, 2 * 2), (600 << 10, 6 * 2)] {
        let mut world = World::new(16, 3);
        world.faults.max_delay = 1;
        let leader = world.elect();
        world.run(300);
        let before = world.sent_messages;
        let tokens: Vec<_> = (0..10).map(|_| world.propose(leader, vec![b'x'; bytes])).collect();
        assert_eq!(world.sent_messages - before, messages, "{bytes} bytes each");
        world.run_until("all are committed", |world| {
            tokens.iter().all(|token| matches!(world.answers.get(token), Some(Outcome::Committed { .. })))
        });
    }
}

/// A leader that finds its own removal, asked for by its predecessor, steps down and the others go on.
#[test]
fn a_leader_removed_by_its_predecessor_steps_down() {
    let mut world = World::new(14, 3);
    world.faults.max_delay = 1;
    let first = world.elect();
    world.run(300);
    let (second, third) = if first == 1 { (2, 3) } else { (1, 6 - first - 1) };
    world.cut_off(third);
    world.cut.insert((second, first));
    let removal = world.change(first, MembershipChange::Remove(replica(second)));
    let more = world.propose(first, "after the removal");
    world.run(20);
    assert!(!world.changes.contains_key(&removal) && !world.answers.contains_key(&more));
    world.crash(first);
    world.cut.clear();
    world.run_until("the leader that is to go", |world| world.leader() == Some(second));
    world.start(first);
    world.run_until("a leader of those left", |world| world.leader().is_some_and(|leader| leader != second));
    let leader = world.leader().unwrap();
    let token = world.propose(leader, "still writing");
    world.run_until("a write", |world| world.answers.contains_key(&token));
    assert!(matches!(world.answers[&token], Outcome::Committed { .. }));
    assert!(world.ledger(leader).entries.iter().any(|(_, bytes)| bytes == "after the removal"));
}

/// Its folder was replaced by an empty one: it gets everything again, with or without anything new to replicate, in a long
/// absence or none, from the log or from a snapshot. Nothing but its own answers tells the leader.
#[test]
fn a_follower_that_lost_its_log_gets_it_again() {
    for (seed, proposals, absence, meanwhile) in [
        (1, 10, 0, 0),
        (2, 10, 2_000, 0),
        (3, 10, 2_000, 3),
        (4, 60, 0, 0),
        (5, 60, 2_000, 3),
        (6, 60, 40, 1),
    ] {
        let mut world = World::new(seed, 3);
        let leader = world.elect();
        for number in 0..proposals {
            world.propose(leader, format!("{number}"));
            world.run(5);
        }
        world.run(500);
        let follower = if leader == 1 { 2 } else { 1 };
        world.crash(follower);
        world.wipe(follower);
        for number in 0..meanwhile {
            world.propose(leader, format!("meanwhile {number}"));
        }
        world.run(absence);
        world.start(follower);
        world.run_until("what was lost", |world| {
            world.ledger(follower).entries == world.ledger(leader).entries
        });
        assert_eq!(world.leader(), Some(leader), "seed {seed}");
    }
}
