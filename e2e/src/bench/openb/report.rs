//! The figures of the lines, and what they should be.

use super::line::Line;
use super::run::{Order, run};
use super::synthetic::synthetic;
use crate::bench::context::Context;
use crate::bench::report::{Bound, Role, Sample, Summary, Target};

/// What FGD's authors publish for this trace at 130 %, the mean of ten seeds, in percent.
const PUBLISHED_FGD: f64 = 95.39;
const DECISIONS_PER_S: f64 = 50_000.0;

/// Replays the made-up trace.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let trace = synthetic();
    let seeds = 42..=context.amount(51, 43);
    let lines = seeds.flat_map(|seed| samples(&run(&trace, seed, Order::Arrival), Order::Arrival));
    Ok(lines.collect())
}

/// The figures of one seed.
pub fn samples(line: &Line, order: Order) -> Vec<Sample> {
    let case = case(order);
    let sample = |metric, unit, value| Sample::new(Role::Muster, case, metric, unit, value);
    let mut samples = vec![
        sample("allocated at 95", "%", line.allocation_at_95),
        sample("allocated at 100", "%", line.allocation_at_100),
        sample("allocated at 130", "%", line.allocation_at_130),
        sample("decisions", "1/s", line.decisions_per_s as f64),
    ];
    if let Some(fgd) = line.fgd {
        let beside = |metric, value| Sample::new(Role::Peer, case, metric, "%", value);
        samples.extend([
            beside("allocated at 95", fgd.allocation_at_95),
            beside("allocated at 100", fgd.allocation_at_100),
            beside("allocated at 130", fgd.allocation_at_130),
        ]);
    }
    samples
}

/// What is wanted on the published trace.
pub fn published(summary: &Summary, order: Order) -> Vec<Target> {
    let target = |metric, least| summary.median_target(case(order), metric, Bound::AtLeast(least));
    [target("allocated at 130", PUBLISHED_FGD), target("decisions", DECISIONS_PER_S)]
        .into_iter()
        .flatten()
        .collect()
}

/// The made-up trace says that it works, not how well.
pub fn targets(_: &Summary) -> Vec<Target> {
    Vec::new()
}

fn case(order: Order) -> &'static str {
    match order {
        Order::Arrival => "arrival order",
        Order::QueueAware => "whole queue",
    }
}
