//! A ledger of a million attempts over 30 days, added up: what `muster cost` waits for. The store alone, on a real disk,
//! without a hub in front.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use muster_controller::history::{By, CostQuery, History, HistoryConfig, Item};
use muster_model::*;

use super::context::Context;
use super::report::{Bound, Role, Sample, Summary, Target};

/// Attempts in the ledger, and in a smoke run.
const RUNS: u64 = 1_000_000;
const RUNS_SMOKE: u64 = 20_000;
/// Where time begins, in the middle of a day, so that a question never falls on an edge of the sums.
const START_MS: u64 = 1_790_000_000_000 + 5 * 3_600_000;
const SPAN_MS: u64 = 30 * 24 * 3_600_000;
const NAMESPACES: u64 = 40;
const CLUSTERS: u64 = 12;
/// Bookings handed over at a time.
const BATCH: u64 = 1_000;
const CASE: &str = "30 days";

/// Fills a store and asks it.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let folder = std::env::temp_dir().join(format!("muster-bench-ledger-{}", std::process::id()));
    let measured = measure_in(&folder, context);
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    measured
}

fn measure_in(folder: &std::path::Path, context: &Context) -> anyhow::Result<Vec<Sample>> {
    let runs = context.amount(RUNS, RUNS_SMOKE);
    let history = History::start(folder, HistoryConfig::default())?;
    let begun = Instant::now();
    for first in (1..=runs).step_by(usize::try_from(BATCH)?) {
        let items = (first..(first + BATCH).min(runs + 1)).map(|number| booking(number, runs)).collect();
        history.append(items, first);
    }
    history.sync()?;
    let mut samples = vec![sample("write", "1/s", runs as f64 / begun.elapsed().as_secs_f64())];
    history.finish();
    let opened = Instant::now();
    let history = History::start(folder, HistoryConfig::default())?;
    history.sync()?;
    samples.push(sample("open", "ms", opened.elapsed().as_secs_f64() * 1_000.0));
    let since = TimeMs(START_MS + SPAN_MS / 60);
    for _ in 0..context.runs {
        for (metric, by) in [
            ("by namespace", By::Namespace),
            ("by cluster", By::Cluster),
            ("by label", By::Label("team".to_owned())),
        ] {
            let asked = Instant::now();
            let rows = history.cost(CostQuery { by, since, up_to: runs })?;
            samples.push(sample(metric, "ms", asked.elapsed().as_secs_f64() * 1_000.0));
            let booked: u64 = rows.iter().map(|row| row.sums.runs).sum();
            anyhow::ensure!(booked > runs * 9 / 10 && booked < runs, "{booked} of {runs} were added up");
        }
    }
    history.finish();
    Ok(samples)
}

/// One attempt, of those that are spread evenly over the time.
fn booking(number: u64, runs: u64) -> Item {
    let time = TimeMs(START_MS + number * (SPAN_MS / runs));
    let run = Run {
        job: Key::job(&format!("team-{}", number % NAMESPACES), &format!("train-{number}")),
        job_uid: Uid(u128::from(number)),
        epoch: Epoch(number),
        cluster: MemberName::new(format!("cluster-{}", number % CLUSTERS)),
        phase: RunPhase::Succeeded,
        start: TimeMs(time.0 - 3_600_000),
        end: Some(time),
        exit_code: Some(0),
        cost: vec![
            CostLine { kind: CostKind::Compute, amount: MicroUsd(12_340_000 + number.cast_signed() % 1_000) },
            CostLine { kind: CostKind::Egress, amount: MicroUsd(90_000) },
        ],
        lost_gpu_ms: 0,
    };
    let booking = Booking {
        sequence: number,
        time,
        revision: Revision(number),
        run,
        gpu_ms: 28_800_000,
        chain: [7; 32],
    };
    Item::Booked(Box::new(booking), None::<Arc<Object>>)
}

fn sample(metric: &str, unit: &'static str, value: f64) -> Sample {
    Sample::new(Role::Muster, CASE, metric, unit, value)
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    summary.median_target(CASE, "by namespace", Bound::AtMost(300.0)).into_iter().collect()
}
