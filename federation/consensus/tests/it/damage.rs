//! What damage, torn writes and lost files do to the log on disk: refused by name, or nothing is missing.

use std::fs;
use std::path::{Path, PathBuf};

use muster_consensus::log_store::{LogStore, SegmentLogStore, SegmentOptions, StoreError};
use muster_consensus::{Batch, HardState, LogPosition, Membership, Restored, SnapshotWrite};
use tempfile::TempDir;

use crate::contract::{OnDisk, Subject, append, entry, load, model, snapshot, written};
use crate::faulty::Fault;
use crate::ledger::{identity, replica};

/// The first segment of a log.
const FIRST: &str = "log.00000000000000000001";

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
    let opened = SegmentLogStore::open(&SegmentOptions::new(folder, identity(1)));
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
        let log = fs::read(original.options.folder.join(FIRST)).unwrap();
        let mark = fs::read(original.options.folder.join("log.mark")).unwrap();
        Self { folder: TempDir::new().unwrap(), log, mark }
    }

    fn write(&self, log: &[u8], mark: &[u8]) -> PathBuf {
        fs::write(self.folder.path().join(FIRST), log).unwrap();
        fs::write(self.folder.path().join("log.mark"), mark).unwrap();
        self.folder.path().to_owned()
    }
}

/// Each byte of a small log, one after the other; only what pads a record may change without harm.
fn flipped_bits_are_found(clean: bool) {
    let (original, expected) = small_log(clean);
    let copies = Copies::of(&original);
    let used: Vec<usize> = (0..copies.log.len()).filter(|at| copies.log[*at] != 0).collect();
    let refused = used.iter().filter(|at| {
        let mut log = copies.log.clone();
        log[**at] ^= 1 << (**at % 8);
        let folder = copies.write(&log, &copies.mark);
        refuses_or_shows_all(&folder, &expected, &format!("a flipped bit at offset {at}"))
    });
    assert_eq!(refused.count(), used.len());
}

#[test]
fn a_flipped_bit_in_a_closed_log_is_found() {
    flipped_bits_are_found(true);
}

#[test]
fn a_flipped_bit_in_a_crashed_log_is_found() {
    flipped_bits_are_found(false);
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
        let cuts = (0..length).step_by(length / 40).chain([1, 63, 64, 65, length - 4_096, length - 1]);
        for cut in cuts {
            let folder = copies.write(&copies.log[..cut], &copies.mark);
            assert!(refuses_or_shows_all(&folder, &expected, &format!("a cut at offset {cut}")));
        }
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
    let mut store = SegmentLogStore::open(&SegmentOptions::new(folder, identity(1))).unwrap();
    let error = store.load().unwrap_err();
    assert!(error.to_string().contains("was durable"), "{error}");
}

/// The last batch torn at every byte: only what is before it arrived, or only what is behind it.
#[test]
fn a_torn_batch_is_there_as_a_whole_or_not_at_all() {
    let (subject, mut store) = written::<OnDisk>(&[append(1..=3, 1)]);
    let before = Copies::of(&subject);
    subject.inject(Fault::FailedSync);
    store.persist(&append(3..=9, 2)).unwrap_err();
    let changes = subject.disk.cut_power();
    drop(store);
    let [change] = &changes[..] else { panic!("a batch is one write: {changes:?}") };
    let (old, new) = (model(&[append(1..=3, 1)]), model(&[append(1..=3, 1), append(3..=9, 2)]));
    let (at, length) = (usize::try_from(change.offset).unwrap(), change.bytes.len());
    for torn in 0..=length {
        for kept in [0..torn, torn..length] {
            let mut log = before.log.clone();
            log[at + kept.start..at + kept.end].copy_from_slice(&change.bytes[kept.clone()]);
            let folder = before.write(&log, &before.mark);
            let mut store = SegmentLogStore::open(&SegmentOptions::new(folder, identity(1))).unwrap();
            let found = load(&mut store);
            assert!(found == old || found == new, "torn, {kept:?} of {length} bytes arrived: {found:?}");
            // Whatever is left of it is no obstacle.
            store.persist(&append(4..=4, 3)).unwrap();
            drop(store);
            let mut store =
                SegmentLogStore::open(&SegmentOptions::new(before.folder.path(), identity(1))).unwrap();
            assert_eq!(load(&mut store).entries.last(), Some(&entry(4, 3)));
        }
    }
}

/// Fills segment after segment, compacting behind: what is stored stays as it should be, files stay few, and a log that goes
/// on in several of them is checked in all of them.
#[test]
fn segments_come_and_go() {
    let subject = OnDisk::fresh();
    let mut batches = Vec::new();
    let mut store = subject.open();
    store.load().unwrap();
    for round in 0..412 {
        let first = 4 * round + 1;
        let mut batch = append(first..=first + 3, 1);
        batch.entries.iter_mut().for_each(|entry| entry.bytes = vec![round as u8; 400].into());
        if round % 25 == 24 {
            batch.snapshot = Some(SnapshotWrite::Recorded(snapshot(first - 1, 1)));
            batch.compacted = Some(LogPosition { index: first - 20, term: 1 });
        }
        store.persist(&batch).unwrap();
        batches.push(batch);
        if round % 40 == 0 {
            subject.crash(store);
            store = subject.open();
            assert_eq!(load(&mut store), model(&batches), "after round {round}");
        }
    }
    drop(store);
    let files: Vec<_> =
        fs::read_dir(&subject.options.folder).unwrap().map(|file| file.unwrap().path()).collect();
    let segments = files.iter().filter(|path| path.to_string_lossy().contains("log.0")).count();
    assert!((2..12).contains(&segments), "{files:?}");
    assert!(files.len() < 18, "{files:?}");

    let mut oldest: Vec<_> = files.iter().filter(|path| path.to_string_lossy().contains("log.0")).collect();
    oldest.sort();
    let intact = fs::read(oldest[0]).unwrap();
    let mut flipped = intact.clone();
    flipped[intact.len() / 3] ^= 4;
    fs::write(oldest[0], &flipped).unwrap();
    let error = subject.open().load().unwrap_err();
    assert!(error.to_string().contains("damaged at offset"), "{error}");
    fs::remove_file(oldest[0]).unwrap();
    let error = subject.open().load().unwrap_err();
    assert!(error.to_string().contains("entries were written"), "{error}");
    fs::write(oldest[0], &intact).unwrap();
    for gone in [oldest[1], oldest[oldest.len() - 1]] {
        fs::remove_file(gone).unwrap();
        let error = subject.open().load().unwrap_err();
        assert!(error.to_string().contains("was durable"), "{error}");
    }
}

#[test]
fn a_folder_of_another_replica_is_refused() {
    let (subject, store) = written::<OnDisk>(&[]);
    drop(store);
    let options = SegmentOptions::new(&subject.options.folder, identity(2));
    let error = SegmentLogStore::open(&options).unwrap_err();
    assert!(matches!(error, StoreError::WrongOwner { .. }), "{error}");
    assert!(error.to_string().contains("replica 1 of cluster"), "{error}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let (subject, _store) = written::<OnDisk>(&[]);
    let error = SegmentLogStore::open(&subject.options).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn missing_files_are_refused() {
    for (gone, named) in [(FIRST, "log."), ("log.mark", "log.mark")] {
        let (original, expected) = small_log(true);
        let copies = Copies::of(&original);
        let folder = copies.write(&copies.log, &copies.mark);
        fs::remove_file(folder.join(gone)).unwrap();
        assert!(refuses_or_shows_all(&folder, &expected, "a missing file"));
        let error = SegmentLogStore::open(&SegmentOptions::new(&folder, identity(1))).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// A crash while a new log is made leaves nothing that counts.
#[test]
fn a_half_made_log_is_made_again() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log.new"), b"half").unwrap();
    let mut store = SegmentLogStore::open(&SegmentOptions::new(folder.path(), identity(1))).unwrap();
    assert!(store.load().unwrap().is_fresh());
}
