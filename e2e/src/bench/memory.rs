//! `memory`: what a job costs in memory, 30 s after the last acknowledgement, when the log has been compacted. Of Muster's
//! replicas the worst one counts; of the peer the API server and etcd together.

use std::time::Duration;

use anyhow::ensure;
use http::StatusCode;

use super::bodies::{self, JOBS};
use super::context::Context;
use super::load::{self, Bodies, Load, Until};
use super::process::rss_bytes;
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use super::subject::Subject;
use crate::tools::Tool;

/// What is wanted, in bytes per job.
const MOST_BYTES: f64 = 2_500.0;

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let peers = context.peers(&[Tool::Etcd, Tool::KubeApiserver])?;
    let mut samples = Vec::new();
    // Memory of one run differs from another's by some percent only, and a run takes minutes.
    for _ in 0..context.runs.min(3) {
        for role in [Role::Muster, Role::Peer] {
            for (case, bodies) in [("posted", bodies::posted()), ("applied", bodies::applied("train"))] {
                if let Some(subject) = Subject::start(role, peers.as_ref(), context)? {
                    samples.push(bytes_per_job(&subject, (case, &bodies), context)?);
                }
            }
        }
    }
    samples.sort_by_key(|sample| sample.subject);
    Ok(samples)
}

fn bytes_per_job(
    subject: &Subject,
    (case, bodies): (&str, &Bodies),
    context: &Context,
) -> anyhow::Result<Sample> {
    let jobs: u64 = context.amount(100_000, 500);
    let before = resident(subject);
    let bar = progress::bar(&format!("jobs {case} to {:?}", subject.role()), jobs);
    let load = Load { clients: 32, until: Until::Requests(jobs) };
    let answers = context.wait(load::post(&subject.endpoint()?, JOBS, load, bodies, &bar))?;
    let created = answers.of(StatusCode::CREATED);
    ensure!(created == jobs, "{created} of {jobs} jobs were created: {:?}", answers.statuses);
    // The figure is defined at this moment: it is not a wait for something.
    std::thread::sleep(context.amount(Duration::from_secs(30), Duration::ZERO));
    let grown = resident(subject).into_iter().zip(before).map(|(now, then)| now - then);
    let worst = grown.max_by(f64::total_cmp).unwrap_or_default();
    Ok(Sample::new(subject.role(), case, "memory per job", "B", worst / jobs as f64))
}

/// Bytes resident, for each store.
fn resident(subject: &Subject) -> Vec<f64> {
    let stores = subject.stores();
    stores.iter().map(|pids| pids.iter().map(|pid| rss_bytes(*pid) as f64).sum()).collect()
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let cases = ["posted", "applied"];
    cases
        .iter()
        .filter_map(|case| summary.worst_target(case, "memory per job", Bound::AtMost(MOST_BYTES)))
        .collect()
}
