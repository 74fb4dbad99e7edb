//! Which deliberate bug is switched on; compiled only with `--cfg mutants`. Asked in the innermost loops of a simulation, so
//! that it is one load of a number.

use std::sync::atomic::{AtomicU64, Ordering};

static CHOSEN: AtomicU64 = AtomicU64::new(0);

/// Switches this one on for the whole process, or none.
pub fn choose(name: Option<&str>) {
    CHOSEN.store(name.map_or(0, hash), Ordering::SeqCst);
}

/// Whether the one whose name has this hash is switched on.
pub fn is_on(hash: u64) -> bool {
    CHOSEN.load(Ordering::Relaxed) == hash
}

/// Fowler, Noll and Vo's hash, 64 bits, variant 1a.
pub const fn hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Runs each test with the bug that it must catch, then without it. Panics if one passes with its bug, or fails without. For
/// tests that run alone: a bug is switched on for the whole process.
pub fn assert_each_is_caught(caught_by: &[(&str, fn())]) {
    for (name, rule) in caught_by {
        choose(Some(name));
        let broken = std::panic::catch_unwind(rule);
        choose(None);
        assert!(broken.is_err(), "{name} is not caught");
        rule();
    }
}
