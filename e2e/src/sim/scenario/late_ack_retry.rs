//! An acknowledgement comes after the fence deadline, while a local retry is pending: a pod failed, its attempt waits to try
//! again, and the agent freezes with a heartbeat on its way. The answer that it finds on thawing must not bring the attempt back.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::{freeze, over, thaw};
use crate::sim::event::member_host;
use crate::sim::pod::Nature;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a fenced job is submitted whose pod fails", within_ms: 20_000, step: submit },
    Stage { name: "the agent knows of the failure: a retry is pending", within_ms: 20_000, step: fails },
    Stage { name: "the agent freezes as its heartbeat leaves", within_ms: 5_000, step: freeze },
    Stage { name: "the answer waits in its kernel; the member is cut off", within_ms: 3_000, step: cut },
    Stage { name: "the agent thaws after the deadline", within_ms: 30_000, step: thaw },
    Stage { name: "the late answer comes while the retry is pending", within_ms: 1_000, step: late_ack },
    Stage { name: "the attempt is over for the hub; the member is back", within_ms: 60_000, step: over },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    let runs_ms = memory.random.between(500, 3_000);
    world.pods_behave("story", Nature { launch_ms: 10, runs_ms, fails: true, follows_term_ms: None });
    world.submit(&memory.job, job(PartitionPolicy::Fence, 14_000, 1));
    true
}

fn fails(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let Sign::SeenEnded { member, pod } = sign else { return false };
    (memory.member, memory.pod, memory.epoch) = (*member, Some(*pod), pod.epoch);
    // Its report is taken meanwhile: the next thing that the hub says is the answer.
    memory.at = world.now + 600;
    // The retry would run for long.
    world.pods_behave("story", stubborn(60_000));
    true
}

fn cut(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.holds_arrivals(member_host(memory.member)) || world.now < memory.at + 300 {
        return false;
    }
    world.cut_off(memory.member);
    memory.until = memory.at + memory.random.between(12_500, 15_000);
    true
}

fn late_ack(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let Sign::Ack { member, epochs } = sign else { return false };
    if *member != memory.member || !epochs.contains(&memory.epoch) {
        return false;
    }
    let pods = world.members[*member].pods.keys().filter(|pod| pod.epoch == memory.epoch);
    let tried = pods.count();
    if tried != 1 {
        world.checks.fail("scenario", format!("the attempt has {tried} pods: no retry is pending"));
    }
    true
}
