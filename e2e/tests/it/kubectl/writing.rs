//! Changing objects: apply, create, patch, replace, delete, and what is refused.

use serde_json::{Value, json};

use super::run::Kubectl;

pub async fn all(kubectl: &Kubectl) {
    apply(kubectl).await;
    create(kubectl).await;
    change(kubectl).await;
    replace(kubectl).await;
    dry_run(kubectl).await;
    validation(kubectl).await;
    delete(kubectl).await;
    cascade(kubectl).await;
}

async fn apply(kubectl: &Kubectl) {
    let mut job = kubectl.held_job("applied");
    for word in ["created", "unchanged"] {
        let said = kubectl.ok_with("apply -f -", &job).await;
        assert_eq!(said.trim(), format!("job.batch/applied {word}"));
    }
    job["metadata"]["labels"]["team"] = json!("speech");
    let diff = kubectl.run(&["diff", "-f", "-"], &job.to_string()).await;
    assert_eq!(diff.code, Some(1), "a difference: {}", diff.err);
    assert!(diff.out.contains("-    team: vision") && diff.out.contains("+    team: speech"), "{}", diff.out);
    assert_eq!(kubectl.ok_with("apply -f -", &job).await.trim(), "job.batch/applied configured");
    assert_eq!(kubectl.get("job applied").await["metadata"]["labels"]["team"], "speech");
    assert_eq!(kubectl.run(&["diff", "-f", "-"], &job.to_string()).await.code, Some(0), "no difference");
    // What left the manifest leaves the object.
    job["metadata"]["labels"] = json!({});
    kubectl.ok_with("apply -f -", &job).await;
    assert_eq!(kubectl.get("job applied").await["metadata"]["labels"]["team"], Value::Null);
    let template = r#"{"spec":{"template":{"spec":{"restartPolicy":"OnFailure"}}}}"#;
    let said = kubectl.refused(&format!("patch job applied -p {template}"), "").await;
    assert!(said.contains("spec.template") && said.contains("immutable"), "{said}");
}

async fn create(kubectl: &Kubectl) {
    let mut drawn = kubectl.held_job("drawn");
    drawn["metadata"]["name"] = Value::Null;
    drawn["metadata"]["generateName"] = json!("drawn-");
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(kubectl.ok_with("create -o name -f -", &drawn).await.trim().to_owned());
    }
    assert!(names.iter().all(|name| name.starts_with("job.batch/drawn-") && name.len() == 21), "{names:?}");
    assert_ne!(names[0], names[1]);
    let said = kubectl.refused("create -f -", kubectl.held_job("applied")).await;
    assert!(said.contains("(AlreadyExists)"), "{said}");
    kubectl.ok("create configmap settings --from-literal=colour=green").await;
    assert_eq!(kubectl.get("configmap settings").await["data"]["colour"], "green");
    kubectl.ok("create job imperative --image=example/train:1 --dry-run=server -- true").await;
    let all: Value = json!({"apiVersion": "v1", "kind": "List", "items": [kubectl.held_job("l1"), kubectl.held_job("l2")]});
    let said = kubectl.ok_with("apply -f -", &all).await;
    assert!(said.contains("l1 created") && said.contains("l2 created"), "{said}");
}

async fn change(kubectl: &Kubectl) {
    kubectl.ok("label job applied stage=one").await;
    let said = kubectl.refused("label job applied stage=two", "").await;
    assert!(said.contains("--overwrite"), "{said}");
    kubectl.ok("label job applied stage=two --overwrite").await;
    kubectl.ok("annotate job applied note=seen").await;
    kubectl.ok(r#"patch job applied --type=strategic -p {"metadata":{"labels":{"a":"strategic"}}}"#).await;
    kubectl
        .ok(r#"patch job applied --type=merge -p {"metadata":{"labels":{"b":"merge","stage":null}}}"#)
        .await;
    kubectl
        .ok(r#"patch job applied --type=json -p [{"op":"add","path":"/metadata/labels/c","value":"json"}]"#)
        .await;
    let job = kubectl.get("job applied").await;
    let labels = &job["metadata"]["labels"];
    assert_eq!([&labels["a"], &labels["b"], &labels["c"]], ["strategic", "merge", "json"]);
    assert_eq!(labels["stage"], Value::Null, "a merge patch takes away by null");
    assert_eq!(job["metadata"]["annotations"]["note"], "seen");
    assert!(kubectl.ok("label job applied a-").await.contains("unlabeled"));
    let said = kubectl
        .refused(r#"patch job applied --type=json -p [{"op":"test","path":"/kind","value":"Pod"}]"#, "")
        .await;
    assert!(!said.is_empty());
    let said = kubectl.refused("apply --server-side -f -", kubectl.held_job("applied")).await;
    assert!(said.contains("server-side apply is not served yet"), "it says what to do instead: {said}");
}

/// What `kubectl edit` does when somebody else was faster.
async fn replace(kubectl: &Kubectl) {
    let mut mine = kubectl.get("job applied").await;
    kubectl.ok("label job applied faster=yes").await;
    mine["metadata"]["labels"]["mine"] = json!("late");
    let said = kubectl.refused("replace -f -", &mine).await;
    assert!(said.contains("(Conflict)"), "{said}");
    assert!(
        said.contains("the object has been modified; please apply your changes to the latest version"),
        "{said}"
    );
    let mut mine = kubectl.get("job applied").await;
    mine["metadata"]["labels"]["mine"] = json!("in time");
    assert!(kubectl.refused("replace -f -", &mine).await.contains("metadata.labels"), "a label is no text");
    mine["metadata"]["labels"]["mine"] = json!("in-time");
    kubectl.ok_with("replace -f -", &mine).await;
    assert_eq!(kubectl.get("job applied").await["metadata"]["labels"]["mine"], "in-time");
}

async fn dry_run(kubectl: &Kubectl) {
    let said = kubectl.ok_with("apply --dry-run=server -f -", kubectl.held_job("dry")).await;
    assert!(said.contains("created (server dry run)"), "{said}");
    assert!(kubectl.refused("get job dry", "").await.contains("(NotFound)"), "nothing is stored");
    let before = kubectl.get("job applied").await;
    kubectl.ok("delete job applied --dry-run=server").await;
    kubectl.ok("label job applied dry=run --dry-run=server").await;
    assert_eq!(kubectl.get("job applied").await, before, "nothing is changed");
}

async fn validation(kubectl: &Kubectl) {
    let mut odd = kubectl.held_job("odd");
    odd["spec"]["paralelism"] = json!(2);
    for line in ["create --validate=strict -f -", "apply -f -"] {
        let said = kubectl.refused(line, &odd).await;
        assert!(
            said.contains("strict decoding error") && said.contains(r#"unknown field "spec.paralelism""#),
            "{said}"
        );
    }
    let said = kubectl.run(&["create", "--validate=warn", "-f", "-"], &odd.to_string()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains(r#"Warning: unknown field "spec.paralelism""#), "{}", said.err);
    odd["spec"] = json!({"template": {"spec": {"containers": []}}});
    odd["metadata"]["name"] = json!("Odd_Name");
    let said = kubectl.refused("create --validate=false -f -", &odd).await;
    for field in ["metadata.name", "spec.template.spec.containers", "spec.template.spec.restartPolicy"] {
        assert!(said.contains(field), "{field} in {said}");
    }
}

async fn delete(kubectl: &Kubectl) {
    for name in ["d1", "d2", "d3"] {
        kubectl.ok_with("create -f -", kubectl.held_job(name)).await;
    }
    assert!(kubectl.ok("delete job d1").await.contains("\"d1\" deleted"));
    kubectl.ok("delete job d2 --wait=false").await;
    kubectl.ok("label job d3 doomed=yes").await;
    assert!(kubectl.ok("delete jobs -l doomed=yes").await.contains("\"d3\" deleted"));
    assert!(kubectl.refused("delete job d1", "").await.contains("(NotFound)"));
    kubectl.ok("delete job d1 --ignore-not-found").await;
    let said = kubectl.ok("wait --for=delete job/d2 --timeout=10s").await;
    assert!(said.is_empty() || said.contains("condition met"), "{said}");
}

/// What belongs to a deleted object goes with it, unless it is left behind on purpose.
async fn cascade(kubectl: &Kubectl) {
    for (how, stays) in [("background", false), ("foreground", false), ("orphan", true)] {
        let (owner, owned) = (format!("owner-{how}"), format!("owned-{how}"));
        kubectl.ok_with("create -f -", kubectl.held_job(&owner)).await;
        let uid = kubectl.get(&format!("job {owner}")).await["metadata"]["uid"].clone();
        let reference = json!({"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": uid, "blockOwnerDeletion": true});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": owned, "ownerReferences": [reference]}});
        kubectl.ok_with("create -f -", &map).await;
        kubectl.ok(&format!("delete job {owner} --cascade={how}")).await;
        if stays {
            let left = kubectl.get(&format!("configmap {owned}")).await;
            assert_eq!(left["metadata"]["ownerReferences"], Value::Null, "it is nobody's now");
        } else {
            kubectl.ok(&format!("wait --for=delete configmap/{owned} --timeout=10s")).await;
        }
    }
}

pub async fn namespace_takes_its_jobs_along(kubectl: &Kubectl) {
    let namespace = kubectl.namespace.as_str();
    assert!(kubectl.ok("get jobs -o name").await.contains("job.batch/applied"));
    kubectl.ok(&format!("delete namespace {namespace} --timeout=30s")).await;
    assert!(kubectl.refused(&format!("get namespace {namespace}"), "").await.contains("(NotFound)"));
    assert_eq!(kubectl.get("jobs").await["items"], json!([]));
    let said = kubectl.refused("create -f -", kubectl.held_job("late")).await;
    assert!(said.contains("(NotFound)") && said.contains(namespace), "{said}");
}
