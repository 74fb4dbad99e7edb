//! The contract of `LogStore`, for every implementation.

use std::path::Path;

use bytes::Bytes;
use muster_consensus::log_store::{
    DiskFault, LogStore, MemoryDisk, SegmentLogStore, SegmentOptions, StoreError,
};
use muster_consensus::snapshot::SnapshotMeta;
use muster_consensus::{
    Batch, EntryKind, HardState, LogEntry, LogPosition, Membership, Restored, SnapshotWrite,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::faulty::{Fault, FaultyDisk};
use crate::ledger::{identity, replica};

/// A disk on which a store can be opened again and again.
pub trait Subject {
    type Store: LogStore;
    fn fresh() -> Self;
    fn open(&self) -> Self::Store;
    fn inject(&self, fault: Fault);
    /// Lose power with the store open.
    fn crash(&self, store: Self::Store);
}

pub struct OnDisk {
    pub options: SegmentOptions,
    pub disk: FaultyDisk,
    _folder: TempDir,
}

impl Subject for OnDisk {
    type Store = SegmentLogStore;

    fn fresh() -> Self {
        let folder = TempDir::new().unwrap();
        let options = small_segments(&folder.path().join("replica"));
        Self { options, disk: FaultyDisk::default(), _folder: folder }
    }

    fn open(&self) -> SegmentLogStore {
        self.disk.open(&self.options).unwrap()
    }

    fn inject(&self, fault: Fault) {
        self.disk.inject(fault);
    }

    fn crash(&self, store: SegmentLogStore) {
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

/// Segments as small as they can be.
pub fn small_segments(folder: &Path) -> SegmentOptions {
    SegmentOptions { segment_bytes: 12 << 10, ..SegmentOptions::new(folder, identity(1)) }
}

pub fn entry(index: u64, term: u64) -> LogEntry {
    let bytes = Bytes::from(format!("entry {index} of term {term}"));
    LogEntry { index, term, kind: EntryKind::Normal, bytes }
}

pub fn append(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Batch {
    let hard_state = HardState { term, vote: 1, commit: indexes.start() - 1 };
    Batch { hard_state, entries: indexes.map(|index| entry(index, term)).collect(), ..Batch::default() }
}

pub fn snapshot(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta { index, term, membership: Membership::of_voters([replica(1)]), content: None }
}

/// What must be there, apart from the number of starts.
pub fn model(batches: &[Batch]) -> Restored {
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

pub fn load(store: &mut impl LogStore) -> Restored {
    Restored { incarnation: 0, ..store.load().unwrap() }
}

pub fn written<S: Subject>(batches: &[Batch]) -> (S, S::Store) {
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
