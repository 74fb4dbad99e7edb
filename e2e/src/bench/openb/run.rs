//! All seeds, one line each.

use std::cmp::Reverse;
use std::time::Instant;

use muster_placement::Ask;

use super::arrivals::arrivals;
use super::fgd::Fgd;
use super::line::{Figures, Line};
use super::muster::Muster;
use super::replay::{Allocation, replay};
use super::trace::Trace;

/// In which order pods are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they arrive, and those that do not fit are lost: the published protocol.
    Arrival,
    /// All that have arrived wait in one queue, which is placed largest first.
    QueueAware,
}

/// Replays the trace under one seed.
pub fn run(trace: &Trace, seed: u64, order: Order) -> Line {
    let order_of_arrival: Vec<&Ask> = arrivals(trace, seed).into_iter().map(|pod| &trace.pods[pod]).collect();
    match order {
        Order::Arrival => in_order_of_arrival(trace, seed, &order_of_arrival),
        Order::QueueAware => largest_first(trace, seed, &order_of_arrival),
    }
}

fn in_order_of_arrival(trace: &Trace, seed: u64, pods: &[&Ask]) -> Line {
    let mut fgd = Fgd::new(&trace.nodes, pods);
    let fgd = replay(&mut fgd, pods, trace.gpu_milli());
    let (muster, per_second) = timed(trace, pods);
    Line::new(seed, muster, Figures { decisions: pods.len(), per_second }, Some(fgd))
}

/// Of a queue at each load, which is placed as a whole.
fn largest_first(trace: &Trace, seed: u64, pods: &[&Ask]) -> Line {
    let at = |percent: u64| {
        let mut asked = 0;
        let limit = trace.gpu_milli() * percent / 100;
        let arrived = |pod: &&&Ask| {
            let is_before = asked < limit;
            asked += pod.request.gpu_milli;
            is_before
        };
        let mut queue: Vec<&Ask> = pods.iter().take_while(arrived).copied().collect();
        queue.sort_by_key(|pod| Reverse(pod.request));
        let (found, per_second) = timed(trace, &queue);
        (found.at_130, queue.len(), per_second)
    };
    let (at_95, _, _) = at(95);
    let (at_100, _, _) = at(100);
    let (at_130, decisions, per_second) = at(130);
    Line::new(seed, Allocation { at_95, at_100, at_130 }, Figures { decisions, per_second }, None)
}

fn timed(trace: &Trace, pods: &[&Ask]) -> (Allocation, f64) {
    let start = Instant::now();
    let mut muster = Muster::new(&trace.nodes, pods);
    let found = replay(&mut muster, pods, trace.gpu_milli());
    (found, pods.len() as f64 / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::openb::synthetic::synthetic;

    #[test]
    fn a_seed_gives_one_figure_and_never_more_than_there_is() {
        let trace = synthetic();
        for order in [Order::Arrival, Order::QueueAware] {
            let (one, two) = (run(&trace, 7, order), run(&trace, 7, order));
            assert_eq!(one.allocation_at_130.to_bits(), two.allocation_at_130.to_bits());
            assert!(
                one.allocation_at_95 <= one.allocation_at_130 && one.allocation_at_130 <= 100.0,
                "{one:?}"
            );
        }
    }

    #[test]
    fn the_rule_fills_at_least_what_fgd_fills() {
        let trace = synthetic();
        let lines: Vec<Line> = (1..=4).map(|seed| run(&trace, seed, Order::Arrival)).collect();
        let sum = |of: fn(&Line) -> f64| lines.iter().map(of).sum::<f64>();
        let (muster, fgd) = (
            sum(|line| line.allocation_at_130),
            sum(|line| line.fgd.map_or(0.0, |fgd| fgd.allocation_at_130)),
        );
        assert!(muster >= fgd, "{muster} against {fgd}");
        assert!(muster / 4.0 > 90.0, "{muster}");
    }
}
