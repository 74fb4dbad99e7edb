//! Whose time of day may lead.

use muster_leader::{CLOCK_LIMIT_MS, ClockSample, Clocks};

fn sample(ahead_ms: i64) -> ClockSample {
    ClockSample { ahead_ms, error_ms: 10 }
}

fn compared(replicas: usize, rounds: &[&[i64]]) -> (Option<i64>, bool) {
    let mut clocks = Clocks::new(replicas);
    for round in rounds {
        clocks.compare(&round.iter().map(|ahead| sample(*ahead)).collect::<Vec<_>>());
    }
    (clocks.off_ms(), clocks.may_lead())
}

#[test]
fn a_clock_that_a_majority_contradicts_may_not_lead() {
    for (replicas, others, want) in [
        (3, &[-5_000, -4_900][..], (Some(4_890), false)),
        (3, &[5_000, 4_900], (Some(-4_890), false)),
        (5, &[-3_000, -3_000, -3_000, 0], (Some(2_990), false)),
        // Exactly at the limit, and what an answer took may explain the rest.
        (3, &[2_010, 2_010], (Some(-2_000), true)),
        (3, &[2_011, 2_011], (Some(-2_001), false)),
        // The other one is off, not this one.
        (3, &[5_000, 40], (Some(-30), true)),
        (5, &[9_000, -9_000, 0, 15], (Some(0), true)),
        // Of a pair nobody knows which one is right.
        (3, &[5_000], (None, true)),
        (3, &[5_000, -5_000], (None, true)),
        (3, &[], (None, true)),
        (1, &[], (Some(0), true)),
        (3, &[i64::MIN, i64::MIN], (Some(i64::MAX - 9), false)),
    ] {
        assert_eq!(compared(replicas, &[others]), want, "{replicas} replicas, others ahead by {others:?}");
    }
    assert_eq!(CLOCK_LIMIT_MS, 2_000);
}

#[test]
fn what_was_found_stays_until_a_majority_says_otherwise() {
    let off = &[5_000, 5_000][..];
    assert_eq!(compared(3, &[off, &[5_000]]), (None, false), "another replica is down now");
    assert_eq!(compared(3, &[off, &[]]), (None, false));
    assert_eq!(compared(3, &[off, &[0]]), (Some(0), true), "it was set right");
    assert_eq!(compared(3, &[&[0, 0], &[5_000]]), (None, true));
}

/// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
#[cfg(mutants)]
#[test]
fn mutants_are_caught_by_the_rules_above() {
    muster_model::mutants::assert_each_is_caught(&[(
        "wrong_clock_leads",
        a_clock_that_a_majority_contradicts_may_not_lead,
    )]);
}
