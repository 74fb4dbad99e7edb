//! `create`: how many Jobs a second the API takes, and how long one takes, at 1, 32 and 256 clients.
//!
//! Subjects take turns, each with fresh data, and never run at the same time. In each turn a short load warms the server up.

use std::time::Duration;

use http::StatusCode;
use indicatif::ProgressBar;

use super::bodies::{self, JOBS};
use super::context::Context;
use super::endpoint::Endpoint;
use super::figures::percentile;
use super::hey::{self, Found};
use super::load::{self, Answers, Load, Until};
use super::peer::Binaries;
use super::process::Folder;
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use super::subject::Subject;
use crate::tools::Tool;

/// Clients at a time.
const CLIENTS: [usize; 3] = [1, 32, 256];

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let peers = context.peers(&[Tool::Hey, Tool::Etcd, Tool::KubeApiserver])?;
    let mut samples = Vec::new();
    let bar = progress::bar("create", u64::from(context.runs) * 9);
    for run in 0..context.runs {
        let mut roles = [Role::Muster, Role::Peer, Role::Limit];
        roles.rotate_left(run as usize % 3);
        for role in roles {
            if let Some(subject) = Subject::start(role, peers.as_ref(), context)? {
                samples.extend(turn(&subject, peers.as_ref(), context, &bar)?);
            }
        }
    }
    samples.sort_by_key(|sample| sample.subject);
    Ok(samples)
}

fn turn(
    subject: &Subject,
    peers: Option<&Binaries>,
    context: &Context,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Sample>> {
    let endpoint = subject.endpoint()?;
    let folder = Folder::new("create")?;
    let client = Client { endpoint, hey: peers, folder, context };
    client.post(32, context.amount(Duration::from_secs(2), Duration::from_millis(100)))?;
    let mut samples = Vec::new();
    for clients in CLIENTS {
        let found =
            client.post(clients, context.amount(Duration::from_secs(8), Duration::from_millis(300)))?;
        samples.extend(figures(subject.role(), clients, &found));
        bar.inc(1);
    }
    Ok(samples)
}

fn figures(role: Role, clients: usize, found: &Found) -> Vec<Sample> {
    let case = format!("c{clients}");
    let sample = |metric, unit, value| Sample::new(role, &case, metric, unit, value);
    vec![
        sample("rate", "1/s", found.of(201) as f64 / found.seconds),
        sample("p50", "ms", found.p50_ms),
        sample("p99", "ms", found.p99_ms),
        sample("errors", "requests", found.other_than(201) as f64),
        sample("429", "requests", found.of(429) as f64),
    ]
}

/// `hey` where there is one, else our own clients.
struct Client<'a> {
    endpoint: Endpoint,
    hey: Option<&'a Binaries>,
    folder: Folder,
    context: &'a Context,
}

impl Client<'_> {
    fn post(&self, clients: usize, duration: Duration) -> anyhow::Result<Found> {
        if let Some(binaries) = self.hey {
            let body = self.folder.path().join("job.json");
            std::fs::write(&body, bodies::gpu_job().to_string())?;
            return hey::post(binaries.path(Tool::Hey), &self.endpoint, JOBS, (clients, duration), &body);
        }
        let load = Load { clients, until: Until::Elapsed(duration) };
        let hidden = ProgressBar::hidden();
        let answers =
            self.context.wait(load::post(&self.endpoint, JOBS, load, &bodies::posted(), &hidden))?;
        anyhow::ensure!(answers.of(StatusCode::CREATED) > 0, "nothing was created: {:?}", answers.statuses);
        Ok(found(&answers))
    }
}

fn found(answers: &Answers) -> Found {
    Found {
        seconds: answers.seconds,
        p50_ms: percentile(&answers.latencies_ms, 0.5),
        p99_ms: percentile(&answers.latencies_ms, 0.99),
        statuses: answers.statuses.iter().map(|(status, count)| (*status, *count)).collect(),
        errors: answers.errors,
    }
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    let theirs_at_one = summary.line("c1", "p50").and_then(|line| line.peer).map(|peer| peer.median);
    let cases = CLIENTS.map(|clients| format!("c{clients}"));
    let quick = theirs_at_one.and_then(|peer| summary.median_target("c1", "p50", Bound::Below(peer)));
    let rates =
        ["c32", "c256"].iter().filter_map(|case| summary.ratio_target(case, "rate", Bound::AtLeast(3.0)));
    let none = |metric: &'static str| {
        cases.iter().filter_map(move |case| summary.worst_target(case, metric, Bound::AtMost(0.0)))
    };
    rates.chain(quick).chain(none("429")).chain(none("errors")).collect()
}
