//! Processes die; nothing acknowledged is lost, nothing runs twice.

use std::path::Path;

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, Options, condition, job, job_path, jobs_path, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn suspended(name: &str) -> Value {
    let mut job = job(name, "true", 1);
    job["spec"]["suspend"] = json!(true);
    job
}

/// Submits until `count` are acknowledged; a retry under the same idempotency key makes no second job.
async fn submit(federation: &Federation, prefix: &str, count: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for i in 0..count {
        let name = format!("{prefix}-{i}");
        until("an acknowledgement", || async {
            let reply =
                federation.api().request(Method::POST, &jobs_path(), Some(&suspended(&name))).await.ok()?;
            // A try whose answer was lost may have been stored.
            [StatusCode::CREATED, StatusCode::CONFLICT].contains(&reply.status).then_some(())
        })
        .await;
        acknowledged.push(name);
    }
    acknowledged
}

async fn all_there(federation: &Federation, names: &[String]) {
    let list = until("a list", || async { federation.get(&jobs_path()).await }).await;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let there: Vec<&str> = items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
    let lost: Vec<&String> = names.iter().filter(|name| !there.contains(&name.as_str())).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let mut unique = there.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), there.len(), "no job is there twice");
}

/// A job that appends a line for each start, so that a second start can be seen.
fn witness(name: &str, file: &Path, seconds: &str) -> Value {
    let script =
        format!("echo $MUSTER_EPOCH >> {}; sleep {seconds}; echo end >> {}", file.display(), file.display());
    job(name, &script, 1)
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_replicas_lose_nothing() {
    let federation = Federation::start(&Options::default());
    let mut names = submit(&federation, "before", 20).await;
    for round in 0..3 {
        let leader = federation.leader().await;
        assert!(federation.signal(&leader, Signal::SIGKILL));
        names.extend(submit(&federation, &format!("leader-{round}"), 10).await);
    }
    all_there(&federation, &names).await;
    for controller in federation.names("controller") {
        federation.signal(&controller, Signal::SIGKILL);
    }
    names.extend(submit(&federation, "after-all", 5).await);
    all_there(&federation, &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_jobs_survive_hub_and_agent() {
    let federation = Federation::start(&Options::default());
    let file = federation.dir.join("witness");
    federation.create(&jobs_path(), &witness("steady", &file, "6")).await;
    until("it runs", || async { (!lines(&file).is_empty()).then_some(()) }).await;
    for process in federation.names("agent").iter().chain(&federation.names("controller")) {
        federation.signal(process, Signal::SIGKILL);
    }
    until("it completes", || async {
        let job = federation.get(&job_path("steady")).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
    assert_eq!(lines(&file).len(), 2, "one start and one end: {:?}", lines(&file));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_federation_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { dir: Some(dir.path().join("state")), ..Options::default() };
    std::fs::create_dir_all(options.dir.as_ref().expect("set above")).expect("a folder");
    let file = dir.path().join("witness");
    let mut first = Federation::start(&options);
    let names = submit(&first, "kept", 3).await;
    first.create(&jobs_path(), &witness("again", &file, "2")).await;
    until("it runs", || async { (!lines(&file).is_empty()).then_some(()) }).await;
    first.stop();
    drop(first);
    let second = Federation::start(&options);
    all_there(&second, &names).await;
    until("it runs again and completes", || async {
        let job = second.get(&job_path("again")).await?;
        (condition(&job, "Complete")?.0 == "True").then_some(())
    })
    .await;
    let seen = lines(&file);
    assert_eq!(seen.last().map(String::as_str), Some("end"));
    assert_ne!(seen[0], seen[1], "another epoch: {seen:?}");
}
