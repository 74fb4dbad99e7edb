//! Commands in running pods: `kubectl exec`, `attach` and `cp` in two versions, `muster exec` and `muster attach`, on one
//! federation.
//!
//! At its end the leader dies under one command and the member's agent under another: both clients hear why, and neither
//! command is left behind.

mod attach;
mod ends;
mod terminal;

use std::path::Path;

use muster_e2e::local::{Federation, Options, muster_exe, until};
use muster_e2e::tools::{self, Tool};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::kubectl::run::Kubectl;

/// More than all buffers on the way together.
const BYTES: usize = 5 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_pods() {
    let Some([new, old]) = tools::or_skip([Tool::Kubectl134, Tool::Kubectl132]) else { return };
    let federation = Federation::start(&Options::default());
    let new = Kubectl::new(new, &federation, "x134");
    let old = Kubectl::new(old, &federation, "x132");
    let (pod, _) = tokio::join!(everything(&new), everything(&old));
    muster_exec_ends_with_its_code(&federation, &new.namespace, &pod).await;
    commands_are_in_the_audit_log(&federation, &new, &pod).await;
    attach::survives_agent_and_leader(&federation, &new).await;
    ends::with_the_leader(&federation, &new, &pod).await;
    ends::with_the_member(&federation, &new, &pod).await;
}

async fn everything(kubectl: &Kubectl) -> String {
    kubectl.ok(&format!("create namespace {}", kubectl.namespace)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = "while :; do echo tick; sleep 0.1; done";
    kubectl.ok_with("apply -f -", kubectl.job("host", script)).await;
    kubectl.ok("wait --for=jsonpath={.status.ready}=1 job/host --timeout=30s").await;
    let pods = kubectl.get("pods -l job-name=host").await;
    let pod = pods["items"][0]["metadata"]["name"].as_str().expect("a name").to_owned();
    tokio::join!(
        a_command_tells_its_output_and_code(kubectl, &pod),
        input_comes_back_whole(kubectl, &pod),
        files_are_copied_both_ways(kubectl, &pod, folder.path()),
        terminal::has_the_size_of_ours(kubectl, &pod),
        what_is_wrong_is_said(kubectl, &pod),
        attach_shows_what_is_written(kubectl, &pod),
        attach::writes_to_what_runs(kubectl),
        ends::with_its_client(kubectl, &pod),
        a_command_goes_to_the_container_that_is_meant(kubectl),
    );
    pod
}

async fn a_command_tells_its_output_and_code(kubectl: &Kubectl, pod: &str) {
    let said = kubectl
        .run(&["exec", pod, "-c", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 7"], "")
        .await;
    assert_eq!((said.code, said.out.as_str()), (Some(7), "out\n"), "{}", said.err);
    assert!(said.err.starts_with("err\n"), "{}", said.err);
    let job = kubectl.run(&["exec", "job/host", "--", "sh", "-c", "echo $MUSTER_JOB"], "").await;
    assert_eq!(job.out.trim(), format!("{}/host", kubectl.namespace));
}

/// The first one, unless the template's annotation names another.
async fn a_command_goes_to_the_container_that_is_meant(kubectl: &Kubectl) {
    for (name, annotations, meant) in [
        ("first", json!({}), "main"),
        ("annotated", json!({"kubectl.kubernetes.io/default-container": "side"}), "side"),
    ] {
        let mut job = kubectl.job(name, "while :; do sleep 0.1; done");
        let template = &mut job["spec"]["template"];
        template["metadata"]["annotations"] = annotations;
        let mut side = template["spec"]["containers"][0].clone();
        side["name"] = json!("side");
        template["spec"]["containers"].as_array_mut().expect("containers").push(side);
        kubectl.ok_with("apply -f -", &job).await;
        kubectl.ok(&format!("wait --for=jsonpath={{.status.ready}}=1 job/{name} --timeout=30s")).await;
        let job = format!("job/{name}");
        let said = kubectl.run(&["exec", &job, "--", "sh", "-c", "echo $MUSTER_CONTAINER"], "").await;
        assert_eq!(said.out.trim(), meant, "{}", said.err);
    }
}

async fn input_comes_back_whole(kubectl: &Kubectl, pod: &str) {
    let bytes: Vec<u8> =
        (0..BYTES).map(|i| u8::try_from((i ^ (i >> 8) ^ (i >> 16)) & 0xff).expect("masked")).collect();
    let back = kubectl.piped(&["exec", "-i", pod, "--", "cat"], &bytes).await;
    assert!(back == bytes, "{} of {BYTES} bytes came back, or others", back.len());
}

/// kubectl does it by tar.
async fn files_are_copied_both_ways(kubectl: &Kubectl, pod: &str, folder: &Path) {
    let (there, back) = (folder.join("there"), folder.join("back"));
    let bytes: Vec<u8> = (0..(1_u32 << 20)).map(|i| u8::try_from(i * 31 % 255).expect("small")).collect();
    std::fs::write(folder.join("own"), &bytes).expect("written");
    let place = |path: &Path| format!("{pod}:{}", path.display());
    kubectl.ok(&format!("cp {} {}", folder.join("own").display(), place(&there))).await;
    assert!(std::fs::read(&there).expect("copied") == bytes);
    kubectl.ok(&format!("cp {} {}", place(&there), back.display())).await;
    assert!(std::fs::read(&back).expect("copied") == bytes);
}

async fn what_is_wrong_is_said(kubectl: &Kubectl, pod: &str) {
    let gone = kubectl.refused("exec gone -- true", "").await;
    assert!(gone.contains("(NotFound)") && gone.contains("\"gone\" not found"), "{gone}");
    let side = kubectl.refused(&format!("exec {pod} -c side -- true"), "").await;
    assert!(side.contains("container side is not valid") && side.contains("main"), "{side}");
    let missing = kubectl.run(&["exec", pod, "--", "/no/such/program"], "").await;
    assert_eq!(missing.code, Some(127), "{}", missing.err);
    let spdy = kubectl.without_websocket(&["exec", pod, "--", "true"]).await;
    assert!(spdy.contains("speaks WebSocket") && spdy.contains("kubectl 1.31"), "{spdy}");
}

async fn attach_shows_what_is_written(kubectl: &Kubectl, pod: &str) {
    let mut attached = kubectl.start(&format!("attach {pod}"));
    assert_eq!(attached.line_with("tick").await, "tick");
}

async fn muster_exec_ends_with_its_code(federation: &Federation, namespace: &str, pod: &str) {
    let mut command = Command::new(muster_exe());
    command.arg("exec").arg("--kubeconfig").arg(federation.dir.join("kubeconfig"));
    command.args(["-n", namespace, "job/host", "--", "sh", "-c", "echo here; exit 9"]);
    let said = command.output().await.expect("it runs");
    assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(9), b"here\n".as_slice()), "{said:?}");
    let mut refused = Command::new(muster_exe());
    refused.arg("exec").arg("--kubeconfig").arg(federation.dir.join("kubeconfig"));
    refused.args(["-n", namespace, pod, "-c", "side", "--", "true"]);
    let said = refused.output().await.expect("it runs");
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(1) && err.contains("container side is not valid"), "{err}");
}

/// Who, where and what, before it runs; what is named like a secret is left out.
async fn commands_are_in_the_audit_log(federation: &Federation, kubectl: &Kubectl, pod: &str) {
    kubectl.ok(&format!("exec {pod} -- env API_TOKEN=hunter2 true")).await;
    let records = until("its record", || async {
        let answer = federation.get("/muster/v1/audit?last=100").await?;
        let records = answer["records"].as_array()?.clone();
        let of_pod: Vec<Value> = records.into_iter().filter(|record| record["name"] == pod).collect();
        let last = of_pod.last()?["detail"].as_str()?.contains("API_TOKEN");
        last.then_some(of_pod)
    })
    .await;
    let record = records.last().expect("the last one");
    let told =
        ["verb", "resource", "namespace", "detail"].map(|field| record[field].as_str().unwrap_or_default());
    assert_eq!(told, ["exec", "pods", kubectl.namespace.as_str(), "main: env API_TOKEN=*** true"]);
    assert!(record["principal"].as_str().is_some_and(|who| !who.is_empty()), "{record}");
    let verbs: Vec<&Value> = records.iter().map(|record| &record["verb"]).collect();
    assert!(verbs.contains(&&Value::from("attach")), "{verbs:?}");
    assert!(!Value::from(records.clone()).to_string().contains("hunter2"));
}

/// Whether some process has this text in its command line.
fn runs(text: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    // A client's own command line names the command too; it begins otherwise.
    lines.any(|line| line.starts_with(b"sleep\0") && String::from_utf8_lossy(&line).contains(text))
}

/// Waits until it runs, or does not.
async fn await_running(text: &str, wanted: bool) {
    until(&format!("{text} to run: {wanted}"), || async { (runs(text) == wanted).then_some(()) }).await;
}

/// The member that runs a pod.
async fn member_of(kubectl: &Kubectl, pod: &str) -> String {
    let pod: Value = kubectl.get(&format!("pod {pod}")).await;
    pod["metadata"]["labels"]["muster.sh/cluster"].as_str().expect("a label").to_owned()
}
