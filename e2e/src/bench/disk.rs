//! `disk`: what a replica keeps on disk while its objects change, and change again. 720,000 updates, an hour of 200 a second,
//! sent as fast as they are taken. The most that any replica's folder held counts. History is told for itself: it is a record
//! of what was done, grows with it, and has its own limits (1 GiB of audit).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use http::{Method, StatusCode};

use super::bodies::{self, JOBS};
use super::context::Context;
use super::load::{self, Asked, Load, Requests, Until};
use super::progress;
use super::report::{Bound, Role, Sample, Summary, Target};
use super::subject::front_of;
use crate::local::{Federation, Options};

/// What is logged before a snapshot is taken, and what is kept of it behind one: the defaults of the product.
const CONFIGURED_LOG_BYTES: f64 = (36 << 20) as f64;
/// How many times state and log together.
const MOST: f64 = 2.0;
/// Between two looks at the folders.
const LOOK: Duration = Duration::from_millis(500);
/// Names of the jobs begin with it.
const PREFIX: &str = "change";

/// Bytes of a folder.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Of everything in it but history, as the file system counts blocks.
    log: u64,
    /// Of its history.
    history: u64,
    /// Of its largest finished snapshot: the state.
    state: u64,
}

/// Measures, once: so many updates are their own average.
pub fn measure(context: &Context) -> anyhow::Result<Vec<Sample>> {
    let (jobs, updates) = (context.amount(10_000, 50), context.amount(720_000, 200));
    let federation = Federation::start(&Options::default());
    let endpoint = front_of(&federation)?;
    let load = |count| Load { clients: 32, until: Until::Requests(count) };
    let bar = progress::bar("jobs", jobs);
    let made = context.wait(load::post(&endpoint, JOBS, load(jobs), &bodies::applied(PREFIX), &bar))?;
    ensure!(made.of(StatusCode::CREATED) == jobs, "not all jobs were made: {:?}", made.statuses);

    let names = federation.names("controller");
    let folders =
        names.iter().filter_map(|name| federation.process(name)["dataDir"].as_str().map(PathBuf::from));
    let folders: Vec<PathBuf> = folders.collect();
    ensure!(folders.len() == names.len(), "up.json names no folder of some replica");
    let bar = progress::bar("updates", updates);
    let changes = changes(jobs);
    let (done, most) = context.wait(async {
        let mut most = Held::default();
        let sending = load::send(&endpoint, load(updates), &changes, &bar);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                done = &mut sending => break done.map(|done| (done, most)),
                () = tokio::time::sleep(LOOK) => most = look(&folders, most),
            }
        }
    })?;
    ensure!(done.of(StatusCode::OK) == updates, "not all updates were done: {:?}", done.statuses);
    let most = look(&folders, most);

    let bound = most.state as f64 + CONFIGURED_LOG_BYTES;
    let sample = |metric, unit, value| Sample::new(Role::Muster, "updates", metric, unit, value);
    Ok(vec![
        sample("rate", "1/s", updates as f64 / done.seconds),
        sample("state", "MB", most.state as f64 / 1e6),
        sample("most on disk", "MB", most.log as f64 / 1e6),
        sample("disk by state and log", "", most.log as f64 / bound),
        sample("history", "MB", most.history as f64 / 1e6),
        sample("history per update", "B", most.history as f64 / updates as f64),
    ])
}

/// One job after the other gets another label, round after round.
fn changes(jobs: u64) -> Requests {
    Arc::new(move |number| Asked {
        method: Method::PUT,
        path: format!("{JOBS}/{PREFIX}-{}", number % jobs),
        body: bodies::changed(PREFIX, number % jobs, number / jobs),
    })
}

/// The most of what was seen before and what is there now, of any folder.
fn look(folders: &[PathBuf], before: Held) -> Held {
    folders.iter().fold(before, |most, folder| {
        let history = held(&folder.join("history")).log;
        let now = held(folder);
        Held {
            log: most.log.max(now.log.saturating_sub(history)),
            history: most.history.max(history),
            state: most.state.max(now.state),
        }
    })
}

/// A file that goes while it is looked at counts nothing.
fn held(folder: &Path) -> Held {
    let mut sum = Held::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            let inner = held(&entry.path());
            sum = Held { log: sum.log + inner.log, state: sum.state.max(inner.state), ..sum };
        } else {
            sum.log += metadata.blocks() * 512;
            if entry.path().extension().is_some_and(|end| end == "snap") {
                sum.state = sum.state.max(metadata.len());
            }
        }
    }
    sum
}

/// What is wanted.
pub fn targets(summary: &Summary) -> Vec<Target> {
    summary.worst_target("updates", "disk by state and log", Bound::AtMost(MOST)).into_iter().collect()
}
