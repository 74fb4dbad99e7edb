//! What must not lie open, and what must come back by itself: Secrets, sealing keys, authorities, certificates.

mod ageing;
mod grep;
mod in_pods;
mod rotating;

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Options, condition, job, job_path, jobs_path, muster_exe, runs_of, sleep_job, until,
    until_within,
};
use serde_json::{Value, json};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const SECRET: &str = "/api/v1/namespaces/default/secrets/db";
/// Values, and their base64; none of these may be found anywhere.
const PLAIN: [&str; 3] = ["hunter2-created", "hunter2-applied", "hunter2-patched"];
const STATE_UNUSABLE: i32 = 73;

/// One folder through a life: sealed, restarted, without its key, with another one, weeks later.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_and_weeks_later_everything_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("hub");
    let options = Options { dir: Some(dir.clone()), ..Options::default() };
    let mut federation = Federation::start(&options);
    write_secret(&federation).await;
    let before = value(&federation).await;
    grep::is_nowhere(&federation, &PLAIN);
    federation.stop();
    drop(federation);
    refuses_another_key(&dir).await;
    ageing::weeks_pass(&dir);
    let mut federation = Federation::start(&options);
    assert_eq!(value(&federation).await, before, "it is read back after a restart");
    until("new certificates of all members", async || ageing::all_are_renewed(&dir)).await;
    federation.create(&jobs_path(), &job("after", "true", 1)).await;
    until("a job's end", || async {
        let job = federation.get(&job_path("after")).await?;
        condition(&job, "Complete").filter(|(status, _)| status == "True")
    })
    .await;
    grep::is_nowhere(&federation, &PLAIN);
    federation.stop();
}

/// Key and authority are replaced under a job that runs on.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_authority_rotate_under_a_running_job() {
    let federation = Federation::start(&Options::default());
    write_secret(&federation).await;
    let before = value(&federation).await;
    federation.create(&jobs_path(), &sleep_job("runs-on", 1)).await;
    let running =
        async || runs_of(&federation, "runs-on").await.into_iter().find(|run| run.phase == "Running");
    let run = until("the job to run", running).await;
    rotate_key(&federation).await;
    assert_eq!(value(&federation).await, before);
    rotate_authority(&federation).await;
    assert_eq!(value(&federation).await, before);
    assert_eq!(runs_of(&federation, "runs-on").await, [run], "one attempt, running all the time");
    federation.create(&jobs_path(), &job("after", "true", 1)).await;
    until("a job's end under the new authority", || async {
        let job = federation.get(&job_path("after")).await?;
        condition(&job, "Complete").filter(|(status, _)| status == "True")
    })
    .await;
    let lapsed = federation.get("/api/v1/events?fieldSelector=reason%3DLapsed").await.expect("events");
    assert_eq!(lapsed["items"], json!([]), "no lease was dropped");
}

/// Created, applied with what kubectl remembers, patched.
async fn write_secret(federation: &Federation) {
    let api = federation.api();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": PLAIN[0]}});
    federation.create(SECRETS, &secret).await;
    let applied = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLAIN[1]}},
        "stringData": {"b": PLAIN[1]}});
    let patched = json!({"stringData": {"c": PLAIN[2]}});
    for (kind, patch) in
        [("application/strategic-merge-patch+json", applied), ("application/merge-patch+json", patched)]
    {
        let body = Some((kind, Bytes::from(patch.to_string())));
        let reply = api.request_as(Method::PATCH, SECRET, "application/json", body).await.expect("an answer");
        assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.body));
    }
    // Refused, and told of without a value.
    let bad = json!({"metadata": {"name": "bad"}, "data": {"k": "hunter2-created!"}});
    let reply = api.request(Method::POST, SECRETS, Some(&bad)).await.expect("an answer");
    assert!(reply.status.is_client_error() && !String::from_utf8_lossy(&reply.body).contains("hunter2"));
}

async fn value(federation: &Federation) -> Value {
    let secret = until("the secret", || federation.get(SECRET)).await;
    assert_eq!(secret["data"].as_object().map(serde_json::Map::len), Some(3), "all of it");
    secret["data"].clone()
}

/// Without its key, and with another one, a hub says so at once, names what is missing, and loses nothing.
async fn refuses_another_key(dir: &std::path::Path) {
    let (file, kept) = (dir.join("keys/secrets.key"), dir.join("keys/kept"));
    std::fs::rename(&file, &kept).expect("moved");
    let own = std::fs::read_to_string(&kept).expect("a key file");
    let own = own.lines().rfind(|line| !line.starts_with('#')).and_then(|line| line.split(' ').next());
    let (code, said) = muster(&["up", "--port-base", "0", "--state", &dir.display().to_string()]).await;
    assert_eq!(code, Some(STATE_UNUSABLE), "{said}");
    assert!(said.contains("secrets.key"), "{said}");
    assert!(!file.exists(), "no new key is made for an old hub");
    let (code, said) = muster(&["secrets", "add-key", "--file", &file.display().to_string()]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = muster(&["up", "--port-base", "0", "--state", &dir.display().to_string()]).await;
    assert_eq!(code, Some(STATE_UNUSABLE), "{said}");
    assert!(own.is_some_and(|own| said.contains(own)), "it names the key: {said}");
    let config = dir.join("controllers/controller-1/config.json");
    let (code, said) = muster(&["controller", "--config", &config.display().to_string()]).await;
    assert_eq!(code, Some(STATE_UNUSABLE), "{said}");
    std::fs::rename(&kept, &file).expect("moved back");
}

/// A new key in the file of all replicas, sealed anew, and the old one is of no more use.
async fn rotate_key(federation: &Federation) {
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let file = federation.dir.join("keys/secrets.key");
    let (code, said) = muster(&["secrets", "rotate", "--kubeconfig", &kubeconfig]).await;
    assert!(code != Some(0) && said.contains("no newer key"), "{said}");
    let (code, said) = muster(&["secrets", "add-key", "--file", &file.display().to_string()]).await;
    assert_eq!(code, Some(0), "{said}");
    // Read by every replica within a second.
    let said = until("the rotation", || async {
        let (code, said) = muster(&["secrets", "rotate", "--kubeconfig", &kubeconfig]).await;
        (code == Some(0)).then_some(said)
    })
    .await;
    assert!(said.contains("seals nothing"), "{said}");
    let old = said.split_whitespace().skip_while(|word| *word != "objects").nth(2).expect("the old key's id");
    let text = std::fs::read_to_string(&file).expect("a key file");
    let without: String =
        text.lines().filter(|line| !line.starts_with(old)).map(|line| format!("{line}\n")).collect();
    assert!(without.len() < text.len(), "{old} is in the file");
    std::fs::write(&file, without).expect("written");
    until("the replicas to have one key", || async {
        let status = federation.get("/muster/v1/secrets").await?;
        let replicas = status["replicas"].as_array()?;
        replicas
            .iter()
            .all(|replica| replica["keys"].as_array().is_some_and(|keys| keys.len() == 1))
            .then_some(())
    })
    .await;
}

/// Everybody moves to a new authority; the old one is trusted by nobody at the end.
async fn rotate_authority(federation: &Federation) {
    let status = async || federation.get("/muster/v1/authority").await;
    let before = until("the authority", status).await;
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let (code, said) = muster(&["ca", "rotate", "--kubeconfig", &kubeconfig]).await;
    assert_eq!(code, Some(0), "{said}");
    let after = until_within(Duration::from_secs(10), "the new kubeconfig", status).await;
    assert_eq!(after["phase"], "stable");
    assert_ne!(after["issuing"], before["issuing"]);
    assert_eq!(after["authorities"], json!([after["issuing"]]), "the old one is trusted no more");
    let own = federation.dir.join("own.kubeconfig").display().to_string();
    let (code, said) = muster(&["kubeconfig", "--out", &own, "--kubeconfig", &kubeconfig]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = muster(&["get", "secrets", "--kubeconfig", &own]).await;
    assert!(code == Some(0) && said.contains("db"), "{said}");
}

/// Runs `muster` to its end; gives its exit code, and all that it said.
async fn muster(args: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(muster_exe());
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(90), command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{args:?} goes on")).expect("it runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}
