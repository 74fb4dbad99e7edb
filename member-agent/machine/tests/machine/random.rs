//! Random interleavings with a small hub and a small backend: messages late, lost with their session, or twice; clocks
//! that jump; freezes; agents that die between any two actions; reboots.

use proptest::prelude::*;

use crate::world::{JOBS, World};

/// One thing that happens to the world.
#[derive(Clone, Debug)]
pub enum Op {
    /// Time passes; the agent ticks every 500 ms unless it is frozen or dead.
    Pass {
        half_seconds: u8,
        frozen: bool,
    },
    /// Only the real-time clock moves.
    Jump {
        seconds: i8,
    },
    /// Everything that is on its way arrives.
    Exchange,
    ToHub {
        copies: u8,
    },
    ToMember {
        copies: u8,
    },
    Break,
    /// The hub's answers come this late, and then contact is lost for longer than any deadline.
    Away {
        late_half_seconds: u8,
    },
    Open,
    Grant {
        job: u64,
        fence: bool,
    },
    Stop {
        job: u64,
    },
    /// The hub names an attempt that is over, as one restored from an old backup would.
    Stale {
        pick: u8,
    },
    Exit {
        pick: u8,
        ok: bool,
    },
    Observe,
    /// The agent dies after so many actions of its next step, and comes back with this delay.
    Crash {
        after: u8,
    },
    Reboot,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (1..12u8, 0..5u8).prop_map(|(half_seconds, die)| Op::Pass { half_seconds, frozen: die == 0 }),
        1 => (-60..60i8).prop_map(|seconds| Op::Jump { seconds }),
        3 => Just(Op::Exchange),
        8 => (1..3u8).prop_map(|copies| Op::ToHub { copies }),
        8 => (1..3u8).prop_map(|copies| Op::ToMember { copies }),
        1 => Just(Op::Break),
        2 => (0..16u8).prop_map(|late_half_seconds| Op::Away { late_half_seconds }),
        3 => Just(Op::Open),
        4 => (0..JOBS, any::<bool>()).prop_map(|(job, fence)| Op::Grant { job, fence }),
        1 => (0..JOBS).prop_map(|job| Op::Stop { job }),
        1 => any::<u8>().prop_map(|pick| Op::Stale { pick }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(pick, ok)| Op::Exit { pick, ok }),
        4 => Just(Op::Observe),
        1 => (0..6u8).prop_map(|after| Op::Crash { after }),
        1 => prop::sample::select(vec![Op::Reboot, Op::Open]),
    ];
    prop::collection::vec(op, 1..250)
}

fn run(ops: &[Op]) {
    let mut world = World::new();
    ops.iter().for_each(|op| world.apply(op));
    world.heal();
}

#[cfg(not(mutants))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_promise_is_broken_and_every_job_ends(ops in ops()) {
        run(&ops);
    }
}

#[cfg(mutants)]
#[test]
fn each_mutant_is_caught_within_500_sequences() {
    use proptest::test_runner::{Config, TestRunner};
    let _turn = crate::rig::MUTANTS.lock().unwrap();
    for mutant in
        ["deadline_from_receipt", "start_after_deadline", "fenced_epoch_revived", "older_epoch_accepted"]
    {
        muster_model::mutants::choose(Some(mutant));
        let config =
            Config { cases: 500, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let caught = TestRunner::new(config).run(&ops(), |ops| {
            run(&ops);
            Ok(())
        });
        muster_model::mutants::choose(None);
        assert!(caught.is_err(), "{mutant} is not caught");
    }
}
