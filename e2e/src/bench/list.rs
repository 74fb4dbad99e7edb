//! `list`: 30,000 Jobs in one answer, as JSON and as the Table that kubectl prints. What it takes until the last byte is
//! there, and what CPU the servers spend on it.

use std::time::Instant;

use anyhow::ensure;
use bytes::Bytes;
use http::{Method, StatusCode};

use super::bodies::{self, JOBS};
use super::context::Context;
use super::endpoint::{JSON, TABLE};
use super::load::{self, Load, Until};
use super::process::cpu_ms;
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use super::subject::Subject;
use crate::tools::Tool;

/// How they are asked for.
const SHAPES: [(&str, &str); 2] = [("json", JSON), ("table", TABLE)];

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let peers = context.peers(&[Tool::Etcd, Tool::KubeApiserver])?;
    let jobs = context.amount(30_000, 300);
    let mut subjects = Vec::new();
    for role in [Role::Muster, Role::Peer] {
        if let Some(subject) = Subject::start(role, peers.as_ref(), context)? {
            fill(&subject, jobs, context)?;
            subjects.push(subject);
        }
    }
    let bar = progress::bar("lists", u64::from(context.runs) * 2 * subjects.len() as u64);
    let mut samples = Vec::new();
    for _ in 0..context.runs {
        for (case, accept) in SHAPES {
            for subject in &subjects {
                samples.extend(lists(subject, (case, accept), jobs, context)?);
                bar.inc(1);
            }
        }
    }
    Ok(samples)
}

fn fill(subject: &Subject, jobs: u64, context: &Context) -> anyhow::Result<()> {
    let load = Load { clients: 32, until: Until::Requests(jobs) };
    let bar = progress::bar("jobs to list", jobs);
    let answers = context.wait(load::post(&subject.endpoint()?, JOBS, load, &bodies::posted(), &bar))?;
    let created = answers.of(StatusCode::CREATED);
    ensure!(created == jobs, "{created} of {jobs} jobs were created: {:?}", answers.statuses);
    Ok(())
}

/// A few lists in a row, since CPU time is counted in hundredths of a second.
fn lists(
    subject: &Subject,
    (case, accept): (&str, &str),
    jobs: u64,
    context: &Context,
) -> anyhow::Result<Vec<Sample>> {
    let times: u32 = context.amount(4, 1);
    let endpoint = subject.endpoint()?;
    let processes = subject.processes();
    let (cpu_before, start) = (cpu_ms(&processes), Instant::now());
    let mut bytes = 0;
    for _ in 0..times {
        let answer = context.wait(endpoint.once(Method::GET, JOBS, accept, Bytes::new()))?;
        ensure!(answer.status == StatusCode::OK, "the list was answered with {}", answer.status);
        bytes = answer.body.len();
        let least = usize::try_from(jobs)? * 100;
        ensure!(bytes > least, "{bytes} bytes cannot be a list of {jobs} jobs");
    }
    let (wall_ms, cpu) = (start.elapsed().as_secs_f64() * 1000.0, cpu_ms(&processes) - cpu_before);
    let sample = |metric, unit, value| Sample::new(subject.role(), case, metric, unit, value);
    Ok(vec![
        sample("wall", "ms", wall_ms / f64::from(times)),
        sample("server CPU", "ms", cpu / f64::from(times)),
        sample("size", "MiB", bytes as f64 / f64::from(1 << 20)),
    ])
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let figures = SHAPES.iter().flat_map(|(case, _)| [(*case, "wall"), (*case, "server CPU")]);
    figures.filter_map(|(case, metric)| summary.ratio_target(case, metric, Bound::AtMost(0.2))).collect()
}
