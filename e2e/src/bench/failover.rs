//! `failover`: from SIGKILL of the leader to the next acknowledged write, through the front; etcd as a group of three beside it.

use super::context::Context;
use super::report::{Bound, Sample, Summary, Target};
use super::trials::{self, Victims};

/// Kills of one run; five runs make 200.
const TRIALS: u32 = 40;

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    trials::measure(Victims::Leader, context.amount(TRIALS, 3), context)
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let wanted = [
        summary.median_target("sigkill", "p50", Bound::AtMost(800.0)),
        summary.worst_target("sigkill", "p99", Bound::AtMost(1_500.0)),
        summary.worst_target("sigkill", "lost", Bound::AtMost(0.0)),
    ];
    wanted.into_iter().flatten().collect()
}
