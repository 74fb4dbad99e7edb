//! Snapshots on the simulated network: made beside the loop, sent in chunks, resumed, checked.

use std::fs;

use muster_consensus::log_store::{LogStore, SegmentLogStore, SegmentOptions};
use muster_consensus::snapshot::{
    CHUNK_BYTES, ContentHash, MemorySnapshots, SnapshotFiles, SnapshotStore, SnapshotWriter,
};
use muster_consensus::{Driver, DriverConfig, Effects, Event, Input, Membership, Outbound, Token};
use tempfile::TempDir;

use crate::ledger::{Ledger, identity, replica};
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

fn written<S: SnapshotStore>(store: &S, parts: &[&[u8]]) -> ContentHash {
    let mut writer = store.create().unwrap();
    parts.iter().for_each(|part| writer.append(part).unwrap());
    writer.finish().unwrap().hash
}

fn keeps_content<S: SnapshotStore>(from: &S, to: &S) {
    let hash = written(from, &[b"one ", b"two"]);
    assert_eq!(&from.read_chunk(&hash, 0).unwrap().unwrap()[..], b"one two");
    assert_eq!(&from.read_chunk(&hash, 4).unwrap().unwrap()[..], b"two");
    assert!(from.read_chunk(&hash, 7).unwrap().unwrap().is_empty());
    assert_eq!(to.read_chunk(&hash, 0).unwrap(), None);

    let mut staged = to.stage(&hash).unwrap();
    staged.append(b"one ").unwrap();
    drop(staged);
    let mut resumed = to.stage(&hash).unwrap();
    assert_eq!(resumed.written_bytes(), 4);
    resumed.append(b"two").unwrap();
    assert_eq!(resumed.finish().unwrap().hash, hash);

    let announced = ContentHash([9; 32]);
    let mut wrong = to.stage(&announced).unwrap();
    wrong.append(b"not what was announced").unwrap();
    assert!(wrong.finish().is_err());
    assert_eq!(to.read_chunk(&announced, 0).unwrap(), None);
    assert_eq!(to.stage(&announced).unwrap().written_bytes(), 0, "the wrong content was kept");

    to.retain(&[]).unwrap();
    assert_eq!(to.read_chunk(&hash, 0).unwrap(), None);
}

#[test]
fn both_stores_keep_resume_check_and_drop_content() {
    keeps_content(&MemorySnapshots::default(), &MemorySnapshots::default());
    let folders = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let open = |folder: &TempDir| SnapshotFiles::open(folder.path()).unwrap();
    keeps_content(&open(&folders.0), &open(&folders.1));
}

/// A driver on real files that has taken one snapshot.
fn driver_with_snapshot(folder: &TempDir) -> Result<Driver<SegmentLogStore, Ledger>, String> {
    let mut config =
        DriverConfig { bootstrap: Some(Membership::of_voters([replica(1)])), ..DriverConfig::default() };
    config.compaction.snapshot_after_entries = 10;
    let store =
        SegmentLogStore::open(&SegmentOptions::new(folder.path(), identity(1))).map_err(|e| e.to_string())?;
    Driver::open(&config, store, Ledger::default()).map_err(|error| error.to_string())
}

fn run_until_snapshot(driver: &mut Driver<SegmentLogStore, Ledger>) {
    let mut outbox: Vec<Outbound> = Vec::new();
    for number in 0..100 {
        let mut effects = Effects::default();
        let bytes = format!("{number}").into();
        driver
            .handle([Input::Tick, Input::Propose { token: Token(number), bytes }], &mut outbox, &mut effects)
            .unwrap();
        if let Some(job) = effects.snapshot_job {
            let written = Input::SnapshotWritten(job.run());
            driver.handle([written], &mut outbox, &mut Effects::default()).unwrap();
            return;
        }
    }
    panic!("no snapshot was taken");
}

#[test]
fn a_damaged_or_missing_snapshot_file_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let mut driver = driver_with_snapshot(&folder).unwrap();
    run_until_snapshot(&mut driver);
    drop(driver);
    assert!(driver_with_snapshot(&folder).unwrap().machine().restored > 0);
    let file = only_snapshot(&folder);
    let sound = fs::read(&file).unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        fs::write(&file, damaged).unwrap();
        let error = driver_with_snapshot(&folder).err().expect("a damaged snapshot was taken");
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
    fs::remove_file(&file).unwrap();
    let error = driver_with_snapshot(&folder).err().expect("a missing snapshot went unnoticed");
    assert!(error.contains(file.to_str().unwrap()) && error.contains("missing"), "{error}");
}

/// Sound in itself, and another one than the log goes on from.
#[test]
fn an_older_snapshot_in_the_place_of_the_last_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let mut driver = driver_with_snapshot(&folder).unwrap();
    run_until_snapshot(&mut driver);
    let older = fs::read(only_snapshot(&folder)).unwrap();
    run_until_snapshot(&mut driver);
    drop(driver);
    drop(driver_with_snapshot(&folder).unwrap());
    let last = only_snapshot(&folder);
    assert_ne!(older, fs::read(&last).unwrap());
    fs::write(&last, older).unwrap();
    let error = driver_with_snapshot(&folder).err().expect("an older snapshot was taken");
    assert!(error.contains(last.to_str().unwrap()) && error.contains("have the hash"), "{error}");
}

/// The one that is kept.
fn only_snapshot(folder: &TempDir) -> std::path::PathBuf {
    let files = fs::read_dir(folder.path().join("snapshots")).unwrap().map(|file| file.unwrap().path());
    let mut kept = files.filter(|path| path.extension().is_some_and(|extension| extension == "snap"));
    let only = kept.next().unwrap();
    assert_eq!(kept.next(), None);
    only
}
