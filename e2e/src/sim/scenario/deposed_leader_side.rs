//! A deposed leader sits on the member's side of a partition. It stands still while another is elected; when it goes on, the
//! member's heartbeats wait for it, and it takes them before it hears of the new term. Its answer must not renew anything.

use muster_model::PartitionPolicy;

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::runs;
use crate::sim::event::member_host;
use crate::sim::world::World;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "a fenced job is submitted", within_ms: 20_000, step: submit },
    Stage { name: "its pod runs", within_ms: 10_000, step: runs },
    Stage { name: "the leader stands still; the member reaches only it", within_ms: 10_000, step: stop },
    Stage { name: "another leads", within_ms: 6_000, step: elected },
    Stage {
        name: "heartbeats wait in the deposed leader's kernel; it goes on",
        within_ms: 7_000,
        step: go_on,
    },
    Stage { name: "the deposed leader takes one while another leads", within_ms: 1_000, step: takes },
    Stage { name: "the attempt is over for the hub; the member is back", within_ms: 60_000, step: over },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("story", stubborn(120_000));
    world.submit(&memory.job, job(PartitionPolicy::Fence, 14_000, 1));
    true
}

fn stop(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    // Right after an answer: the member will not give its stream up for ten seconds.
    let is_answer = matches!(sign, Sign::Ack { member, .. } if *member == memory.member);
    let Some(leader) = world.leader().filter(|_| is_answer && world.now >= memory.at) else { return false };
    memory.replica = leader;
    memory.at = world.now;
    world.freeze(leader);
    let links = links_to_others(memory);
    world.cut_links(&links);
    true
}

fn elected(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.leader().is_none_or(|leader| leader == memory.replica) {
        return false;
    }
    let latest = memory.at + 9_400;
    memory.until = latest.min(world.now + memory.random.between(3_000, 6_500));
    true
}

fn go_on(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.until || !world.holds_arrivals(memory.replica) {
        return false;
    }
    world.thaw(memory.replica);
    true
}

fn takes(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let took = Sign::BeatAtHub { replica: memory.replica, member: memory.member };
    *sign == took && world.leader().is_some_and(|leader| leader != memory.replica)
}

fn over(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.attempt(&memory.job).is_some_and(|(epoch, _)| epoch == memory.epoch) {
        return false;
    }
    let links = links_to_others(memory);
    world.join_links(&links);
    true
}

fn links_to_others(memory: &Memory) -> Vec<(usize, usize)> {
    let host = member_host(memory.member);
    World::others(memory.replica).flat_map(|other| [(other, host), (host, other)]).collect()
}
