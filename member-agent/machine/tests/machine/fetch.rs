//! One transfer: what is read, what is stored, and when it is over.

use std::collections::BTreeSet;

use muster_member_machine::{CHUNK_TRIES, Chunk, Fetch, FetchAction, FetchEnd, FetchInput};
use proptest::prelude::*;

fn chunks(count: usize) -> Vec<Chunk> {
    (0..count).map(|chunk| Chunk { bytes: 1000, hash: good(chunk) }).collect()
}

fn good(chunk: usize) -> [u8; 32] {
    [chunk as u8 + 1; 32]
}

fn read(chunk: usize, hash: [u8; 32]) -> FetchInput {
    FetchInput::ChunkRead { chunk, hash }
}

/// Steps time until there is something to do.
fn wait(fetch: &mut Fetch, now: &mut u64) -> Option<FetchAction> {
    (0..100_000).find_map(|_| {
        *now += 1;
        fetch.step(FetchInput::Tick, *now)
    })
}

#[test]
fn chunks_are_read_stored_checked_and_published() {
    let mut fetch = Fetch::new(chunks(2), &BTreeSet::new(), 0, 0);
    assert_eq!(fetch.step(FetchInput::Tick, 0), Some(FetchAction::Read { chunk: 0 }));
    assert_eq!(fetch.step(FetchInput::Tick, 1), None, "one at a time");
    assert_eq!(fetch.step(read(0, good(0)), 2), Some(FetchAction::Store { chunk: 0 }));
    assert_eq!(fetch.progress().missing_bytes, 2000, "not before it is stored");
    assert_eq!(fetch.step(FetchInput::Stored { chunk: 0 }, 3), Some(FetchAction::Read { chunk: 1 }));
    fetch.step(read(1, good(1)), 4);
    assert_eq!(fetch.step(FetchInput::Stored { chunk: 1 }, 5), Some(FetchAction::CheckAll));
    let none = BTreeSet::new();
    assert_eq!(fetch.step(FetchInput::Checked { damaged: none }, 6), Some(FetchAction::Publish));
    assert_eq!(fetch.step(FetchInput::Published, 7), None);
    assert_eq!(fetch.end(), Some(&FetchEnd::Complete));
}

#[test]
fn what_earlier_lives_stored_is_not_read_again() {
    let mut fetch = Fetch::new(chunks(3), &BTreeSet::from([0, 1]), 2000, 0);
    assert_eq!(fetch.step(FetchInput::Tick, 0), Some(FetchAction::Read { chunk: 2 }));
    fetch.step(read(2, good(2)), 1);
    assert_eq!(fetch.step(FetchInput::Stored { chunk: 2 }, 2), Some(FetchAction::CheckAll));
    assert_eq!(fetch.progress().fetched_bytes, 3000);
}

#[test]
fn a_damaged_chunk_is_not_stored_and_read_again_until_there_were_enough_tries() {
    let mut fetch = Fetch::new(chunks(1), &BTreeSet::new(), 0, 0);
    let mut now = 0;
    for tries in 1..=CHUNK_TRIES {
        assert_eq!(fetch.end(), None, "{tries} tries");
        assert_eq!(wait(&mut fetch, &mut now), Some(FetchAction::Read { chunk: 0 }));
        assert_eq!(fetch.step(read(0, [0; 32]), now), None, "not stored");
    }
    let reason = "chunk 1 of 1 came with a hash that is not the manifest's, 8 times";
    assert_eq!(fetch.end(), Some(&FetchEnd::Failed(reason.to_owned())));
    assert_eq!(fetch.progress().refetched_chunks, CHUNK_TRIES);
    assert_eq!(wait(&mut fetch, &mut now), None, "it is over");
}

#[test]
fn what_is_read_back_damaged_is_fetched_again_but_not_for_ever() {
    let mut fetch = Fetch::new(chunks(2), &BTreeSet::from([0, 1]), 2000, 0);
    let mut now = 0;
    assert_eq!(fetch.step(FetchInput::Tick, now), Some(FetchAction::CheckAll));
    for _ in 0..2 {
        let damaged = BTreeSet::from([1]);
        assert_eq!(fetch.step(FetchInput::Checked { damaged }, now), Some(FetchAction::Read { chunk: 1 }));
        fetch.step(read(1, good(1)), now);
        now += 1;
        assert_eq!(fetch.step(FetchInput::Stored { chunk: 1 }, now), Some(FetchAction::CheckAll));
    }
    fetch.step(FetchInput::Checked { damaged: BTreeSet::from([1]) }, now);
    assert!(matches!(fetch.end(), Some(FetchEnd::Failed(reason)) if reason.contains("look at this disk")));
}

#[test]
fn no_more_comes_in_than_the_limit_lets() {
    let mut fetch = Fetch::new(chunks(20), &BTreeSet::new(), 0, 0);
    fetch.limit(Some(2_000), 0);
    let mut now = 0;
    while let Some(action) = wait(&mut fetch, &mut now) {
        let FetchAction::Read { chunk } = action else { break };
        fetch.step(read(chunk, good(chunk)), now);
        match fetch.step(FetchInput::Stored { chunk }, now) {
            None => {}
            Some(FetchAction::CheckAll) => break,
            Some(next) => panic!("{next:?} at {now}"),
        }
    }
    assert!((9_000..=10_100).contains(&now), "20,000 bytes at 2,000 a second: {now} ms");
}

#[test]
fn nothing_to_fetch_is_checked_and_published_all_the_same() {
    let mut fetch = Fetch::new(Vec::new(), &BTreeSet::new(), 0, 0);
    assert_eq!(fetch.step(FetchInput::Tick, 0), Some(FetchAction::CheckAll));
}

/// A disk and a source that fail as they please, and agents that are killed between any two steps.
#[derive(Clone, Debug)]
enum Luck {
    Good,
    Damaged,
    Unreadable,
    Killed,
    KilledAfterStore,
    Rots(u8),
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        8 => Just(Luck::Good),
        1 => Just(Luck::Damaged),
        1 => Just(Luck::Unreadable),
        2 => Just(Luck::Killed),
        2 => Just(Luck::KilledAfterStore),
        1 => any::<u8>().prop_map(Luck::Rots),
    ]
}

proptest! {
    #[test]
    fn what_is_published_is_whole_and_no_life_begins_anew(luck in proptest::collection::vec(luck(), 0..80)) {
        const COUNT: usize = 6;
        let (mut disk, mut record) = (vec![[0; 32]; COUNT], BTreeSet::new());
        let (mut in_hand, mut now) = ([0; 32], 0);
        let mut fetch = Fetch::new(chunks(COUNT), &record, 0, now);
        let mut lucks = luck.into_iter();
        for _ in 0..2_000 {
            now += 10_000;
            let Some(mut action) = fetch.step(FetchInput::Tick, now) else { continue };
            let luck = lucks.next().unwrap_or(Luck::Good);
            if let Luck::Rots(at) = luck {
                disk[usize::from(at) % COUNT] = [0xee; 32];
            }
            if matches!(luck, Luck::Killed) {
                let before = fetch.progress().missing_bytes;
                fetch = Fetch::new(chunks(COUNT), &record, 0, now);
                prop_assert!(fetch.progress().missing_bytes <= before, "what was stored counts");
                continue;
            }
            loop {
                let answer = match action {
                    FetchAction::Read { chunk } if matches!(luck, Luck::Unreadable) => {
                        FetchInput::NotRead { chunk, reason: "gone".into() }
                    }
                    FetchAction::Read { chunk } => {
                        in_hand = if matches!(luck, Luck::Damaged) { [9; 32] } else { good(chunk) };
                        read(chunk, in_hand)
                    }
                    FetchAction::Store { chunk } => {
                        prop_assert_eq!(in_hand, good(chunk), "only what has the right hash");
                        disk[chunk] = in_hand;
                        record.insert(chunk);
                        FetchInput::Stored { chunk }
                    }
                    FetchAction::CheckAll => {
                        let damaged = (0..COUNT).filter(|chunk| disk[*chunk] != good(*chunk)).collect();
                        FetchInput::Checked { damaged }
                    }
                    FetchAction::Publish => {
                        prop_assert!((0..COUNT).all(|chunk| disk[chunk] == good(chunk)));
                        FetchInput::Published
                    }
                };
                let stored = matches!(answer, FetchInput::Stored { .. });
                let next = fetch.step(answer, now);
                if stored && matches!(luck, Luck::KilledAfterStore) {
                    fetch = Fetch::new(chunks(COUNT), &record, 0, now);
                    break;
                }
                match next {
                    Some(next) => action = next,
                    None => break,
                }
            }
            if fetch.end().is_some() {
                break;
            }
        }
        prop_assert!(fetch.end().is_some(), "it comes to an end");
    }
}

/// The chosen bug is one for the whole process.
#[cfg(mutants)]
#[test]
fn a_mutant_is_caught_by_what_a_damaged_chunk_must_do() {
    let _turn = crate::rig::MUTANTS.lock().unwrap();
    muster_model::mutants::choose(Some("chunk_hash_unchecked"));
    let broken = [
        std::panic::catch_unwind(a_damaged_chunk_is_not_stored_and_read_again_until_there_were_enough_tries),
        std::panic::catch_unwind(what_is_read_back_damaged_is_fetched_again_but_not_for_ever),
    ];
    muster_model::mutants::choose(None);
    assert!(broken.iter().all(Result::is_err), "chunk_hash_unchecked is not caught");
}
