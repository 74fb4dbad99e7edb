//! One plan evicts an attempt and assigns anew: in half of the seeds its place to another job that waits for room, in half
//! the same job to another member. Nothing is granted before the evicted attempt has ended.

use std::sync::Arc;

use muster_model::{Assignment, Command, Eviction, Job, JobPhase, PartitionPolicy, Plan, PodClaim};

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use super::thaw_before_timer::runs;
use crate::sim::world::World;

/// So many jobs that take a whole Node each fill both members.
const NODES: usize = 6;

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "jobs that take whole Nodes are submitted", within_ms: 20_000, step: submit },
    Stage { name: "the one to be evicted runs", within_ms: 10_000, step: runs },
    Stage { name: "all run; another waits for room", within_ms: 20_000, step: crowd },
    Stage { name: "one plan evicts and assigns", within_ms: 20_000, step: plan },
    Stage { name: "the place is reserved while the evicted pod runs", within_ms: 5_000, step: reserved },
    Stage { name: "it is granted, and the evicted pod does not run", within_ms: 20_000, step: granted },
];

fn submit(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    world.pods_behave("", stubborn(60_000));
    world.submit(&memory.job, job(PartitionPolicy::Keep, 30_000, 8));
    true
}

fn crowd(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    let moves = memory.variant % 2 == 1;
    if memory.pods.is_empty() {
        memory.pods.extend(memory.pod.map(|pod| (memory.member, pod)));
        let fillers = if moves { 0 } else { NODES - 1 };
        for number in 0..fillers {
            let key = muster_model::Key::job("default", &format!("filler-{number}"));
            world.submit(&key, job(PartitionPolicy::Keep, 30_000, 8));
        }
    }
    if let Sign::Runs { member, pod } = sign {
        memory.pods.push((*member, *pod));
    }
    if moves {
        memory.other = memory.job.clone();
        return true;
    }
    if memory.pods.len() == NODES && memory.until == 0 {
        memory.until = 1;
        world.submit(&memory.other, job(PartitionPolicy::Keep, 30_000, 8));
    }
    memory.until == 1 && world.object(&memory.other).is_some()
}

fn plan(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    let Some(object) = world.object(&memory.other) else { return false };
    let Some(evicted) = world.object(&memory.job).and_then(|object| object.job()?.attempt.clone()) else {
        return false;
    };
    let moves = memory.job == memory.other;
    let member = if moves { 1 - memory.member } else { memory.member };
    let claims = match moves {
        true => vec![PodClaim { pod_set: 0, node: 0, pods: 1 }],
        false => evicted.assignment.claims.clone(),
    };
    let assignment = Assignment {
        member: world.members[member].name.clone(),
        claims,
        // A job's own attempt is in the way of its next one without being named.
        after: if moves { Vec::new() } else { vec![(memory.job.clone(), memory.epoch)] },
        because: Arc::from("an operator's plan"),
        ..evicted.assignment.clone()
    };
    let plan = Plan {
        based_on: object.meta.revision,
        assignments: vec![(memory.other.clone(), object.meta.uid, assignment)],
        evictions: vec![Eviction {
            job: memory.job.clone(),
            epoch: memory.epoch,
            message: "makes room".into(),
        }],
    };
    world.ask_for(Command::CommitPlan(plan));
    true
}

fn reserved(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    let phase = world.object(&memory.other).and_then(|object| object.job()).map(|job| &job.phase);
    matches!(phase, Some(JobPhase::Reserved(_))) && world.has_live_pod(memory.epoch)
}

fn granted(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    let job = world.object(&memory.other).and_then(|object| object.job());
    let is_granted = |job: &Job| job.attempt.as_ref().is_some_and(|attempt| attempt.epoch != memory.epoch);
    job.is_some_and(is_granted) && !world.has_live_pod(memory.epoch)
}
