//! A job is deleted and made again under its name while its attempt runs out of reach. The name is taken until the attempt
//! is over; the new job is another one.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::runs;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a kept job is submitted", within_ms: 20_000, step: submit },
    Stage { name: "its pod runs", within_ms: 10_000, step: runs },
    Stage { name: "its member is cut off; it is deleted and made again", within_ms: 10_000, step: delete },
    Stage { name: "both were answered while its pod runs", within_ms: 20_000, step: answered },
    Stage { name: "the member is back", within_ms: 30_000, step: back },
    Stage { name: "the old job is gone; it is made again", within_ms: 90_000, step: gone },
    Stage { name: "the new job runs", within_ms: 30_000, step: new_runs },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("story", stubborn(60_000));
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 1));
    true
}

fn delete(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.at {
        return false;
    }
    world.cut_off(memory.member);
    world.delete(&memory.job);
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 1));
    memory.until = world.now + memory.random.between(500, 25_000);
    true
}

fn answered(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.founder_is_idle() {
        return false;
    }
    let is_going = world.object(&memory.job).is_some_and(|object| object.meta.deletion.is_some());
    is_going && world.has_live_pod(memory.epoch)
}

fn back(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until {
        return false;
    }
    world.let_back(memory.member);
    true
}

fn gone(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.newest_state().is_none() || world.object(&memory.job).is_some() {
        return false;
    }
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 1));
    true
}

fn new_runs(_world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    matches!(sign, Sign::Runs { pod, .. } if pod.epoch != memory.epoch)
}
