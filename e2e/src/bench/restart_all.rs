//! `restart-all`: from SIGKILL of all replicas to the first acknowledged write, the supervisor's restarts included; etcd as a
//! group of three, restarted at once, beside it.

use super::context::Context;
use super::report::{Bound, Sample, Summary, Target};
use super::trials::{self, Victims};

/// Kills of one run.
const TRIALS: u32 = 40;

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    trials::measure(Victims::All, context.amount(TRIALS, 2), context)
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let wanted = [
        summary.median_target("sigkill", "p50", Bound::AtMost(400.0)),
        summary.worst_target("sigkill", "p99", Bound::AtMost(1_000.0)),
        summary.worst_target("sigkill", "lost", Bound::AtMost(0.0)),
    ];
    wanted.into_iter().flatten().collect()
}
