//! What happened stays known: costs equal the runs after failover, deletion and restart; the audit chain is whole on every
//! replica, and a flipped byte is found; what a replica misses it fetches from its peers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Options, condition, job, job_path, jobs_path, muster_exe, sleep_job, until,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const RUNS: &str = "/apis/muster.sh/v1alpha1/namespaces/default/runs";
const VERIFY: &str = "/muster/v1/audit/verify";

/// Micro-dollars of an exact decimal text.
fn micro(amount: &Value) -> i64 {
    let text = amount.as_str().expect("an amount is a text");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{decimals:0<6}").parse().expect("an amount is a decimal number")
}

async fn labelled(federation: &Federation, mut job: Value, team: &str) {
    job["metadata"]["labels"] = json!({"team": team});
    federation.create(&jobs_path(), &job).await;
}

async fn finished(federation: &Federation, name: &str) {
    until(&format!("the end of {name}"), || async {
        let job = federation.get(&job_path(name)).await?;
        let over = |kind| condition(&job, kind).is_some_and(|(status, _)| status == "True");
        (over("Complete") || over("Failed")).then_some(())
    })
    .await;
}

async fn running(federation: &Federation, name: &str) {
    until(&format!("{name} runs"), || async {
        (federation.get(&job_path(name)).await?["status"]["ready"] == 1).then_some(())
    })
    .await;
}

async fn suspend(federation: &Federation, name: &str) {
    until(&format!("{name} is suspended"), || async {
        let body =
            Some(("application/merge-patch+json", json!({"spec": {"suspend": true}}).to_string().into()));
        let json = "application/json";
        let reply = federation.api().request_as(Method::PATCH, &job_path(name), json, body).await.ok()?;
        (reply.status == StatusCode::OK).then_some(())
    })
    .await;
}

async fn cost(federation: &Federation, by: &str) -> Value {
    until("costs", || async { federation.get(&format!("/muster/v1/cost?by={by}")).await }).await
}

/// Costs by name.
fn rows(cost: &Value) -> BTreeMap<String, i64> {
    let rows = cost["rows"].as_array().expect("rows").iter();
    rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), micro(&row["total"]))).collect()
}

/// Micro-dollars of all runs that are there, and of those of a job.
async fn runs(federation: &Federation) -> BTreeMap<String, i64> {
    let list = until("every run is over", || async {
        let runs = federation.get(RUNS).await?["items"].as_array()?.clone();
        runs.iter().all(|run| run["status"]["end"].is_string()).then_some(runs)
    })
    .await;
    let mut sums = BTreeMap::new();
    for run in list {
        let lines = run["status"]["cost"].as_array().cloned().unwrap_or_default();
        let sum: i64 = lines.iter().map(|line| micro(&line["amount"])).sum();
        let job = run["spec"]["job"].as_str().expect("a job");
        *sums.entry(format!("default/{job}")).or_default() += sum;
    }
    sums
}

async fn delete(federation: &Federation, name: &str) {
    until(&format!("{name} is gone"), || async {
        let _ = federation.api().request(Method::DELETE, &job_path(name), None).await;
        let reply = federation.api().request(Method::GET, &job_path(name), None).await.ok()?;
        (reply.status == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
}

fn muster(federation: &Federation, args: &[&str]) -> (i32, String) {
    let kubeconfig = federation.dir.join("kubeconfig");
    let output = Command::new(muster_exe()).args(args).arg("--kubeconfig").arg(kubeconfig).output();
    let output = output.expect("muster runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

fn history(dir: &Path, replica: &str) -> PathBuf {
    dir.join("controllers").join(replica).join("history")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_stays_known() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { dir: Some(dir.path().join("state")), ..Options::default() };
    fs::create_dir_all(options.dir.as_ref().expect("set above")).expect("a folder");
    let mut federation = Federation::start(&options);
    let names = ["quick", "failing", "long"];
    labelled(&federation, job("quick", "sleep 0.3", 8), "vision").await;
    let mut failing = job("failing", "exit 3", 1);
    failing["spec"]["backoffLimit"] = json!(0);
    labelled(&federation, failing, "speech").await;
    labelled(&federation, sleep_job("long", 4), "vision").await;
    running(&federation, "long").await;
    let leader = federation.leader().await;
    assert!(federation.signal(&leader, Signal::SIGKILL));
    for name in ["quick", "failing"] {
        finished(&federation, name).await;
    }
    what_runs_is_counted(&federation).await;
    suspend(&federation, "long").await;

    let by_job = runs(&federation).await;
    let total: i64 = by_job.values().sum();
    assert!(total > 0, "{by_job:?}");
    costs_are(&federation, &by_job).await;
    for name in names {
        delete(&federation, name).await;
    }
    assert!(runs(&federation).await.is_empty(), "runs go with their jobs");
    costs_are(&federation, &by_job).await;

    let (code, text) = muster(&federation, &["events", "quick", "--since", "1h"]);
    assert!(code == 0 && text.contains("job/quick") && text.contains("Completed"), "{text}");
    denied_requests_are_recorded(&federation).await;
    a_flipped_byte_is_found(&federation).await;
    federation.stop();
    drop(federation);
    forget_history(&options, "controller-2");
    let federation = Federation::start(&options);
    until("controller-2 fetches what it misses", || async {
        (federation.get(VERIFY).await?["whole"] == true).then_some(())
    })
    .await;
    costs_are(&federation, &by_job).await;
}

/// The same by every question and at every replica.
async fn costs_are(federation: &Federation, by_job: &BTreeMap<String, i64>) {
    let total: i64 = by_job.values().sum();
    for by in ["namespace", "cluster", "job", "run", "label:team"] {
        let answer = cost(federation, by).await;
        assert_eq!(micro(&answer["total"]), total, "by {by}: {answer}");
        assert_eq!(rows(&answer).values().sum::<i64>(), total, "by {by}: {answer}");
    }
    assert_eq!(rows(&cost(federation, "job").await), *by_job);
    let teams = rows(&cost(federation, "label:team").await);
    assert_eq!(teams["speech"], by_job["default/failing"]);
    for context in ["muster-1", "muster-2", "muster-3"] {
        let api = federation.api_of(Some(context));
        let answer = until("costs of each replica", || async {
            api.request(Method::GET, "/muster/v1/cost?by=job", None).await.ok()?.json().ok()
        })
        .await;
        assert_eq!(rows(&answer), *by_job, "{context}");
    }
    let (code, text) = muster(federation, &["cost", "--by", "label=team"]);
    assert!(code == 0 && text.contains("TEAM") && text.contains("vision"), "{text}");
}

/// A live attempt counts with what it has cost up to now.
async fn what_runs_is_counted(federation: &Federation) {
    until("an open period", || async {
        let answer = federation.get("/muster/v1/cost?by=job").await?;
        let rows = answer["rows"].as_array()?;
        let long = rows.iter().find(|row| row["name"] == "default/long")?;
        (long["open"] == 1 && micro(&long["openTotal"]) > 0).then_some(())
    })
    .await;
    let (code, text) = muster(federation, &["top"]);
    assert!(code == 0 && text.contains("total") && text.contains("4/16 NVIDIA-L4"), "{text}");
    let waiting = job("too-large", "true", 64);
    federation.create(&jobs_path(), &waiting).await;
    let (code, text) = muster(federation, &["queue"]);
    assert!(code == 0 && text.contains("default/too-large") && text.contains("64"), "{text}");
    delete(federation, "too-large").await;
}

async fn denied_requests_are_recorded(federation: &Federation) {
    let body = json!({"user": "eve", "groups": []});
    let reply = federation.api().request(Method::POST, "/muster/v1/credentials", Some(&body)).await;
    let token =
        reply.expect("an answer").json().expect("a token")["token"].as_str().expect("a token").to_owned();
    let front = federation.up_json()["front"].as_str().expect("an address").to_owned();
    for _ in 0..5 {
        let code = get_with_token(federation, &front, &token, &jobs_path()).await;
        assert_eq!(code, StatusCode::FORBIDDEN);
    }
    let found = until("its audit record", || async {
        let records = federation.get("/muster/v1/audit?last=100").await?["records"].as_array()?.clone();
        let denied: Vec<Value> = records.into_iter().filter(|record| record["principal"] == "eve").collect();
        let sum: u64 = denied.iter().filter_map(|record| record["denied"].as_u64()).sum();
        (sum == 5).then_some(denied)
    })
    .await;
    assert!(found.len() < 5, "denied requests are counted together: {found:?}");
    assert_eq!((&found[0]["verb"], &found[0]["resource"]), (&json!("list"), &json!("jobs.batch")));
    let (code, text) = muster(federation, &["audit", "tail", "--last", "100"]);
    assert!(code == 0 && text.contains("eve") && text.contains("denied"), "{text}");
}

async fn get_with_token(federation: &Federation, server: &str, token: &str, path: &str) -> StatusCode {
    let text = fs::read_to_string(federation.dir.join("kubeconfig")).expect("a kubeconfig");
    let mut target =
        muster::client::Kubeconfig::parse(&text).expect("our own").target(None).expect("a context");
    (target.server, target.identity, target.token) = (server.to_owned(), None, Some(token.to_owned()));
    let api = muster::client::Api::new(&target).expect("the target");
    api.request(Method::GET, path, None).await.expect("an answer").status
}

async fn a_flipped_byte_is_found(federation: &Federation) {
    let whole = until("an answer", || async { federation.get(VERIFY).await }).await;
    assert_eq!(whole["whole"], true, "{whole}");
    assert_eq!(whole["replicas"].as_array().map(Vec::len), Some(3));
    assert_eq!(muster(federation, &["audit", "verify"]).0, 0);
    let file = history(&federation.dir, "controller-2").join("audit/0000000000000000.seg");
    let bytes = fs::read(&file).expect("a segment");
    let at = bytes.len() / 2;
    let flip = |bit: u8| {
        use std::os::unix::fs::FileExt;
        let open = fs::OpenOptions::new().write(true).open(&file).expect("the segment");
        open.write_all_at(&[bytes[at] ^ bit], at as u64).expect("one byte");
    };
    flip(1);
    let (code, text) = muster(federation, &["audit", "verify"]);
    assert_eq!(code, 1, "{text}");
    let damaged = text.lines().find(|line| line.contains("damaged at byte")).unwrap_or_default();
    assert!(damaged.contains("audit/0000000000000000.seg"), "{text}");
    assert!(text.contains("controller-2: audit: 2 problems") && text.contains("is missing"), "{text}");
    assert!(text.contains("controller-1: audit: whole"), "{text}");
    flip(0);
    assert_eq!(muster(federation, &["audit", "verify"]).0, 0);
}

/// As if a snapshot of a peer had brought a replica this far: its history is not there, and it knows.
fn forget_history(options: &Options, replica: &str) {
    let folder = history(options.dir.as_deref().expect("it was given"), replica);
    let progress = folder.join("progress.json");
    let mut gaps = serde_json::Map::new();
    for stream in ["audit", "ledger"] {
        let file = folder.join(stream).join("0000000000000000.seg");
        let bytes = fs::read(&file).expect("a segment");
        let last = last_key(&bytes);
        assert!(last > 1, "{stream} has records");
        fs::remove_file(&file).expect("it is there");
        gaps.insert(stream.to_owned(), json!([{"from": 1, "to": last}]));
    }
    fs::write(progress, json!({"synced": {}, "gaps": gaps}).to_string()).expect("its progress");
}

/// The key of the last frame: `length crc32c key time payload`.
fn last_key(bytes: &[u8]) -> u64 {
    let (mut at, mut key) = (0, 0);
    while at + 24 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        key = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"));
        at += 24 + length as usize;
    }
    key
}
