//! Snapshots on the simulated network: made beside the loop, sent in chunks, resumed, checked.

use muster_consensus::Event;
use muster_consensus::snapshot::CHUNK_BYTES;

use crate::world::{Faults, World, small_config};

/// A group of three in which one replica missed more than the log keeps.
fn world_with_laggard(payload: usize) -> (World, u64, u64) {
    let mut world = World::with_config(21, 3, small_config(21, 3));
    let leader = world.elect();
    world.run(200);
    let laggard = if leader == 1 { 2 } else { 1 };
    world.crash(laggard);
    for number in 0..60_u64 {
        let mut bytes = vec![0; payload];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        world.propose(leader, bytes);
        world.run(30);
    }
    world.run_until("a snapshot that covers what the laggard misses", |world| {
        let status = world.statuses().into_iter().find(|status| status.id.get() == leader).unwrap();
        status.snapshot_index > 20
    });
    (world, leader, laggard)
}

fn caught_up(world: &World, laggard: u64, leader: u64) -> bool {
    world.ledger(laggard).entries == world.ledger(leader).entries
}

#[test]
fn a_laggard_catches_up_in_chunks_on_a_bad_network() {
    let (mut world, leader, laggard) = world_with_laggard(100_000);
    world.faults = Faults { dropped: 100, duplicated: 100, max_delay: 10 };
    world.start(laggard);
    world.run_until("the snapshot's end", |world| caught_up(world, laggard, leader));
    assert!(world.ledger(laggard).restored > 0);
    let large = world.events.iter().any(
        |(_, event)| matches!(event, Event::SnapshotRecorded { size_bytes, .. } if *size_bytes > 3 * CHUNK_BYTES as u64),
    );
    assert!(large, "the snapshot was one chunk only");
}

/// A link that breaks in the middle does not start the transfer over.
#[test]
fn a_transfer_resumes_where_it_stopped() {
    let (mut world, leader, laggard) = world_with_laggard(100_000);
    world.start(laggard);
    let begun = world.sent_messages;
    for _ in 0..6 {
        world.run(25);
        world.cut_off(laggard);
        world.run(700);
        world.cut.clear();
    }
    world.run_until("the snapshot's end", |world| caught_up(world, laggard, leader));
    assert!(world.sent_messages > begun);
    assert!(world.ledger(laggard).restored > 0);
}

/// A restart in the middle: the follower's staged part is lost with the simulated crash, and it begins again.
#[test]
fn a_follower_that_crashes_during_the_transfer_begins_again() {
    let (mut world, leader, laggard) = world_with_laggard(100_000);
    world.start(laggard);
    world.run_until("the transfer's begin", |world| world.sent_messages > 0);
    world.run(60);
    world.crash(laggard);
    world.start(laggard);
    world.run_until("the snapshot's end", |world| caught_up(world, laggard, leader));
}

/// The leader is lost in the middle: its successor offers its own snapshot.
#[test]
fn a_new_leader_takes_the_transfer_over() {
    let (mut world, leader, laggard) = world_with_laggard(100_000);
    world.start(laggard);
    world.run(60);
    world.crash(leader);
    world.run_until("another leader", |world| world.leader().is_some());
    let new = world.leader().unwrap();
    world.run_until("the snapshot's end", |world| caught_up(world, laggard, new));
}

#[test]
fn old_snapshots_are_removed() {
    let (mut world, leader, _) = world_with_laggard(100);
    for number in 0..100 {
        world.propose(leader, format!("more {number}"));
        world.run(20);
    }
    world.run(10_000);
    use muster_consensus::log_store::LogStore;
    let finished = world.nodes[&leader].driver.as_ref().unwrap().store().snapshots().finished();
    assert_eq!(finished.len(), 1);
}

#[test]
fn a_restart_from_a_snapshot_gives_the_same_state() {
    let (mut world, leader, _) = world_with_laggard(100);
    let before = world.ledger(leader).entries.clone();
    world.crash(leader);
    world.start(leader);
    assert!(world.ledger(leader).restored > 0);
    world.run_until("the state", |world| world.ledger(leader).entries.len() >= before.len());
    assert_eq!(world.ledger(leader).entries[..before.len()], before[..]);
}
