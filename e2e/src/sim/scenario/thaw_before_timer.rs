//! A thawed agent hears the answer to a heartbeat from before its freeze before its own timer runs. Half of the seeds thaw
//! before the fence deadline, half after it: the answer counts from when the heartbeat was sent, and revives nothing.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use crate::sim::event::member_host;
use crate::sim::world::World;

const FENCE_AFTER_MS: u64 = 14_000;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a fenced job is submitted", within_ms: 20_000, step: submit },
    Stage { name: "its pod runs", within_ms: 10_000, step: runs },
    Stage { name: "the agent freezes as its heartbeat leaves", within_ms: 20_000, step: freeze },
    Stage { name: "the answer waits in its kernel; the member is cut off", within_ms: 3_000, step: cut },
    Stage { name: "the agent thaws", within_ms: 30_000, step: thaw },
    Stage { name: "the answer comes before its timer", within_ms: 1_000, step: ack_first },
    Stage { name: "the attempt is over for the hub; the member is back", within_ms: 60_000, step: over },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("story", stubborn(120_000));
    world.submit(&memory.job, job(PartitionPolicy::Fence, FENCE_AFTER_MS, 1));
    true
}

/// Shared by stories that begin with a running pod.
pub(super) fn runs(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let Sign::Runs { member, pod } = sign else { return false };
    (memory.member, memory.pod, memory.epoch) = (*member, Some(*pod), pod.epoch);
    memory.at = world.now + memory.random.between(600, 5_000);
    true
}

/// Shared by stories in which an agent freezes with a heartbeat on its way.
pub(super) fn freeze(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    if *sign != (Sign::Beat { member: memory.member }) || world.now < memory.at {
        return false;
    }
    world.freeze(member_host(memory.member));
    memory.at = world.now;
    true
}

fn cut(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.holds_arrivals(member_host(memory.member)) || world.now < memory.at + 300 {
        return false;
    }
    world.cut_off(memory.member);
    let frozen = match memory.variant % 2 {
        0 => memory.random.between(6_000, 9_800),
        _ => memory.random.between(10_100, 17_000),
    };
    memory.until = memory.at + frozen;
    true
}

/// Shared by stories in which an agent thaws at a chosen time.
pub(super) fn thaw(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until {
        return false;
    }
    world.thaw(member_host(memory.member));
    true
}

fn ack_first(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let here = memory.member;
    match sign {
        Sign::Ack { member, epochs } if *member == here => {
            if !epochs.contains(&memory.epoch) {
                world.checks.fail("scenario", "the answer does not name the attempt".to_owned());
            }
            true
        }
        Sign::Tick { member } if *member == here => {
            world.checks.fail("scenario", "the agent's timer ran before the answer came".to_owned());
            false
        }
        _ => false,
    }
}

/// Shared by stories that end when the hub has given the attempt up.
pub(super) fn over(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    let epoch = world.attempt(&memory.job).map(|(epoch, _)| epoch);
    if epoch == Some(memory.epoch) {
        return false;
    }
    world.let_back(memory.member);
    true
}
