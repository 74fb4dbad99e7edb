//! Jobs to submit, and how to look at them.

use serde_json::{Value, json};

use super::federation::Federation;

/// Collection of jobs in the namespace `default`.
pub fn jobs_path() -> String {
    "/apis/batch/v1/namespaces/default/jobs".to_owned()
}

/// One job in the namespace `default`.
pub fn job_path(name: &str) -> String {
    format!("/apis/batch/v1/namespaces/default/jobs/{name}")
}

/// An unmodified Kubernetes Job that runs a shell script on so many GPUs.
pub fn job(name: &str, script: &str, gpus: u32) -> Value {
    let limits = if gpus == 0 { json!({"cpu": "1"}) } else { json!({"nvidia.com/gpu": gpus.to_string()}) };
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "containers": [{
                "name": "main",
                "image": "example/train:1",
                "command": ["sh", "-c", script],
                "resources": {"limits": limits},
            }],
        }}},
    })
}

/// A job that runs until it is stopped.
pub fn sleep_job(name: &str, gpus: u32) -> Value {
    job(name, "while :; do sleep 0.1; done", gpus)
}

/// The status (`True`, `False`) of a condition, and its message.
pub fn condition(object: &Value, kind: &str) -> Option<(String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("message")))
}

/// One attempt of a job, as the hub tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its epoch.
    pub epoch: u64,
    /// Where.
    pub cluster: String,
    /// How it stands.
    pub phase: String,
}

/// All attempts of a job, the oldest first; none if the hub does not answer.
pub async fn runs_of(federation: &Federation, job: &str) -> Vec<Run> {
    let path = "/apis/muster.sh/v1alpha1/namespaces/default/runs";
    let list = federation.get(path).await.unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_job = |item: &&Value| item["spec"]["job"].as_str().is_some_and(|name| name.ends_with(job));
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let mut runs: Vec<Run> = items
        .iter()
        .filter(of_job)
        .map(|run| Run {
            epoch: text(&run["spec"]["epoch"]).parse().expect("an epoch is a number in a string"),
            cluster: text(&run["spec"]["cluster"]),
            phase: text(&run["status"]["phase"]),
        })
        .collect();
    runs.sort_by_key(|run| run.epoch);
    runs
}
