//! Secrets in pods: as variables and files, in the pod that names them and nowhere else.

use std::process::Command;

use http::{Method, StatusCode};
use muster_e2e::local::{
    Federation, Options, condition, job, job_path, jobs_path, muster_exe, runs_of, sleep_job, until,
    until_within,
};
use muster_e2e::tools::{self, Tool};
use serde_json::{Value, json};
use std::time::Duration;

use super::{SECRETS, grep, muster, rotate_key};
use crate::kubectl::run::Kubectl;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const PASSWORD: &str = "hunter2-password";
const TOKEN: &str = "hunter2-token";
const BY_KUBECTL: &str = "hunter2-literal";
const APPLIED: &str = "hunter2-applied";
const EDITED: &str = "hunter2-edited";
/// A replica writes a snapshot after 32 MiB of its log.
const SNAPSHOT_MIB: usize = 34;

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_the_secrets_they_name_and_nobody_else_does() {
    let mut federation = Federation::start(&Options::default());
    a_pod_waits_for_its_secret(&federation).await;
    only_its_pod_has_it(&federation).await;
    let texts = [PASSWORD, TOKEN];
    grep::is_nowhere(&federation, &texts);
    force_snapshots(&federation).await;
    a_snapshot_can_be_inspected(&federation);
    grep::is_nowhere(&federation, &texts);
    rotate_key(&federation).await;
    grep::is_nowhere(&federation, &texts);
    federation.create(&jobs_path(), &reader("after", "exit 0")).await;
    until("a job under the new key ends", || async { complete(&federation, "after").await }).await;
    kubectl_works_on_it(&federation).await;
    grep::is_nowhere(&federation, &[PASSWORD, TOKEN, BY_KUBECTL, APPLIED, EDITED]);
    federation.stop();
}

async fn complete(federation: &Federation, name: &str) -> Option<()> {
    let job = federation.get(&job_path(name)).await?;
    (condition(&job, "Complete")?.0 == "True").then_some(())
}

/// What a reader writes: no value as it is, each letter by the one after it.
fn told(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_lowercase() { char::from(c as u8 + 1) } else { c }).collect()
}

/// A job that tells what it was given in every way there is, and then does this.
fn reader(name: &str, then: &str) -> Value {
    let script = format!(
        "tell() {{ tr a-y b-z; echo; }}; printf %s \"$PASSWORD\" | tell; printf %s \"$DB_token\" | tell; \
         tell < /muster-db/deep/pw; tell < /muster-all/token; stat -c %a /muster-db/deep/pw /muster-db; \
         ls /muster-db /muster-all | tr '\\n' ' '; stat -f -c %T /muster-db /muster-all; echo ${{NONE-unset}}; {then}"
    );
    let mut job = job(name, &script, 0);
    let spec = &mut job["spec"]["template"]["spec"];
    let key = |name: &str, key: &str| json!({"secretKeyRef": {"name": name, "key": key}});
    let mut none = key("none", "k");
    none["secretKeyRef"]["optional"] = json!(true);
    spec["containers"][0]["env"] = json!([{"name": "PASSWORD", "valueFrom": key("db", "password")}, {"name": "NONE", "valueFrom": none}]);
    spec["containers"][0]["envFrom"] = json!([{"prefix": "DB_", "secretRef": {"name": "db"}}]);
    spec["containers"][0]["volumeMounts"] =
        json!([{"name": "db", "mountPath": "/muster-db"}, {"name": "all", "mountPath": "/muster-all"}]);
    spec["volumes"] = json!([
        {"name": "db", "secret": {"secretName": "db", "items": [{"key": "password", "path": "deep/pw", "mode": 0o400}]}},
        {"name": "all", "projected": {"sources": [{"secret": {"name": "db"}}, {"secret": {"name": "none", "optional": true}}]}},
    ]);
    job["spec"]["backoffLimit"] = json!(0);
    job
}

async fn pod_of(federation: &Federation, job: &str) -> Option<Value> {
    let pods = federation.get(&format!("{PODS}?labelSelector=job-name%3D{job}")).await?;
    pods["items"].as_array()?.last().cloned()
}

async fn waits_for(federation: &Federation, message: &str) {
    until(message, || async {
        let pod = pod_of(federation, "reads").await?;
        let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        (state["reason"] == "CreateContainerConfigError" && state["message"] == message).then_some(())
    })
    .await;
}

async fn change(federation: &Federation, method: Method, path: &str, object: &Value) {
    let reply = federation.api().request(method, path, Some(object)).await.expect("an answer");
    assert!(reply.status.is_success(), "{path}: {}", String::from_utf8_lossy(&reply.body));
}

/// For the Secret, then for a key of it; then it runs and has everything.
async fn a_pod_waits_for_its_secret(federation: &Federation) {
    federation.create(&jobs_path(), &reader("reads", "while :; do sleep 0.1; done")).await;
    waits_for(federation, "secret \"db\" not found").await;
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"token": TOKEN}});
    federation.create(SECRETS, &secret).await;
    waits_for(federation, "couldn't find key password in secret \"db\"").await;
    secret["stringData"]["password"] = json!(PASSWORD);
    change(federation, Method::PUT, &format!("{SECRETS}/db"), &secret).await;
    let want = format!(
        "{password}\n{token}\n{password}\n{token}\n400\n",
        password = told(PASSWORD),
        token = told(TOKEN)
    );
    let log = until("what it was given", || async {
        let name = pod_of(federation, "reads").await?["metadata"]["name"].as_str()?.to_owned();
        let reply = federation.api().request(Method::GET, &format!("{PODS}/{name}/log"), None).await.ok()?;
        let text = String::from_utf8(reply.body.to_vec()).ok()?;
        (reply.status == StatusCode::OK && text.contains("set\n")).then_some(text)
    })
    .await;
    assert!(log.starts_with(&want), "{log}");
    assert!(log.contains("deep") && log.contains("password token"), "{log}");
    assert!(log.ends_with("tmpfs\ntmpfs\nunset\n"), "in memory, and what is optional is left out: {log}");
}

/// A command in its pod has it; another pod, and the agents of other members, never had it.
async fn only_its_pod_has_it(federation: &Federation) {
    federation.create(&jobs_path(), &sleep_job("other", 0)).await;
    let other = until("the other job's pod", || async {
        let pod = pod_of(federation, "other").await?;
        (pod["status"]["phase"] == "Running").then_some(())
    });
    other.await;
    let kubeconfig = federation.dir.join("kubeconfig").display().to_string();
    let inside = async |job: &str| {
        let script = "env | tr a-y b-z; cat /muster-all/password 2>&1 | tr a-y b-z";
        muster(&["exec", "--kubeconfig", &kubeconfig, job, "--", "sh", "-c", script]).await.1
    };
    let (own, other) = (inside("job/reads").await, inside("job/other").await);
    assert_eq!(own.matches(&told(PASSWORD)).count(), 3, "PASSWORD, DB_password and the file: {own}");
    assert!(!other.contains(&told("hunter2")), "{other}");
    let member = runs_of(federation, "reads").await.pop().expect("a run").cluster;
    for agent in federation.names("agent") {
        let Some(holds) = grep::is_in_memory(federation.pid(&agent), PASSWORD) else { continue };
        assert_eq!(holds, agent == member, "agent {agent}; the job is on {member}");
    }
}

/// Writes until every replica has a snapshot.
pub async fn force_snapshots(federation: &Federation) {
    let filler = |round: usize| {
        let text = format!("{round:04}").repeat((1 << 20) / 4 - 64);
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "filler"}, "data": {"k": text}})
    };
    federation.create(CONFIG_MAPS, &filler(0)).await;
    for round in 1..=SNAPSHOT_MIB {
        change(federation, Method::PUT, &format!("{CONFIG_MAPS}/filler"), &filler(round)).await;
    }
    let has_one = |name: &String| {
        let folder = federation.dir.join("controllers").join(name).join("raft/snapshots");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|path| path.extension().is_some_and(|end| end == "snap"))
    };
    until_within(Duration::from_secs(30), "a snapshot of every replica", || async {
        federation.names("controller").iter().all(has_one).then_some(())
    })
    .await;
}

/// Offline, and while its replica runs: it checks out, and says what is in it without what is sealed.
fn a_snapshot_can_be_inspected(federation: &Federation) {
    let folder = federation.dir.join("controllers").join("controller-1");
    let output = Command::new(muster_exe()).args(["inspect", "snapshot"]).arg(folder).output();
    let output = output.expect("muster runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("It checks out: ") && text.contains("\nsecrets "), "{text}");
}

/// `create secret generic`, `get -o yaml`, `describe`, `apply`, `edit`; a job gets what is there when it starts.
async fn kubectl_works_on_it(federation: &Federation) {
    let Some([kubectl]) = tools::or_skip([Tool::Kubectl134]) else { return };
    let kubectl = Kubectl::new(kubectl, federation, "default");
    let said = kubectl.ok(&format!("create secret generic lit --from-literal=password={BY_KUBECTL}")).await;
    assert_eq!(said.trim(), "secret/lit created");
    let yaml = kubectl.ok("get secret lit -o yaml").await;
    assert!(yaml.contains("password: aHVudGVyMi1saXRlcmFs") && yaml.contains("type: Opaque"), "{yaml}");
    let text = kubectl.ok("describe secret lit").await;
    assert!(text.contains("password:  15 bytes") && !text.contains("hunter2"), "{text}");
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lit"}, "stringData": {"password": APPLIED}});
    kubectl.ok_with("apply -f -", &manifest).await;
    assert!(kubectl.ok("describe secret lit").await.contains("password:  15 bytes"));
    let mut edit = kubectl.command(&["edit", "secret", "lit"]);
    // The base64 of the value as it is, and as it shall be.
    edit.env("KUBE_EDITOR", "sed -i s/aHVudGVyMi1hcHBsaWVk/aHVudGVyMi1lZGl0ZWQ=/");
    let said = edit.output().await.expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let script = "test \"$(printf %s \"$P\" | tr a-y b-z)\" = ".to_owned() + &told(EDITED);
    let mut edited = job("edited", &script, 0);
    edited["spec"]["backoffLimit"] = json!(0);
    edited["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "lit", "key": "password"}}}]);
    federation.create(&jobs_path(), &edited).await;
    until("the job has the edited value", || async { complete(federation, "edited").await }).await;
    kubectl.ok("delete secret lit").await;
    kubectl.refused("get secret lit", "").await;
}
