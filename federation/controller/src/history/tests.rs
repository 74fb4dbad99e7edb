//! The store on a real disk: idempotent, crash-safe, bounded, and added up exactly.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use expect_test::expect;
use muster_core::{ChainHead, audit_link, booking_link};
use muster_model::*;
use muster_proto::history::{Booked, encode_audit, encode_booking};
use proptest::prelude::*;
use tempfile::TempDir;

use super::books::{By, CostQuery, Question, Sums};
use super::item::Encoded;
use super::segment::SegmentName;
use super::store::{Gap, Heads, HistoryConfig, Store, StreamConfig};
use super::stream::StreamName;
use super::verify::verify;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn audit(count: u64) -> Vec<Encoded> {
    let mut head = ChainHead::default();
    let mut next = |sequence: u64| {
        let mut record = AuditRecord {
            sequence,
            time: TimeMs(sequence * 1000),
            principal: Principal::new("dana"),
            verb: AuditVerb::Create,
            key: Key::job("default", &format!("job-{sequence}")),
            uid: Some(Uid(sequence.into())),
            revision: Revision(sequence),
            refused: None,
            denied: 0,
            detail: "".into(),
            chain: [0; 32],
        };
        record.chain = audit_link(&record, head.hash);
        head = ChainHead { sequence, hash: record.chain };
        let payload = encode_audit(&record);
        Encoded { stream: StreamName::Audit, key: sequence, time_ms: record.time.0, payload }
    };
    (1..=count).map(&mut next).collect()
}

fn part(all: &[Encoded], from: u64, to: u64) -> Vec<Encoded> {
    let wanted = all.iter().filter(|record| (from..=to).contains(&record.key));
    let copy = |r: &Encoded| Encoded { payload: r.payload.clone(), ..*r };
    wanted.map(copy).collect()
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path(), &HistoryConfig::default()).unwrap()
}

fn problems(store: &Store, up_to: u64) -> Vec<String> {
    let (anchor, pages) = (store.anchor(StreamName::Audit).unwrap(), store.pages(StreamName::Audit));
    let verdict = verify(StreamName::Audit, anchor, &pages, up_to).unwrap();
    verdict.problems.iter().map(ToString::to_string).collect()
}

fn bytes_of(store: &Store) -> Vec<Vec<u8>> {
    store.pages(StreamName::Audit).iter().map(|page| page.read().unwrap()).collect()
}

#[test]
fn a_replay_writes_nothing_twice_and_goes_on() {
    let (folder, all) = (TempDir::new().unwrap(), audit(9_000));
    let mut store = open(&folder);
    store.append(part(&all, 1, 5_000)).unwrap();
    store.sync().unwrap();
    store.append(part(&all, 5_001, 6_000)).unwrap();
    // A crash: what apply emits after the last snapshot comes again.
    drop(store);
    let mut store = open(&folder);
    store.append(part(&all, 4_000, 9_000)).unwrap();
    assert_eq!(problems(&store, 9_000), [""; 0]);
    let other = TempDir::new().unwrap();
    let mut at_once = open(&other);
    at_once.append(all).unwrap();
    assert_eq!(bytes_of(&store), bytes_of(&at_once), "the same files as without a crash");
}

#[test]
fn a_torn_end_is_cut_and_comes_again() {
    let all = audit(20);
    for cut in 1..200 {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        store.append(part(&all, 1, 10)).unwrap();
        store.sync().unwrap();
        store.append(part(&all, 11, 20)).unwrap();
        let page = store.pages(StreamName::Audit).remove(0);
        drop(store);
        let file = fs::OpenOptions::new().write(true).open(&page.path).unwrap();
        file.set_len(page.segment.bytes - cut).unwrap();
        let mut store = open(&folder);
        store.append(part(&all, 8, 20)).unwrap();
        assert_eq!(problems(&store, 20), [""; 0], "{cut} bytes were lost");
    }
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    let (folder, all) = (TempDir::new().unwrap(), audit(3));
    let mut store = open(&folder);
    store.append(all).unwrap();
    let page = store.pages(StreamName::Audit).remove(0);
    let whole = page.read().unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&page.path, &bytes).unwrap();
        let found = problems(&store, 3);
        assert!(!found.is_empty(), "byte {at}");
        let named = format!("damaged at byte {}", at / (whole.len() / 3) * (whole.len() / 3));
        assert!(found[0].ends_with(&named), "byte {at}: {found:?}, want {named}");
    }
}

#[test]
fn a_missing_and_a_changed_record_are_named() {
    let all = audit(6);
    let check = |records: Vec<Encoded>, want: expect_test::Expect| {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        store.append(records).unwrap();
        want.assert_eq(&problems(&store, 6).join("\n"));
    };
    let without = |missing: &[u64]| {
        part(&all, 1, 6).into_iter().filter(|record| !missing.contains(&record.key)).collect::<Vec<_>>()
    };
    check(without(&[]), expect![""]);
    check(without(&[1]), expect!["record 1 is missing"]);
    check(without(&[3, 4]), expect!["records 3 to 4 are missing"]);
    check(without(&[5, 6]), expect!["records 5 to 6 are missing"]);
    let mut forged = without(&[]);
    let mut record = muster_proto::history::decode_audit(&forged[3].payload).unwrap();
    record.principal = Principal::new("someone-else");
    forged[3].payload = encode_audit(&record);
    check(
        forged,
        expect![
            "record 4 (audit/0000000000000000.seg, byte 357) does not follow from the one before it: one of them was changed"
        ],
    );
}

#[test]
fn a_gap_of_a_snapshot_is_remembered_and_closed_from_a_peer() {
    let (folder, peer, all) = (TempDir::new().unwrap(), TempDir::new().unwrap(), audit(9_000));
    let mut whole = open(&peer);
    whole.append(part(&all, 1, 9_000)).unwrap();
    let mut store = open(&folder);
    store.append(part(&all, 1, 100)).unwrap();
    let heads = Heads { audit: ChainHead { sequence: 8_500, hash: [0; 32] }, ..Heads::default() };
    store.restored(&heads).unwrap();
    store.append(part(&all, 8_501, 9_000)).unwrap();
    store.sync().unwrap();
    drop(store);
    let mut store = open(&folder);
    store.restored(&heads).unwrap();
    let gap = Gap { from: 101, to: 8_500 };
    assert_eq!(store.gaps(StreamName::Audit), [gap], "once, over a restart");
    assert_eq!(problems(&store, 9_000), ["records 101 to 8500 are missing"]);
    for page in whole.pages(StreamName::Audit) {
        store.merge(StreamName::Audit, page.name, &page.read().unwrap()).unwrap();
    }
    store.close(StreamName::Audit, gap).unwrap();
    assert_eq!(problems(&store, 9_000), [""; 0]);
    assert_eq!(bytes_of(&store), bytes_of(&whole), "the same files on both");
    let again = whole.page(StreamName::Audit, SegmentName(0)).unwrap().read().unwrap();
    assert_eq!(store.merge(StreamName::Audit, SegmentName(0), &again).unwrap(), 0, "what is there stays");
}

#[test]
fn retention_drops_old_segments_and_the_chain_still_holds() {
    let all = audit(20_000);
    let check = |limit: StreamConfig, want_first: u64| {
        let folder = TempDir::new().unwrap();
        let config = HistoryConfig { audit: limit, ..HistoryConfig::default() };
        let mut store = Store::open(folder.path(), &config).unwrap();
        for batch in 0..20 {
            store.append(part(&all, batch * 1_000 + 1, (batch + 1) * 1_000)).unwrap();
        }
        assert_eq!(store.pages(StreamName::Audit)[0].name, SegmentName(want_first));
        assert_eq!(store.anchor(StreamName::Audit).unwrap().sequence, want_first.saturating_sub(1));
        assert_eq!(problems(&store, 20_000), [""; 0], "from its anchor on the chain is whole");
        assert!(store.extent(StreamName::Audit).1 <= limit.max_bytes);
    };
    check(StreamConfig { keep_ms: u64::MAX, max_bytes: 1 << 30 }, 0);
    // Records are a second apart: 9,000 seconds back from record 20,000 begins in the segment from 8,192 on.
    check(StreamConfig { keep_ms: 9_000_000, max_bytes: 1 << 30 }, 8_192);
    check(StreamConfig { keep_ms: u64::MAX, max_bytes: 1_300_000 }, 12_288);
}

fn booking(sequence: u64, time: u64, job: &str, cluster: &str, micro: i64) -> Booked {
    let run = Run {
        job: Key::job(if sequence.is_multiple_of(3) { "team-a" } else { "team-b" }, job),
        job_uid: Uid(7),
        epoch: Epoch(sequence),
        cluster: MemberName::new(cluster),
        phase: RunPhase::Succeeded,
        start: TimeMs(0),
        end: Some(TimeMs(time)),
        exit_code: Some(0),
        cost: vec![CostLine { kind: CostKind::Compute, amount: MicroUsd(micro) }],
        lost_gpu_ms: 0,
    };
    let mut booking = Booking {
        sequence,
        time: TimeMs(time),
        revision: Revision(sequence),
        run,
        gpu_ms: 10,
        chain: [0; 32],
    };
    booking.chain = booking_link(&booking, [0; 32]);
    Booked { booking, labels: BTreeMap::from([("team".into(), job.into())]) }
}

fn encoded(booked: &Booked) -> Encoded {
    let (key, time_ms) = (booked.booking.sequence, booked.booking.time.0);
    Encoded { stream: StreamName::Ledger, key, time_ms, payload: encode_booking(booked) }
}

/// What a question must be answered with, by adding up bookings one by one.
fn added_up(all: &[Booked], query: &CostQuery) -> BTreeMap<Arc<str>, i128> {
    let mut rows: BTreeMap<Arc<str>, i128> = BTreeMap::new();
    let wanted = |b: &&Booked| b.booking.time >= query.since && b.booking.sequence <= query.up_to;
    for booked in all.iter().filter(wanted) {
        let run = &booked.booking.run;
        let name: Arc<str> = match &query.by {
            By::Cluster => run.cluster.as_str().into(),
            By::Label(key) => booked.labels.get(key.as_str()).cloned().unwrap_or_default(),
            By::Job => format!("{}/{}", run.job.namespace, run.job.name).into(),
            _ => Arc::clone(&run.job.namespace),
        };
        *rows.entry(name).or_default() += i128::from(run.cost[0].amount.0);
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Random bookings, crashes that replay some of them, and a peer's segments on top: the sums are those of the ledger.
    #[test]
    fn books_equal_the_ledger(
        steps in proptest::collection::vec((0..3 * DAY_MS / 40, 0..3_usize, 0..2_usize, -5_i64..1_000_000_000), 1..120),
        since in 0..4 * DAY_MS,
        up_to in 0..130_u64,
        replays in proptest::collection::vec((0..120_u64, 0..120_u64), 0..4),
    ) {
        let mut time = DAY_MS / 2;
        let all: Vec<Booked> = steps.iter().zip(1..).map(|((wait, job, cluster, micro), sequence)| {
            time += wait;
            booking(sequence, time, ["x", "y", "z"][*job], ["east", "west"][*cluster], *micro)
        }).collect();
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        let mut done = 0;
        for (from, to) in replays.iter().copied().chain([(0, u64::MAX)]) {
            let from = from.min(done);
            let records: Vec<Encoded> =
                all.iter().filter(|b| (from..=to).contains(&b.booking.sequence)).map(encoded).collect();
            done = records.last().map_or(done, |record| record.key).max(done);
            store.append(records).unwrap();
            if to % 2 == 0 { store.sync().unwrap(); }
            drop(store);
            store = open(&folder);
        }
        let page = store.page(StreamName::Ledger, SegmentName(0)).unwrap().read().unwrap();
        prop_assert_eq!(store.merge(StreamName::Ledger, SegmentName(0), &page).unwrap(), 0);
        for by in [By::Namespace, By::Cluster, By::Job, By::Label("team".to_owned())] {
            let query = CostQuery { by, since: TimeMs(since), up_to };
            let question = Question::new(query.clone(), store.books(), store.pages(StreamName::Ledger));
            let rows = question.answer().unwrap().expect("few rows");
            let found: BTreeMap<Arc<str>, i128> =
                rows.iter().map(|row| (Arc::clone(&row.name), row.sums.total())).collect();
            prop_assert_eq!(found, added_up(&all, &query), "{:?}", query);
        }
    }
}

#[test]
fn sums_are_wider_than_any_ledger() {
    let mut sums = Sums::default();
    let line = CostLine { kind: CostKind::Egress, amount: MicroUsd(i64::MAX) };
    sums.add_lines(&[line.clone(), line]);
    assert_eq!(sums.total(), 2 * i128::from(i64::MAX));
}

/// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
#[cfg(mutants)]
#[test]
fn mutants_are_caught_by_the_rules_above() {
    muster_model::mutants::assert_each_is_caught(&[
        ("history_not_idempotent", a_replay_writes_nothing_twice_and_goes_on),
        ("audit_links_unchecked", a_missing_and_a_changed_record_are_named),
    ]);
}
