//! A member falls silent for good while the hub and the other member are well (L4): each of its fenced jobs is granted again
//! within `fenceAfter` and ten seconds of its last heartbeat.

use muster_model::{Key, PartitionPolicy};

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use crate::invariants::{GrantedAgain, check_granted_again};
use crate::sim::world::World;

const JOBS: [(&str, u64); 3] = [("fence-14", 14_000), ("fence-30", 30_000), ("fence-45", 45_000)];

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "fenced jobs are submitted", within_ms: 20_000, step: submit },
    Stage { name: "all run; a member with one of them is cut off for good", within_ms: 20_000, step: cut },
    Stage { name: "its jobs were granted again", within_ms: 90_000, step: again },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    for (name, fence_after_ms) in JOBS {
        world.pods_behave(name, stubborn(150_000));
        world.submit(&Key::job("default", name), job(PartitionPolicy::Fence, fence_after_ms, 1));
    }
    memory.until = memory.random.between(0, 6_000);
    true
}

fn cut(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    match sign {
        Sign::Runs { member, pod } => memory.pods.push((*member, *pod)),
        Sign::BeatAtHub { member, .. } => memory.marks[*member] = world.now,
        _ => {}
    }
    if memory.pods.len() == JOBS.len() && memory.at == 0 {
        memory.at = world.now + memory.until;
    }
    if memory.at == 0 || world.now < memory.at {
        return false;
    }
    memory.member = memory.pods[memory.variant as usize % JOBS.len()].0;
    world.cut_off(memory.member);
    memory.pods.retain(|(member, _)| *member == memory.member);
    true
}

fn again(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    if let Sign::BeatAtHub { member, .. } = sign {
        memory.marks[*member] = world.now;
    }
    let last_contact_ms = memory.marks[memory.member];
    for (name, fence_after_ms) in JOBS {
        let key = Key::job("default", name);
        let Some((epoch, _)) = world.attempt(&key) else { continue };
        let known = memory.pods.iter().position(|(_, pod)| {
            let of_job = world.members[memory.member].pods.get(pod);
            of_job.is_some_and(|of_job| of_job.start.attempt.job == key) && pod.epoch != epoch
        });
        let Some(known) = known else { continue };
        memory.pods.remove(known);
        let granted = GrantedAgain { job: &key, after_ms: world.now - last_contact_ms, fence_after_ms };
        check_granted_again(granted, &mut world.checks.found);
    }
    if memory.pods.is_empty() {
        world.let_back(memory.member);
        return true;
    }
    let late = JOBS.iter().all(|(_, fence_after_ms)| world.now > last_contact_ms + fence_after_ms + 15_000);
    if late {
        world.checks.fail(
            "L4",
            format!("{} fenced attempts of a lost member were never granted again", memory.pods.len()),
        );
    }
    false
}
