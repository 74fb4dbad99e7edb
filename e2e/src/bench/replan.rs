//! `replan`: what a change costs while many jobs wait: one more job, and room that comes free at one member. From the event to
//! the fleet at rest again, by the engine alone. A change must cost what changed, not what waits; beside it, what it costs to look
//! at all that waits.

use std::sync::Arc;
use std::time::Instant;

use muster_model::*;
use muster_placement::plan;

use super::context::Context;
use super::placement::{Fleet, NOW, job_spec, queued};
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use crate::splitmix::SplitMix64;

const CLUSTERS: u64 = 20;
const ALIKE: &str = "60 kinds of jobs wait";
const DIFFERENT: &str = "no two jobs that wait are alike";
const ONE_P50: &str = "one more job, p50";
const ONE_P99: &str = "one more job, p99";
const ROOM_P50: &str = "room at a member, p50";
const ROOM_P99: &str = "room at a member, p99";
/// Plans for all that waits, beside those for what changed.
const FULL: u64 = 3;

/// What is planned again after a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// What Muster does.
    WhatChanged,
    /// What a planner does that knows no changes: the peer.
    Everything,
}

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let waiting = context.amount(100_000, 500);
    let changes = context.amount(300, 5);
    let bar = progress::bar("queues filled", 2 * u64::from(context.runs));
    let mut samples = Vec::new();
    for run in 0..context.runs {
        for case in [ALIKE, DIFFERENT] {
            samples.extend(changed(case, waiting, changes, u64::from(run)));
            bar.inc(1);
        }
    }
    Ok(samples)
}

fn changed(case: &str, waiting: u64, changes: u64, seed: u64) -> Vec<Sample> {
    let mut draw = SplitMix64(seed);
    let mut fleet = filled(case, waiting, &mut draw, seed);
    fleet_at_rest(&mut fleet);
    let mut late = |fleet: &mut Fleet, number: u64, scope| {
        let status = queued(&unlike(&mut draw, waiting + number), waiting + number);
        replanned(fleet, (Key::job("default", &format!("late-{number}")), status), scope)
    };
    let submitted: Vec<f64> =
        (0..changes).map(|number| late(&mut fleet, number, Scope::WhatChanged)).collect();
    let freed: Vec<f64> = (0..changes)
        .filter_map(|number| {
            let key = Key::cluster(&format!("cluster-{}", number % CLUSTERS));
            let status = with_a_free_node(&fleet, &key, number / CLUSTERS)?;
            Some(replanned(&mut fleet, (key, status), Scope::WhatChanged))
        })
        .collect();
    let all: Vec<f64> =
        (0..FULL).map(|number| late(&mut fleet, changes + number, Scope::Everything)).collect();
    let sample = |role, metric, times: &[f64], share| {
        Sample::new(role, case, metric, "ms", super::figures::percentile(times, share))
    };
    vec![
        sample(Role::Muster, ONE_P50, &submitted, 0.5),
        sample(Role::Muster, ONE_P99, &submitted, 0.99),
        sample(Role::Muster, ROOM_P50, &freed, 0.5),
        sample(Role::Muster, ROOM_P99, &freed, 0.99),
        sample(Role::Peer, ONE_P50, &all, 0.5),
    ]
}

/// A fleet in which so many jobs wait, or run if there is room.
fn filled(case: &str, waiting: u64, draw: &mut SplitMix64, seed: u64) -> Fleet {
    let mut fleet = Fleet::new(CLUSTERS, if case == ALIKE { waiting } else { 0 }, seed);
    for number in 0..if case == DIFFERENT { waiting } else { 0 } {
        fleet.put(Key::job("default", &format!("job-{number}")), queued(&unlike(draw, number), number));
    }
    fleet
}

fn fleet_at_rest(fleet: &mut Fleet) {
    while fleet.view.wants_plan(NOW) {
        let found = plan(&fleet.view, NOW);
        fleet.apply(&found);
    }
}

/// Milliseconds from a change until nothing is left to plan, with what was planned committed and taken in.
fn replanned(fleet: &mut Fleet, (key, status): (Key, Status), scope: Scope) -> f64 {
    let start = Instant::now();
    fleet.put(key, status);
    if scope == Scope::Everything {
        fleet.view.retry();
    }
    fleet_at_rest(fleet);
    start.elapsed().as_secs_f64() * 1000.0
}

/// A job like no other: each may be active for another time.
fn unlike(draw: &mut SplitMix64, number: u64) -> Arc<JobSpec> {
    Arc::new(JobSpec { active_deadline: Some(DurationMs::from_secs(100_000 + number)), ..job_spec(draw) })
}

/// The member after all of one Node came free.
fn with_a_free_node(fleet: &Fleet, key: &Key, node: u64) -> Option<Status> {
    let mut cluster = fleet.cluster(key)?.clone();
    let node = u32::try_from(node).ok()? % u32::try_from(cluster.status.nodes.free.len()).ok()?;
    let free = cluster.status.nodes.free[node as usize].free;
    let taken = cluster.status.nodes.shape(node)?.allocatable.minus(&free)?;
    cluster.status.nodes.give(node, &taken);
    Some(Status::Cluster(Box::new(cluster)))
}

/// One job into 100,000 that wait costs at most 2 ms.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let target = |(case, metric)| summary.median_target(case, metric, Bound::AtMost(2.0));
    let metrics = [ONE_P50, ONE_P99];
    let all = [ALIKE, DIFFERENT].into_iter().flat_map(|case| metrics.map(|metric| (case, metric)));
    all.filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_changes_are_measured_for_both_queues() {
        for case in [ALIKE, DIFFERENT] {
            let samples = changed(case, 300, 5, 1);
            assert_eq!(samples.len(), 5);
            assert!(samples.iter().all(|sample| sample.value > 0.0), "{samples:?}");
        }
    }
}
