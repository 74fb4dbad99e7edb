//! A member's data folder is gone while its pods run: the agent that starts knows nothing, and is another incarnation. In
//! half of the seeds it does not even find the pods. A job under `Keep` stays where it may run until an operator, who looked,
//! declares it lost.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::runs;
use crate::sim::workload::declare_lost;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a kept job is submitted", within_ms: 20_000, step: submit },
    Stage { name: "its pod runs", within_ms: 10_000, step: runs },
    Stage { name: "the agent dies and its folder is gone", within_ms: 10_000, step: wipe },
    Stage { name: "the hub takes the new incarnation, which knows nothing", within_ms: 60_000, step: taken },
    Stage { name: "nothing of the old incarnation runs any more", within_ms: 120_000, step: ends },
    Stage { name: "the job ran nowhere else until it was declared lost", within_ms: 30_000, step: declared },
    Stage { name: "it is granted again", within_ms: 30_000, step: again },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("story", stubborn(memory.random.between(35_000, 60_000)));
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 1));
    true
}

fn wipe(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.at {
        return false;
    }
    let finds_pods = memory.variant.is_multiple_of(2);
    world.wipe_folder(memory.member, finds_pods);
    let down = memory.random.between(100, 5_000);
    world.restart_agent_in(memory.member, down);
    true
}

fn taken(_world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    matches!(sign, Sign::Order { member, .. } if *member == memory.member)
}

fn ends(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.has_live_pod(memory.epoch) {
        memory.until = world.now + memory.random.between(1_000, 6_000);
        return false;
    }
    memory.until = memory.until.max(world.now);
    true
}

fn declared(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until {
        return false;
    }
    let held = world.attempt(&memory.job).is_some_and(|(epoch, _)| epoch == memory.epoch);
    if !held {
        world.checks.fail("scenario", "the job was given up before it was declared lost".to_owned());
    }
    world.ask_for(declare_lost(memory.member));
    true
}

fn again(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    world.attempt(&memory.job).is_some_and(|(epoch, _)| epoch != memory.epoch)
}
