//! What the end of a single pod decides about its job, and gangs that meet: by kubectl, on real processes.

use muster_e2e::local::{Federation, Options};
use muster_e2e::tools::{self, Tool};
use serde_json::{Value, json};

use crate::kubectl::run::Kubectl;

const RENDEZVOUS: &str = include_str!("policies/rendezvous.py");

#[tokio::test(flavor = "multi_thread")]
async fn pods_decide_about_their_job_as_it_asks_for() {
    let Some([kubectl]) = tools::or_skip([Tool::Kubectl134]) else { return };
    let federation = Federation::start(&Options::default());
    let kubectl = Kubectl::new(kubectl, &federation, "default");
    tokio::join!(
        an_exit_code_fails_the_job(&kubectl),
        a_rule_means_the_container_that_it_names(&kubectl),
        one_index_fails_and_the_others_complete(&kubectl),
        some_completions_are_enough(&kubectl),
        a_job_without_completions_is_complete(&kubectl),
        rules_that_make_no_sense_are_refused(&kubectl),
    );
    tokio::join!(
        a_gang_meets(&kubectl),
        a_gang_meets_when_rank_0_comes_last(&kubectl, &federation),
        a_gang_starts_anew_when_one_of_it_fails(&kubectl, &federation),
        one_rank_starts_again_by_default(&kubectl, &federation),
    );
}

fn indexed(mut job: Value, completions: u32, spec: &Value) -> Value {
    let fields = json!({"completionMode": "Indexed", "completions": completions, "parallelism": completions});
    for more in [&fields, spec] {
        for (name, value) in more.as_object().expect("fields") {
            job["spec"][name] = value.clone();
        }
    }
    job
}

/// The reasons of a job's conditions by type.
async fn reasons(kubectl: &Kubectl, name: &str) -> Value {
    let job = kubectl.get(&format!("job {name}")).await;
    let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let reason =
        |condition: Value| (condition["type"].as_str().map(str::to_owned), condition["reason"].clone());
    conditions.into_iter().map(reason).filter_map(|(kind, reason)| Some((kind?, reason))).collect()
}

async fn an_exit_code_fails_the_job(kubectl: &Kubectl) {
    let mut job = kubectl.job("fatal", "exit 42");
    job["spec"]["podFailurePolicy"] = json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
    ]});
    kubectl.ok_with("apply -f -", &job).await;
    kubectl.ok("wait --for=condition=failed job/fatal --timeout=30s").await;
    let reasons = reasons(kubectl, "fatal").await;
    assert_eq!(
        (&reasons["FailureTarget"], &reasons["Failed"]),
        (&json!("PodFailurePolicy"), &json!("PodFailurePolicy"))
    );
    let told = kubectl.ok("describe job fatal").await;
    assert!(told.contains("failed with exit code 42 matching FailJob rule at index 1"), "{told}");
    assert!(told.contains("1 Failed"), "it is not tried again:\n{told}");
}

async fn a_rule_means_the_container_that_it_names(kubectl: &Kubectl) {
    for (name, container, reason) in
        [("of-another", "main", "BackoffLimitExceeded"), ("of-this", "side", "PodFailurePolicy")]
    {
        let mut job = kubectl.job(name, "true");
        let mut side = job["spec"]["template"]["spec"]["containers"][0].clone();
        (side["name"], side["command"]) = (json!("side"), json!(["sh", "-c", "exit 42"]));
        job["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers").push(side);
        job["spec"]["backoffLimit"] = json!(0);
        job["spec"]["podFailurePolicy"] = json!({"rules": [
            {"action": "FailJob", "onExitCodes": {"containerName": container, "operator": "In", "values": [42]}},
        ]});
        kubectl.ok_with("apply -f -", &job).await;
        kubectl.ok(&format!("wait --for=condition=failed job/{name} --timeout=30s")).await;
        assert_eq!(reasons(kubectl, name).await["Failed"], reason, "{name}");
    }
}

async fn one_index_fails_and_the_others_complete(kubectl: &Kubectl) {
    let script = "test $JOB_COMPLETION_INDEX -ne 1";
    let limits = json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 2});
    kubectl.ok_with("apply -f -", indexed(kubectl.job("partly", script), 4, &limits)).await;
    kubectl.ok("wait --for=condition=failed job/partly --timeout=40s").await;
    let job = kubectl.get("job partly").await;
    let status = &job["status"];
    assert_eq!(
        (&status["completedIndexes"], &status["failedIndexes"]),
        (&json!("0,2,3"), &json!("1")),
        "{status}"
    );
    assert_eq!((&status["succeeded"], &status["failed"]), (&json!(3), &json!(2)), "tried twice: {status}");
    assert_eq!(reasons(kubectl, "partly").await["Failed"], "FailedIndexes");
    assert!(kubectl.ok("describe job partly").await.contains("Completed Indexes:  0,2,3"));
}

async fn some_completions_are_enough(kubectl: &Kubectl) {
    let script = "test $JOB_COMPLETION_INDEX -eq 0 || while :; do sleep 0.1; done";
    let policy =
        json!({"successPolicy": {"rules": [{"succeededIndexes": "1,2"}, {"succeededIndexes": "0"}]}});
    kubectl.ok_with("apply -f -", indexed(kubectl.job("leader-first", script), 3, &policy)).await;
    kubectl.ok("wait --for=condition=complete job/leader-first --timeout=40s").await;
    let reasons = reasons(kubectl, "leader-first").await;
    assert_eq!(
        (&reasons["SuccessCriteriaMet"], &reasons["Complete"]),
        (&json!("SuccessPolicy"), &json!("SuccessPolicy"))
    );
    let job = kubectl.get("job leader-first").await;
    let status = &job["status"];
    assert_eq!(
        (&status["succeeded"], &status["failed"], &status["active"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
}

async fn a_job_without_completions_is_complete(kubectl: &Kubectl) {
    let mut job = kubectl.job("nothing", "false");
    job["spec"]["completions"] = json!(0);
    kubectl.ok_with("apply -f -", &job).await;
    assert_eq!(reasons(kubectl, "nothing").await["Complete"], "CompletionsReached", "at once");
    assert_eq!(kubectl.get("pods -l job-name=nothing").await["items"], json!([]));
}

async fn rules_that_make_no_sense_are_refused(kubectl: &Kubectl) {
    let mut job = kubectl.job("refused", "true");
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    job["spec"]["podFailurePolicy"] =
        json!({"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [0]}}]});
    job["spec"]["successPolicy"] = json!({"rules": []});
    let why = kubectl.refused("apply -f -", &job).await;
    for cause in [
        "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
        "must not be 0 for the In operator",
        "spec.successPolicy: Invalid value",
        "only \"Never\" is supported when podFailurePolicy is specified",
    ] {
        assert!(why.contains(cause), "{cause} in {why}");
    }
}

/// A gang of so many ranks that sums their numbers up.
fn gang(kubectl: &Kubectl, name: &str, ranks: u32, env: &Value) -> Value {
    let mut job = indexed(kubectl.job(name, ""), ranks, &json!({}));
    let container = &mut job["spec"]["template"]["spec"]["containers"][0];
    container["command"] = json!(["python3", "-u", "-c", RENDEZVOUS]);
    container["env"] = env.clone();
    job
}

/// What all pods of a job printed, the failed ones included.
async fn printed(kubectl: &Kubectl, name: &str) -> Vec<String> {
    let pods = kubectl.get(&format!("pods -l job-name={name}")).await;
    let mut lines = Vec::new();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let pod = pod["metadata"]["name"].as_str().expect("a name");
        lines.extend(kubectl.ok(&format!("logs {pod}")).await.lines().map(str::to_owned));
    }
    lines
}

async fn a_gang_meets(kubectl: &Kubectl) {
    kubectl.ok_with("apply -f -", gang(kubectl, "meet", 2, &json!([]))).await;
    kubectl.ok("wait --for=condition=complete job/meet --timeout=40s").await;
    let mut lines = printed(kubectl, "meet").await;
    lines.sort();
    assert!(lines[0].starts_with("rank 0 of 2 at 127.0.0.1:") && lines[0].ends_with(": sum 3"), "{lines:?}");
    assert!(lines[1].starts_with("rank 1 of 2 at 127.0.0.1:") && lines[1].ends_with(": sum 3"), "{lines:?}");
}

async fn a_gang_meets_when_rank_0_comes_last(kubectl: &Kubectl, federation: &Federation) {
    let env = json!([{"name": "EARLY", "value": federation.dir.join("early")}]);
    kubectl.ok_with("apply -f -", gang(kubectl, "late", 3, &env)).await;
    kubectl.ok("wait --for=condition=complete job/late --timeout=40s").await;
    assert_eq!(printed(kubectl, "late").await.iter().filter(|line| line.ends_with("sum 6")).count(), 3);
}

async fn a_gang_starts_anew_when_one_of_it_fails(kubectl: &Kubectl, federation: &Federation) {
    let env = json!([{"name": "FAIL_ONCE", "value": federation.dir.join("failed-anew")}]);
    let mut job = gang(kubectl, "anew", 3, &env);
    job["metadata"]["annotations"] = json!({"muster.sh/gang-restart": "true"});
    kubectl.ok_with("apply -f -", &job).await;
    kubectl.ok("wait --for=condition=complete job/anew --timeout=50s").await;
    let status = kubectl.get("job anew").await["status"].clone();
    assert_eq!(
        (&status["succeeded"], &status["failed"]),
        (&json!(3), &json!(1)),
        "one failure counts: {status}"
    );
    let pods = kubectl.get("pods -l job-name=anew").await;
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(6), "every rank ran twice");
}

/// Rank 0 goes down with the connection, and finds the other again on the same port.
async fn one_rank_starts_again_by_default(kubectl: &Kubectl, federation: &Federation) {
    let env = json!([{"name": "FAIL_ONCE", "value": federation.dir.join("failed-alone")}]);
    kubectl.ok_with("apply -f -", gang(kubectl, "alone", 2, &env)).await;
    kubectl.ok("wait --for=condition=complete job/alone --timeout=50s").await;
    let status = kubectl.get("job alone").await["status"].clone();
    assert_eq!((&status["succeeded"], &status["failed"]), (&json!(2), &json!(2)), "{status}");
    let addresses: Vec<String> = printed(kubectl, "alone").await;
    assert_eq!(addresses.iter().filter(|line| line.ends_with("sum 3")).count(), 2, "{addresses:?}");
}
