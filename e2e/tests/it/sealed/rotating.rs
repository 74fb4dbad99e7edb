//! The authority is replaced, twice, under load and under the death of the leader; and replicas and members that were left
//! behind come back.

use std::cell::{Cell, RefCell};
use std::path::Path;

use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Frozen, Options, condition, job, job_path, jobs_path, runs_of, sleep_job, until,
};
use muster_e2e::tools::{self, Tool};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::in_pods::force_snapshots;
use super::{ageing, grep, muster};
use crate::kubectl::run::{Kubectl, Said};
use crate::security::authorities;

/// A member that misses a rotation.
const BEHIND: &str = "onprem-paris";

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_rotates_under_load() {
    let mut federation = Federation::start(&Options::default());
    federation.create(&jobs_path(), &sleep_job("runs-on", 1)).await;
    let running = async || runs_of(&federation, "runs-on").await.pop().filter(|run| run.phase == "Running");
    let run = until("the job to run", running).await;
    let (first, key) = (authority(&federation).await, key_of(&federation.dir));
    let before = federation.api();
    rotate_under_load(&federation).await;
    assert!(before.request(Method::GET, &jobs_path(), None).await.is_err(), "the old authority is out");
    let second = rotate_while_the_leader_dies(&federation).await;
    assert_ne!(first["issuing"], second["issuing"]);
    assert_eq!(runs_of(&federation, "runs-on").await, [run], "one attempt, running all the time");
    let lapsed = federation.get("/api/v1/events?fieldSelector=reason%3DLapsed").await.expect("events");
    assert_eq!(lapsed["items"], json!([]), "no lease was dropped");
    force_snapshots(&federation).await;
    let keys = [key, key_of(&federation.dir)];
    grep::is_nowhere(&federation, &keys.each_ref().map(|key| &key[key.len() - 40..]));
    until("members that know the new authority only", async || ageing::all_are_renewed(&federation.dir))
        .await;
    federation.stop();
}

/// A replica and a member stand still during a rotation. At the next start of `up` they are with the others again.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_left_behind_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("hub");
    let options = Options { dir: Some(dir.clone()), ..Options::default() };
    let mut federation = Federation::start(&options);
    let set = rotate_without_some(&federation).await;
    federation.stop();
    drop(federation);
    let mut federation = Federation::start(&options);
    all_trust_the_same(&federation, &set).await;
    until("certificates of all members", async || ageing::all_are_renewed(&dir)).await;
    federation.stop();
}

/// The authority's private key, as base64 of DER in one line.
fn key_of(dir: &Path) -> String {
    let set = serde_json::to_value(authorities(dir)).expect("plain data");
    let last = set["authorities"].as_array().and_then(|all| all.last()).expect("an authority");
    let pem = last["key"].as_str().expect("PEM");
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

async fn authority(federation: &Federation) -> Value {
    until("the authority", || async { federation.get("/muster/v1/authority").await }).await
}

async fn is_stable(federation: &Federation) -> Option<Value> {
    let status = federation.get("/muster/v1/authority").await?;
    (status["phase"] == "stable").then_some(status)
}

/// Jobs are submitted and kubectl reads all the while; no request fails and each job ends.
async fn rotate_under_load(federation: &Federation) {
    let over = Cell::new(false);
    let failures = RefCell::new(Vec::new());
    let kubectl = tools::or_skip([Tool::Kubectl134]);
    let kubectl = kubectl.map(|[exe]| Kubectl::new(exe, federation, "default"));
    let mut watch = kubectl.as_ref().map(|kubectl| kubectl.start("get jobs --watch"));
    let writes = async {
        let mut count = 0;
        while !over.get() {
            let job = job(&format!("load-{count}"), "true", 0);
            match federation.api().request(Method::POST, &jobs_path(), Some(&job)).await {
                Ok(reply) if reply.status == StatusCode::CREATED => count += 1,
                Ok(reply) => failures.borrow_mut().push(format!("job: {}", reply.status)),
                Err(error) => failures.borrow_mut().push(format!("job: {error}")),
            }
        }
        count
    };
    let reads = async {
        while !over.get()
            && let Some(kubectl) = &kubectl
        {
            let Said { code, err, .. } = kubectl.run_line("get clusters").await;
            if code != Some(0) {
                failures.borrow_mut().push(format!("kubectl: {err}"));
            }
        }
    };
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let rotation = async {
        let said = muster(&["ca", "rotate", "--kubeconfig", &kubeconfig]).await;
        over.set(true);
        said
    };
    let ((code, said), count, ()) = tokio::join!(rotation, writes, reads);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(failures.into_inner(), Vec::<String>::new(), "{count} jobs were taken");
    let last = format!("load-{}", count - 1);
    until("the last job's end", || async {
        let job = federation.get(&job_path(&last)).await?;
        condition(&job, "Complete").filter(|(status, _)| status == "True")
    })
    .await;
    if let Some(watch) = &mut watch {
        watch.line_with(&last).await;
    }
}

/// Whoever leads next goes on with it.
async fn rotate_while_the_leader_dies(federation: &Federation) -> Value {
    let before = authority(federation).await;
    let leader = federation.leader().await;
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let (code, said) = muster(&["ca", "rotate", "--no-wait", "--kubeconfig", &kubeconfig]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(federation.signal(&leader, Signal::SIGKILL));
    let after = until("the end of the rotation", || is_stable(federation)).await;
    assert_ne!(after["issuing"], before["issuing"]);
    assert_eq!(after["authorities"], json!([after["issuing"]]));
    after
}

/// A replica and a member stand still; they are named, and left behind.
async fn rotate_without_some(federation: &Federation) -> Value {
    // It is in the log a second after the first leader at the latest.
    authority(federation).await;
    let leader = federation.leader().await;
    let replica = federation.names("controller").into_iter().find(|name| *name != leader).expect("another");
    let frozen = [Frozen::freeze(federation, &replica), Frozen::freeze(federation, BEHIND)];
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let rotate = async |flags: &[&str]| {
        let words = [&["ca", "rotate", "--no-wait", "--kubeconfig", &kubeconfig], flags].concat();
        let (code, said) = muster(&words).await;
        assert_eq!(code, Some(0), "{said}");
    };
    rotate(&[]).await;
    for phase in ["distributing", "issuing"] {
        until("only these two to be missing", || async {
            let status = federation.get("/muster/v1/authority").await?;
            let missing = status["waitingFor"].as_array()?.iter().map(|one| one["name"].as_str());
            (status["phase"] == phase && missing.eq([Some(replica.as_str()), Some(BEHIND)])).then_some(())
        })
        .await;
        rotate(&["--leave-behind"]).await;
    }
    let after = until("the end of the rotation", || is_stable(federation)).await;
    drop(frozen);
    after
}

async fn all_trust_the_same(federation: &Federation, want: &Value) {
    for replica in 1..=3 {
        let api = federation.api_of(Some(&format!("muster-{replica}")));
        let identity = until("what a replica trusts", || async {
            let reply = api.request(Method::GET, "/muster/v1/replica/identity", None).await.ok()?;
            reply.json().ok()
        })
        .await;
        assert_eq!(identity["authorities"], want["authorities"], "replica {replica}");
    }
}
