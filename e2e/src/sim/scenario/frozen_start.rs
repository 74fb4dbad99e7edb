//! A command to start a pod waits in the kernel of a frozen agent. In half of the seeds it is taken when the fence deadline
//! has passed but not the lease, in half when the hub has long given the job to the other member.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::thaw;
use crate::sim::event::member_host;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage {
        name: "the agents freeze after a heartbeat; a fenced job is submitted",
        within_ms: 30_000,
        step: submit,
    },
    Stage { name: "it is granted to one of them; the other thaws", within_ms: 5_000, step: granted },
    Stage { name: "the command to start waits in the frozen agent's kernel", within_ms: 3_000, step: waits },
    Stage { name: "its time has passed", within_ms: 60_000, step: passed },
    Stage { name: "the agent thaws, cut off", within_ms: 20_000, step: thaw },
    Stage { name: "the command reaches it", within_ms: 1_000, step: reaches },
    Stage { name: "it was alone with the command for a while", within_ms: 60_000, step: alone },
];

fn submit(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let Sign::Ack { member, .. } = sign else { return false };
    if memory.marks[*member] > 0 || !world.stands() {
        return false;
    }
    // The answer is taken in this very event: the lease begins here, as late as it can.
    world.freeze(member_host(*member));
    memory.marks[*member] = world.now;
    if memory.marks.contains(&0) {
        return false;
    }
    world.pods_behave("story", stubborn(90_000));
    world.submit(&memory.job, job(PartitionPolicy::Fence, 14_000, 1));
    true
}

fn granted(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    let Some((epoch, member)) = world.attempt(&memory.job) else { return false };
    (memory.member, memory.epoch) = (member, epoch);
    world.thaw(member_host(1 - member));
    true
}

fn waits(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    world.holds_arrivals(member_host(memory.member)) && world.now >= memory.marks[memory.member] + 300
}

fn passed(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if memory.variant.is_multiple_of(2) {
        // SIGKILL would be due 12 s after the heartbeat, which is before the freeze; the lease lasts 17.5 s.
        memory.until = memory.marks[memory.member] + memory.random.between(12_100, 15_000);
    } else {
        let other = world.attempt(&memory.job).filter(|(epoch, _)| *epoch != memory.epoch);
        if !other.is_some_and(|(epoch, _)| world.has_live_pod(epoch)) {
            return false;
        }
        memory.until = world.now + memory.random.between(0, 2_000);
    }
    world.cut_off(memory.member);
    true
}

fn reaches(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let Sign::Order { member, epochs } = sign else { return false };
    if *member != memory.member || !epochs.contains(&memory.epoch) {
        return false;
    }
    memory.until = world.now + memory.random.between(2_000, 6_000);
    true
}

fn alone(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until {
        return false;
    }
    world.let_back(memory.member);
    true
}
