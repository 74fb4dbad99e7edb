//! `submit-to-run`: an idle federation, one job at a time. From POST to the moment that the job's own process read the clock,
//! and on the way: the acknowledgement, and when a watch told that it was placed and that it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::bodies::JOBS;
use super::context::Context;
use super::endpoint::{Endpoint, JSON};
use super::figures::percentile;
use super::process::Folder;
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use super::stopwatch::Moment;
use super::subject::front_of;
use crate::local::{Federation, Options, condition, job, until_within};

/// How long a job may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds from POST.
struct Steps {
    acknowledged: f64,
    placed: f64,
    process: f64,
    running: f64,
}

/// When a watch told something of a job first.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    placed: Option<Moment>,
    running: Option<Moment>,
    complete: Option<Moment>,
}

type Watched = Arc<Mutex<BTreeMap<String, Told>>>;

/// Measures.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let jobs: u32 = context.amount(50, 5);
    let federation = Federation::start(&Options::default());
    let endpoint = front_of(&federation)?;
    let folder = Folder::new("submit")?;
    context.wait(async {
        let watched = Watched::default();
        let watching = tokio::spawn(watch(endpoint.clone(), Arc::clone(&watched)));
        let bar = progress::bar("jobs", u64::from(jobs * context.runs));
        let mut samples = Vec::new();
        for run in 0..context.runs {
            let mut steps = Vec::new();
            for number in 0..jobs {
                let name = format!("submit-{run}-{number}");
                steps.push(submit(&endpoint, &watched, folder.path(), &name).await?);
                bar.inc(1);
            }
            samples.extend(figures(&steps));
        }
        watching.abort();
        Ok(samples)
    })
}

async fn submit(endpoint: &Endpoint, watched: &Watched, folder: &Path, name: &str) -> anyhow::Result<Steps> {
    let file = folder.join(name);
    let shown = file.display();
    let body = job(name, &format!("date +%s%N > {shown}.new && mv {shown}.new {shown}"), 1).to_string();
    let mut connection = endpoint.connect().await?;
    let start = Moment::now();
    let answer = connection.ask(Method::POST, JOBS, JSON, Bytes::from(body)).await?;
    let acknowledged = Moment::now();
    let said = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == StatusCode::CREATED, "{name}: {} {said}", answer.status);
    let process = until_within(PATIENCE, "the job's process", || async {
        Moment::parse(&tokio::fs::read_to_string(&file).await.ok()?)
    });
    let process = process.await;
    let told = until_within(PATIENCE, "the job's end", || async {
        let told = watched.lock().ok()?.get(name).copied()?;
        told.complete.map(|_| told)
    });
    let told = told.await;
    let (placed, running) =
        (told.placed.context("it was never told as placed")?, told.running.or(told.complete));
    Ok(Steps {
        acknowledged: acknowledged.ms_since(start),
        placed: placed.ms_since(start),
        process: process.ms_since(start),
        running: running.context("it was never told as running")?.ms_since(start),
    })
}

/// Notes when each job was told first as placed, running and complete. Ends with its connection.
async fn watch(endpoint: Endpoint, watched: Watched) -> anyhow::Result<()> {
    let mut connection = endpoint.connect().await?;
    let path = format!("{JOBS}?watch=true");
    let mut body = connection.send(Method::GET, &path, JSON, Bytes::new()).await?.into_body();
    let mut unread = Vec::new();
    while let Some(frame) = body.frame().await {
        unread.extend_from_slice(&frame?.into_data().unwrap_or_default());
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            note(&serde_json::from_slice(&line)?, &watched);
        }
    }
    Ok(())
}

fn note(event: &Value, watched: &Watched) {
    let job = &event["object"];
    let Some(name) = job["metadata"]["name"].as_str() else { return };
    let Ok(mut watched) = watched.lock() else { return };
    let told = watched.entry(name.to_owned()).or_default();
    let is = |kind: &str| condition(job, kind).is_some_and(|(status, _)| status == "True");
    let first = |moment: &mut Option<Moment>, seen: bool| {
        if seen {
            moment.get_or_insert_with(Moment::now);
        }
    };
    first(&mut told.placed, is("Placed"));
    first(&mut told.running, job["status"]["ready"].as_u64().is_some_and(|ready| ready > 0));
    first(&mut told.complete, is("Complete"));
}

fn figures(steps: &[Steps]) -> Vec<Sample> {
    let of = |case: &str, part: fn(&Steps) -> f64| {
        let values: Vec<f64> = steps.iter().map(part).collect();
        let sample =
            |metric, share| Sample::new(Role::Muster, case, metric, "ms", percentile(&values, share));
        [sample("p50", 0.5), sample("p99", 0.99)]
    };
    let acknowledged = of("acknowledged", |steps| steps.acknowledged);
    let placed = of("placed, watched", |steps| steps.placed);
    let process = of("process", |steps| steps.process);
    let running = of("running, watched", |steps| steps.running);
    [acknowledged, placed, process, running].concat()
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    summary.median_target("process", "p50", Bound::AtMost(50.0)).into_iter().collect()
}
