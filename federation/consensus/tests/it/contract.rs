//! The contract of `LogStore`, for every implementation; and for the one on disk, what damage does.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use muster_consensus::log_store::{DiskFault, LogStore, MemoryDisk, RedbLogStore, RedbOptions, StoreError};
use muster_consensus::snapshot::SnapshotMeta;
use muster_consensus::{
    Batch, EntryKind, HardState, LogEntry, LogPosition, Membership, Restored, SnapshotWrite,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::faulty::{self, Fault, FaultyDisk};
use crate::ledger::{identity, replica};

/// A disk on which a store can be opened again and again.
trait Subject {
    type Store: LogStore;
    fn fresh() -> Self;
    fn open(&self) -> Self::Store;
    fn inject(&self, fault: Fault);
    /// Lose power with the store open.
    fn crash(&self, store: Self::Store);
}

struct OnDisk {
    options: RedbOptions,
    disk: FaultyDisk,
    _folder: TempDir,
}

impl Subject for OnDisk {
    type Store = RedbLogStore;

    fn fresh() -> Self {
        let folder = TempDir::new().unwrap();
        let options = RedbOptions::new(folder.path().join("replica"), identity(1));
        Self { options, disk: FaultyDisk::default(), _folder: folder }
    }

    fn open(&self) -> RedbLogStore {
        self.disk.open(&self.options).unwrap()
    }

    fn inject(&self, fault: Fault) {
        self.disk.inject(fault);
    }

    fn crash(&self, store: RedbLogStore) {
        self.disk.cut_power();
        drop(store);
    }
}

impl Subject for MemoryDisk {
    type Store = muster_consensus::log_store::MemoryLogStore;

    fn fresh() -> Self {
        Self::new(identity(1))
    }

    fn open(&self) -> Self::Store {
        Self::open(self)
    }

    fn inject(&self, fault: Fault) {
        Self::inject(
            self,
            match fault {
                Fault::Full => DiskFault::Full,
                Fault::FailedSync => DiskFault::FailedSync,
            },
        );
    }

    fn crash(&self, store: Self::Store) {
        Self::crash(self);
        drop(store);
    }
}

fn entry(index: u64, term: u64) -> LogEntry {
    let bytes = Bytes::from(format!("entry {index} of term {term}"));
    LogEntry { index, term, kind: EntryKind::Normal, bytes }
}

fn append(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Batch {
    let hard_state = HardState { term, vote: 1, commit: indexes.start() - 1 };
    Batch { hard_state, entries: indexes.map(|index| entry(index, term)).collect(), ..Batch::default() }
}

fn snapshot(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta { index, term, membership: Membership::of_voters([replica(1)]), content: None }
}

/// What must be there, apart from the number of starts.
fn model(batches: &[Batch]) -> Restored {
    let mut model = Restored {
        incarnation: 0,
        hard_state: HardState::default(),
        snapshot: SnapshotMeta::default(),
        compacted: LogPosition::default(),
        entries: Vec::new(),
    };
    for batch in batches {
        match &batch.snapshot {
            Some(SnapshotWrite::Installed(meta)) => {
                model.entries.clear();
                model.compacted = LogPosition { index: meta.index, term: meta.term };
                model.snapshot = meta.clone();
            }
            Some(SnapshotWrite::Recorded(meta)) => model.snapshot = meta.clone(),
            None => {}
        }
        if let Some(first) = batch.entries.first() {
            model.entries.retain(|entry| entry.index < first.index);
            model.entries.extend(batch.entries.clone());
        }
        if let Some(to) = batch.compacted {
            model.entries.retain(|entry| entry.index > to.index);
            model.compacted = to;
        }
        model.hard_state = batch.hard_state;
    }
    model
}

fn load(store: &mut impl LogStore) -> Restored {
    Restored { incarnation: 0, ..store.load().unwrap() }
}

fn written<S: Subject>(batches: &[Batch]) -> (S, S::Store) {
    let subject = S::fresh();
    let mut store = subject.open();
    store.load().unwrap();
    batches.iter().for_each(|batch| store.persist(batch).unwrap());
    (subject, store)
}

fn reopened_equals_model<S: Subject>(batches: &[Batch]) {
    let (subject, store) = written::<S>(batches);
    drop(store);
    assert_eq!(load(&mut subject.open()), model(batches), "after a clean stop");
    let (subject, store) = written::<S>(batches);
    subject.crash(store);
    assert_eq!(load(&mut subject.open()), model(batches), "after a crash");
}

fn keeps_what_was_written<S: Subject>() {
    reopened_equals_model::<S>(&[]);
    reopened_equals_model::<S>(&[append(1..=3, 1), append(4..=4, 1)]);
}

fn truncates<S: Subject>() {
    reopened_equals_model::<S>(&[append(1..=9, 1), append(4..=5, 2)]);
    reopened_equals_model::<S>(&[append(1..=9, 1), append(1..=1, 2)]);
}

fn compacts<S: Subject>() {
    let hard_state = HardState { term: 1, vote: 1, commit: 2_000 };
    let compact = Batch {
        hard_state,
        snapshot: Some(SnapshotWrite::Recorded(snapshot(1_500, 1))),
        compacted: Some(LogPosition { index: 1_200, term: 1 }),
        ..Batch::default()
    };
    reopened_equals_model::<S>(&[append(1..=2_000, 1), compact.clone()]);
    reopened_equals_model::<S>(&[
        append(1..=2_000, 1),
        compact,
        append(2_001..=2_002, 1),
        append(2_003..=2_003, 1),
    ]);
}

fn installs<S: Subject>() {
    let hard_state = HardState { term: 2, vote: 0, commit: 50 };
    let install =
        Batch { hard_state, snapshot: Some(SnapshotWrite::Installed(snapshot(50, 2))), ..Batch::default() };
    reopened_equals_model::<S>(&[append(1..=9, 1), install.clone()]);
    reopened_equals_model::<S>(&[append(1..=9, 1), install, append(51..=53, 2)]);
    reopened_equals_model::<S>(&[Batch::bootstrap(Membership::of_voters([replica(1), replica(2)]))]);
}

fn counts_starts<S: Subject>() {
    let subject = S::fresh();
    for start in 1..4 {
        let mut store = subject.open();
        assert_eq!(store.load().unwrap().incarnation, start);
    }
}

fn gives_ranges<S: Subject>() {
    let (_subject, store) = written::<S>(&[append(1..=9, 1)]);
    let indexes: Vec<u64> = store.entries(3..6).unwrap().iter().map(|entry| entry.index).collect();
    assert_eq!(indexes, [3, 4, 5]);
    assert!(store.entries(20..30).unwrap().is_empty());
}

fn loses_nothing_acknowledged<S: Subject>(fault: Fault) {
    let (subject, mut store) = written::<S>(&[append(1..=3, 1)]);
    subject.inject(fault);
    let error = store.persist(&append(4..=4, 1)).unwrap_err();
    assert_eq!(matches!(error, StoreError::Full { .. }), fault == Fault::Full, "{error}");
    let error = store.persist(&append(4..=4, 1)).unwrap_err();
    assert!(matches!(error, StoreError::Stopped { .. }), "a failed write was retried: {error}");
    subject.crash(store);
    let mut store = subject.open();
    assert_eq!(load(&mut store), model(&[append(1..=3, 1)]));
    store.persist(&append(4..=4, 1)).unwrap();
}

macro_rules! contract {
    ($name:ident, $subject:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn keeps_what_was_written() {
                super::keeps_what_was_written::<$subject>();
            }
            #[test]
            fn truncates() {
                super::truncates::<$subject>();
            }
            #[test]
            fn compacts() {
                super::compacts::<$subject>();
            }
            #[test]
            fn installs() {
                super::installs::<$subject>();
            }
            #[test]
            fn counts_starts() {
                super::counts_starts::<$subject>();
            }
            #[test]
            fn gives_ranges() {
                super::gives_ranges::<$subject>();
            }
            #[test]
            fn a_full_disk_loses_nothing_acknowledged() {
                super::loses_nothing_acknowledged::<$subject>(Fault::Full);
            }
            #[test]
            fn a_failed_fsync_is_final() {
                super::loses_nothing_acknowledged::<$subject>(Fault::FailedSync);
            }

            proptest! {
                #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
                #[test]
                fn any_sequence_survives(batches in super::batches()) {
                    super::reopened_equals_model::<$subject>(&batches);
                }
            }
        }
    };
}

contract!(memory, MemoryDisk);
contract!(on_disk, OnDisk);

/// Sound sequences: contiguous, compacting only what is committed and in a snapshot.
fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let step = (0..10_u8, 1..6_u64, 0..4_u64);
    proptest::collection::vec(step, 0..12).prop_map(|steps| {
        let (mut last, mut committed, mut compacted, mut batches) = (0, 0, 0, Vec::new());
        for (term, (kind, length, back)) in (1..).zip(steps) {
            let mut batch = Batch::default();
            match kind {
                0..7 => {
                    let from = (last + 1 - back.min(last - committed)).max(committed + 1);
                    batch = append(from..=from + length - 1, term);
                    last = from + length - 1;
                    committed = committed.max(last.saturating_sub(back));
                }
                7..9 => {
                    compacted = committed;
                    batch.snapshot = Some(SnapshotWrite::Recorded(snapshot(committed, term)));
                    batch.compacted = Some(LogPosition { index: compacted, term });
                }
                _ => {
                    (last, committed, compacted) = (last + length, last + length, last + length);
                    batch.snapshot = Some(SnapshotWrite::Installed(snapshot(last, term)));
                }
            }
            assert!(compacted <= committed && committed <= last);
            batch.hard_state = HardState { term, vote: back, commit: committed };
            batches.push(batch);
        }
        batches
    })
}

/// The files of a small log, after a clean stop or after a crash.
fn small_log(clean: bool) -> (OnDisk, Restored) {
    let batches = [
        Batch::bootstrap(Membership::of_voters([replica(1)])),
        append(2..=12, 1),
        append(9..=14, 2),
        Batch { hard_state: HardState { term: 3, vote: 2, commit: 10 }, ..Batch::default() },
    ];
    let (subject, store) = written::<OnDisk>(&batches);
    if clean {
        drop(store);
    } else {
        subject.crash(store);
    }
    (subject, model(&batches))
}

/// Open a folder whose files were damaged: it must refuse and name the file, or show everything that was written.
fn refuses_or_shows_all(folder: &Path, expected: &Restored, what: &str) -> bool {
    let opened = RedbLogStore::open(&RedbOptions::new(folder, identity(1)));
    match opened.and_then(|mut store| store.load()) {
        Ok(found) => {
            assert_eq!(Restored { incarnation: 0, ..found }, *expected, "{what} went unnoticed");
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("log."), "{what}: the error names no file: {text}");
            assert!(
                !matches!(error, StoreError::Io { .. } | StoreError::Full { .. }) || text.contains("open"),
                "{what}: {text}"
            );
            true
        }
    }
}

/// Copies of a folder to damage, one after the other, in memory where there is some.
struct Copies {
    folder: TempDir,
    log: Vec<u8>,
    mark: Vec<u8>,
}

impl Copies {
    fn of(original: &OnDisk) -> Self {
        let log = fs::read(original.options.folder.join("log.redb")).unwrap();
        let mark = fs::read(original.options.folder.join("log.mark")).unwrap();
        Self { folder: TempDir::new().unwrap(), log, mark }
    }

    fn write(&self, log: &[u8], mark: &[u8]) -> PathBuf {
        fs::write(self.folder.path().join("log.redb"), log).unwrap();
        fs::write(self.folder.path().join("log.mark"), mark).unwrap();
        self.folder.path().to_owned()
    }
}

fn flipped_bits_are_found(clean: bool, stride: usize) {
    let (original, expected) = small_log(clean);
    let copies = Copies::of(&original);
    let used: Vec<usize> = (0..copies.log.len()).filter(|at| copies.log[*at] != 0).collect();
    let mut refused = 0;
    for at in used.into_iter().step_by(stride) {
        let mut log = copies.log.clone();
        log[at] ^= 1 << (at % 8);
        let folder = copies.write(&log, &copies.mark);
        refused +=
            usize::from(refuses_or_shows_all(&folder, &expected, &format!("a flipped bit at offset {at}")));
    }
    assert!(refused > 5, "only {refused} flipped bits were refused");
}

#[test]
fn a_flipped_bit_in_a_closed_log_is_found() {
    flipped_bits_are_found(true, 61);
}

#[test]
fn a_flipped_bit_in_a_crashed_log_is_found() {
    flipped_bits_are_found(false, 127);
}

/// The last slot of the mark may be damaged without harm: the other one still holds the number before.
#[test]
fn a_damaged_mark_never_hides_a_loss() {
    let (original, expected) = small_log(true);
    let copies = Copies::of(&original);
    for at in 0..copies.mark.len() {
        let mut mark = copies.mark.clone();
        mark[at] ^= 0x10;
        refuses_or_shows_all(&copies.write(&copies.log, &mark), &expected, &format!("byte {at} of the mark"));
    }
    let folder = copies.write(&copies.log, &vec![0; copies.mark.len()]);
    assert!(refuses_or_shows_all(&folder, &expected, "an empty mark"));
}

#[test]
fn a_truncated_log_is_refused() {
    for clean in [true, false] {
        let (original, expected) = small_log(clean);
        let copies = Copies::of(&original);
        let length = copies.log.len();
        let cuts = (0..length).step_by(length / 40).chain([1, 512, 4_095, 4_096, length - 4_096, length - 1]);
        let refused = cuts.filter(|cut| {
            let folder = copies.write(&copies.log[..*cut], &copies.mark);
            refuses_or_shows_all(&folder, &expected, &format!("a cut at offset {cut}"))
        });
        assert!(refused.count() > 30);
    }
}

/// An old copy of the log under a new mark: acknowledged batches are missing.
#[test]
fn a_log_older_than_its_mark_is_refused() {
    let (subject, mut store) = written::<OnDisk>(&[append(1..=3, 1)]);
    let old = Copies::of(&subject);
    store.persist(&append(4..=4, 1)).unwrap();
    drop(store);
    let new = Copies::of(&subject);
    let folder = new.write(&old.log, &new.mark);
    let mut store = RedbLogStore::open(&RedbOptions::new(folder, identity(1))).unwrap();
    let error = store.load().unwrap_err();
    assert!(error.to_string().contains("was durable"), "{error}");
}

/// The last batch torn at every point: each write of it lost from there on, or alone.
#[test]
fn a_torn_batch_is_there_as_a_whole_or_not_at_all() {
    let (subject, mut store) = written::<OnDisk>(&[append(1..=3, 1)]);
    let before = Copies::of(&subject);
    subject.inject(Fault::FailedSync);
    store.persist(&append(3..=9, 2)).unwrap_err();
    let changes = subject.disk.cut_power();
    drop(store);
    assert!(changes.len() > 2, "the batch made only {} writes", changes.len());
    let (old, new) = (model(&[append(1..=3, 1)]), model(&[append(1..=3, 1), append(3..=9, 2)]));
    for lost in 0..=changes.len() {
        for alone in [false, true] {
            let mut log = before.log.clone();
            let kept =
                changes.iter().enumerate().filter(|(at, _)| if alone { *at != lost } else { *at < lost });
            kept.for_each(|(_, change)| faulty::apply(change, &mut log));
            let folder = before.write(&log, &before.mark);
            let mut store = RedbLogStore::open(&RedbOptions::new(folder, identity(1))).unwrap();
            let found = load(&mut store);
            assert!(found == old || found == new, "torn at write {lost} (alone: {alone}): {found:?}");
        }
    }
}

#[test]
fn a_folder_of_another_replica_is_refused() {
    let (subject, store) = written::<OnDisk>(&[]);
    drop(store);
    let options = RedbOptions::new(&subject.options.folder, identity(2));
    let error = RedbLogStore::open(&options).unwrap_err();
    assert!(matches!(error, StoreError::WrongOwner { .. }), "{error}");
    assert!(error.to_string().contains("replica 1 of cluster"), "{error}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let (subject, _store) = written::<OnDisk>(&[]);
    let error = RedbLogStore::open(&subject.options).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn missing_files_are_refused() {
    for (gone, named) in [("log.redb", "log.redb"), ("log.mark", "log.mark")] {
        let (original, expected) = small_log(true);
        let copies = Copies::of(&original);
        let folder = copies.write(&copies.log, &copies.mark);
        fs::remove_file(folder.join(gone)).unwrap();
        assert!(refuses_or_shows_all(&folder, &expected, "a missing file"));
        let error = RedbLogStore::open(&RedbOptions::new(&folder, identity(1))).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// A crash while a new log is made leaves nothing that counts.
#[test]
fn a_half_made_log_is_made_again() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log.new"), b"half").unwrap();
    let mut store = RedbLogStore::open(&RedbOptions::new(folder.path(), identity(1))).unwrap();
    assert!(store.load().unwrap().is_fresh());
}
