//! A failing run with as few faults as it needs: first halves, then one fault after the other is left out, and what still
//! breaks the same promise is kept.

use super::run::{RunReport, RunSpec, run};
use super::schedule::Fault;

/// Tries at most; each costs a run.
const MAX_TRIES: usize = 250;

/// The faults that are left, and the report of the run with them.
pub fn shrink(failed: &RunSpec, report: &RunReport) -> (Vec<Fault>, RunReport) {
    let mut faults = failed.plan.clone().unwrap_or_else(|| failed.scenario.plan(failed.seed));
    faults.retain(|fault| fault.at <= report.counts.virtual_ms);
    let mut best = report.clone();
    let mut part = faults.len().div_ceil(2).max(1);
    let mut tries = 0;
    loop {
        let mut from = 0;
        while from < faults.len() && tries < MAX_TRIES {
            tries += 1;
            let mut fewer = faults.clone();
            fewer.drain(from..(from + part).min(faults.len()));
            let tried = run(&RunSpec { plan: Some(fewer.clone()), ..failed.clone() });
            if breaks_the_same(&tried, report) {
                (faults, best) = (fewer, tried);
            } else {
                from += part;
            }
        }
        if part == 1 || tries >= MAX_TRIES {
            return (faults, best);
        }
        part = part.div_ceil(2);
    }
}

fn breaks_the_same(tried: &RunReport, report: &RunReport) -> bool {
    let promise = |report: &RunReport| report.violation.as_ref().map(|violation| violation.promise.clone());
    promise(tried) == promise(report)
}
