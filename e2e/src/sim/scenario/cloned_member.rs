//! A clone of a member's machine (the same data folder, another boot, none of its pods) says hello while the original runs
//! a job under `Keep`, cut off. The hub may take it for the member once the lease has lapsed; it may not take its word for
//! what the original runs. Half of the seeds clone the journal too.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::runs;
use crate::sim::event::SPARE;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a kept job is submitted", within_ms: 20_000, step: submit },
    Stage { name: "its pod runs", within_ms: 10_000, step: runs },
    Stage { name: "the member is cut off; its clone starts", within_ms: 10_000, step: clone },
    Stage { name: "the hub takes the clone for the member", within_ms: 60_000, step: taken },
    Stage { name: "the clone stayed a while beside the running original", within_ms: 30_000, step: stays },
    Stage { name: "the original is back alone", within_ms: 60_000, step: back },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("story", stubborn(150_000));
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 1));
    true
}

fn clone(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.at {
        return false;
    }
    let with_journal = memory.variant.is_multiple_of(2);
    world.make_clone(memory.member, with_journal);
    world.cut_off(memory.member);
    world.start_agent(SPARE);
    true
}

fn taken(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    if !matches!(sign, Sign::Order { member, .. } if *member == SPARE) {
        return false;
    }
    if !world.has_live_pod(memory.epoch) {
        world.checks.fail("scenario", "the original's pod ended before the clone was taken".to_owned());
    }
    memory.until = world.now + memory.random.between(3_000, 12_000);
    true
}

fn stays(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until {
        return false;
    }
    world.stop_agent(SPARE);
    world.let_back(memory.member);
    true
}

fn back(_world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    matches!(sign, Sign::Order { member, .. } if *member == memory.member)
}
