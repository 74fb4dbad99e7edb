//! Disks that fill up, cannot be written, or give back something else than what was written.

mod damaged;
mod full;
mod refused;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, job, jobs_path, muster_exe, names_in, until, until_within};
use serde_json::{Value, json};

/// How long a command that refuses may take.
const REFUSAL: Duration = Duration::from_secs(30);

/// A job that stays where it is, about so large.
fn suspended(name: &str, bytes: usize) -> Value {
    let mut job = job(name, "true", 1);
    job["spec"]["suspend"] = json!(true);
    job["metadata"]["annotations"] = json!({"ballast": "x".repeat(bytes)});
    job
}

/// Submits until it is acknowledged.
async fn submit(federation: &Federation, name: &str) {
    until_within(Duration::from_secs(60), "an acknowledgement", || async {
        let reply =
            federation.api().request(Method::POST, &jobs_path(), Some(&suspended(name, 100))).await.ok()?;
        // A try whose answer was lost may have been stored.
        [StatusCode::CREATED, StatusCode::CONFLICT].contains(&reply.status).then_some(())
    })
    .await;
}

/// Panics if one of these is not there.
async fn all_there(federation: &Federation, names: &[String]) {
    let there = until("a list", || async { names_in(federation, &jobs_path()).await }).await;
    let lost: Vec<&String> = names.iter().filter(|name| !there.contains(name)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

/// Runs `muster` until it ends by itself; gives how, and what it said on stderr.
async fn ended(args: &[&str]) -> (ExitStatus, String) {
    let mut command = tokio::process::Command::new(muster_exe());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(REFUSAL, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{args:?} goes on")).expect("it runs");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until a log says this.
async fn until_log_says(log: &Path, wanted: &[&str]) {
    let what = format!("{wanted:?} in {}", log.display());
    until(&what, || async {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().any(|line| wanted.iter().all(|word| line.contains(word))).then_some(())
    })
    .await;
}
