//! A job's life as people watch it: apply, wait, describe, logs, pods, runs.

use muster_e2e::local::until;
use serde_json::json;

use super::run::Kubectl;

pub async fn all(kubectl: &Kubectl) {
    tokio::join!(its_story_is_told(kubectl), its_log_is_followed(kubectl), a_running_job_is_deleted(kubectl));
}

async fn its_story_is_told(kubectl: &Kubectl) {
    let story = kubectl.job("story", "echo once upon a time");
    assert!(kubectl.ok_with("apply -f -", &story).await.contains("job.batch/story created"));
    let waited = kubectl.ok("wait --for=condition=complete job/story --timeout=30s").await;
    assert!(waited.contains("condition met"), "{waited}");
    assert_eq!(kubectl.ok("logs job/story").await.trim(), "once upon a time");
    told(kubectl).await;
    mirrored(kubectl).await;
}

async fn told(kubectl: &Kubectl) {
    let told = kubectl.ok("describe job story").await;
    let positions = ["Queued", "Placed", "Started", "Completed"]
        .map(|reason| told.find(&format!(" {reason} ")).unwrap_or_else(|| panic!("{reason} in\n{told}")));
    assert!(positions.is_sorted(), "in the order in which it happened:\n{told}");
    assert!(told.contains("1 Succeeded"), "{told}");
    let events = kubectl.ok("events --for job/story").await;
    assert!(events.contains("Placed"), "{events}");
}

async fn mirrored(kubectl: &Kubectl) {
    let pods = kubectl.get("pods -l job-name=story").await;
    let pod = &pods["items"][0];
    assert_eq!(pod["status"]["phase"], "Succeeded");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "Job");
    let name = pod["metadata"]["name"].as_str().expect("a name");
    let table = kubectl.ok("get pods").await;
    assert!(table.contains(name) && table.contains("Completed"), "{table}");
    assert_eq!(kubectl.ok(&format!("logs {name} --tail=1")).await.trim(), "once upon a time");
    let stamped = kubectl.ok(&format!("logs {name} --timestamps")).await;
    assert!(stamped.starts_with("20") && stamped.contains("Z once upon"), "{stamped}");
    let runs = kubectl.ok("get runs").await;
    assert!(runs.contains("story"), "{runs}");
    let why = kubectl.refused(&format!("delete pod {name}"), "").await;
    assert!(why.contains("MethodNotAllowed") || why.contains("not allow"), "{why}");
}

async fn its_log_is_followed(kubectl: &Kubectl) {
    let go = tempfile::tempdir().expect("a folder");
    let flag = go.path().join("go");
    let script = format!("echo first; until [ -e {} ]; do sleep 0.05; done; echo last", flag.display());
    kubectl.ok_with("apply -f -", kubectl.job("followed", &script)).await;
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/followed --timeout=30s").await;
    let mut log = kubectl.start("logs -f job/followed");
    assert_eq!(log.line().await.as_deref(), Some("first"), "while it runs");
    std::fs::write(&flag, "").expect("written");
    assert_eq!(log.line().await.as_deref(), Some("last"));
    assert_eq!(log.end().await, Some(0), "it ends with the pod");
}

async fn a_running_job_is_deleted(kubectl: &Kubectl) {
    kubectl.ok_with("apply -f -", kubectl.job("endless", "while :; do sleep 0.1; done")).await;
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/endless --timeout=30s").await;
    let patched = kubectl.ok(r#"patch job endless --type=merge -p {"spec":{"suspend":true}}"#).await;
    assert!(patched.contains("patched"), "{patched}");
    kubectl.ok("wait --for=condition=suspended job/endless --timeout=30s").await;
    kubectl.ok(r#"patch job endless --type=merge -p {"spec":{"suspend":false}}"#).await;
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/endless --timeout=30s").await;
    // kubectl waits until the object is gone, which it is when its attempt is over.
    let deleted = kubectl.ok("delete job endless --timeout=30s").await;
    assert!(deleted.contains("\"endless\" deleted"), "{deleted}");
    let gone = kubectl.refused("get job endless", "").await;
    assert!(gone.contains("(NotFound)"), "{gone}");
    until("its pods to go with it", || async {
        let left = kubectl.get("pods -l job-name=endless").await;
        (left["items"] == json!([])).then_some(())
    })
    .await;
}
