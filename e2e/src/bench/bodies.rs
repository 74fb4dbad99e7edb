//! Jobs as people send them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::load::Bodies;

/// Where they are sent.
pub const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

/// A typical GPU Job of about 500 bytes. Suspended, so that storing it is all that is measured.
pub fn gpu_job() -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "train-", "labels": {"app": "train", "team": "vision"}},
        "spec": {
            "suspend": true,
            "backoffLimit": 3,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "main",
                    "image": "registry.example.com/vision/train:2026-11",
                    "command": ["python", "train.py", "--epochs=90", "--data=/data/imagenet"],
                    "env": [{"name": "NCCL_DEBUG", "value": "WARN"}, {"name": "OMP_NUM_THREADS", "value": "4"}],
                    "resources": {"limits": {"nvidia.com/gpu": "8", "cpu": "32", "memory": "256Gi"}},
                }],
            }},
        },
    })
}

/// The same body each time; the server draws names.
pub fn posted() -> Bodies {
    let body = Bytes::from(gpu_job().to_string());
    Arc::new(move |_| body.clone())
}

/// What `kubectl apply` sends: a name, and the whole manifest once more in an annotation.
pub fn applied(prefix: &str) -> Bodies {
    let prefix = prefix.to_owned();
    Arc::new(move |number| Bytes::from(named(&prefix, number).to_string()))
}

/// The same job as [`applied`] makes, after its nth change.
pub fn changed(prefix: &str, number: u64, change: u64) -> Bytes {
    let mut job = named(prefix, number);
    job["metadata"]["labels"]["change"] = json!(change.to_string());
    Bytes::from(job.to_string())
}

fn named(prefix: &str, number: u64) -> Value {
    let mut job = gpu_job();
    let labels = job["metadata"]["labels"].take();
    // kubectl writes an empty `annotations` into the manifest that it keeps.
    job["metadata"] = json!({"annotations": {}, "labels": labels, "name": format!("{prefix}-{number}"), "namespace": "default"});
    let last_applied = format!("{job}\n");
    job["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json!(last_applied);
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_of_typical_size() {
        let bytes = gpu_job().to_string().len();
        assert!((450..=550).contains(&bytes), "{bytes} bytes");
    }

    #[test]
    fn an_applied_job_carries_itself() {
        let job: Value = serde_json::from_slice(&applied("a")(7)).expect("JSON");
        let kept = &job["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        let kept: Value = serde_json::from_str(kept.as_str().expect("text")).expect("JSON");
        assert_eq!(kept["metadata"]["name"], "a-7");
        assert_eq!(kept["spec"], job["spec"]);
    }
}
