//! All replicas are down for a day (L2). Nothing under `Keep` or `DuplicateOk` is ended by that or runs twice; what is fenced
//! ends at its deadline and is requeued once; what ended meanwhile is told when the hub is back.

use muster_member_machine::PodEnd;
use muster_model::{JobPhase, Key, PartitionPolicy};

use super::hands::{job, stubborn};
use super::script::{Memory, Stage};
use super::sign::Sign;
use crate::invariants::{EndedAlone, check_ended_alone};
use crate::sim::event::{MEMBERS, REPLICAS};
use crate::sim::pod::PodLife;
use crate::sim::world::World;

const DAY_MS: u64 = 86_400_000;
/// How much slower agents look at the clock and dial: nobody answers anyhow.
const PACE: u64 = 20;
const JOBS: [(&str, PartitionPolicy, u64); 4] = [
    ("keep-short", PartitionPolicy::Keep, DAY_MS / 3),
    ("keep-long", PartitionPolicy::Keep, DAY_MS + 120_000),
    ("dup-long", PartitionPolicy::DuplicateOk, DAY_MS + 120_000),
    ("fence-long", PartitionPolicy::Fence, DAY_MS + 120_000),
];

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "jobs of all policies are submitted", within_ms: 20_000, step: submit },
    Stage { name: "all run; all replicas go down", within_ms: 20_000, step: go_down },
    Stage { name: "a day has passed; the replicas start", within_ms: DAY_MS + 60_000, step: day_passed },
    Stage {
        name: "what ended meanwhile is known, what was fenced runs again",
        within_ms: 90_000,
        step: told,
    },
];

fn submit(world: &mut World, _memory: &mut Memory, _sign: &Sign) -> bool {
    if !world.stands() {
        return false;
    }
    for (name, policy, runs_ms) in JOBS {
        world.pods_behave(name, stubborn(runs_ms));
        world.submit(&Key::job("default", name), job(policy, 45_000, 1));
    }
    true
}

fn go_down(world: &mut World, memory: &mut Memory, sign: &Sign) -> bool {
    if let Sign::Runs { member, pod } = sign {
        memory.pods.push((*member, *pod));
    }
    if memory.pods.len() < JOBS.len() {
        return false;
    }
    (0..REPLICAS).for_each(|replica| world.stop_replica(replica, false));
    world.set_pace(PACE);
    memory.at = world.now;
    true
}

fn day_passed(world: &mut World, memory: &mut Memory, _sign: &Sign) -> bool {
    if world.now < memory.at + DAY_MS {
        return false;
    }
    for member in 0..MEMBERS {
        for pod in world.members[member].pods.values() {
            let reason = match &pod.life {
                PodLife::Ended(PodEnd { reason, .. }) => Some(*reason),
                PodLife::Launching | PodLife::Running { .. } => None,
            };
            let ended = EndedAlone {
                member,
                name: &pod.start.name,
                policy: pod.start.attempt.policy.partition,
                reason,
            };
            check_ended_alone(ended, &mut world.checks.found);
        }
    }
    // The fenced one will not run for another day.
    world.pods_behave("fence-long", stubborn(60_000));
    world.set_pace(1);
    (0..REPLICAS).for_each(|replica| world.restart_replica_in(replica, 1));
    true
}

fn told(world: &mut World, _memory: &mut Memory, _sign: &Sign) -> bool {
    let job = |name: &str| world.object(&Key::job("default", name)).and_then(|object| object.job());
    let is_told = job("keep-short").is_some_and(|job| matches!(job.phase, JobPhase::Finished(_)));
    let Some(fenced) = job("fence-long") else { return false };
    is_told && fenced.attempts == 2 && fenced.pods.active > 0
}

#[cfg(test)]
mod tests {
    use muster_member_machine::EndReason;

    use super::*;

    #[test]
    fn only_what_is_fenced_may_have_been_ended() {
        let ended = |policy, reason| {
            let mut found = Vec::new();
            check_ended_alone(EndedAlone { member: 0, name: "x", policy, reason }, &mut found);
            found.len()
        };
        assert_eq!(ended(PartitionPolicy::Keep, None), 0);
        assert_eq!(ended(PartitionPolicy::Keep, Some(EndReason::Completed)), 0);
        assert_eq!(ended(PartitionPolicy::Keep, Some(EndReason::Stopped)), 1);
        assert_eq!(ended(PartitionPolicy::DuplicateOk, Some(EndReason::Fenced)), 1);
        assert_eq!(ended(PartitionPolicy::Fence, Some(EndReason::Fenced)), 0);
        assert_eq!(ended(PartitionPolicy::Fence, None), 1);
    }
}
