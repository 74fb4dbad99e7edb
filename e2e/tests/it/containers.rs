//! A job as people write them: ConfigMap as variable and file, an init container, two containers that share a volume,
//! restarts in place, and a pod that waits for what it names.

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, Options, condition, job, job_path, jobs_path, until};
use muster_e2e::tools::{self, Tool};
use serde_json::{Value, json};

use crate::kubectl::run::Kubectl;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_as_people_write_them() {
    let mut federation = Federation::start(&Options::default());
    a_pod_waits_for_what_it_names_and_then_runs_all_its_containers(&federation).await;
    a_failed_container_is_started_again_in_place_up_to_the_limit(&federation).await;
    a_pod_over_its_disk_limit_is_evicted(&federation).await;
    kubectl_shows_containers_and_their_logs(&federation).await;
    federation.stop();
}

fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": format!("example/{name}:1"), "command": ["sh", "-c", script]})
}

/// The job of the acceptance: everything in it depends on everything else.
fn pipeline(name: &str) -> Value {
    let mount = |volume: &str, path: &str| json!({"name": volume, "mountPath": path});
    let mut fetch = container("fetch", "cp /etc/muster-app/recipe.txt /muster-shared/recipe");
    fetch["volumeMounts"] = json!([mount("app", "/etc/muster-app"), mount("shared", "/muster-shared")]);
    let mut cook =
        container("cook", "echo \"$LEVEL $(cat recipe) on $NODE\" > .dish && mv .dish dish; echo cooked");
    cook["volumeMounts"] = json!([mount("shared", "/work")]);
    cook["workingDir"] = json!("/work");
    cook["env"] = json!([
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "level"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]);
    let mut serve = container(
        "serve",
        "while [ ! -e /table/dish ]; do sleep 0.05; done; cat /table/dish; exit $APP_code",
    );
    serve["volumeMounts"] = json!([mount("shared", "/table")]);
    serve["envFrom"] = json!([{"prefix": "APP_", "configMapRef": {"name": "app"}}]);
    let mut job = job(name, "", 0);
    let spec = &mut job["spec"]["template"]["spec"];
    spec["initContainers"] = json!([fetch]);
    spec["containers"] = json!([cook, serve]);
    spec["volumes"] = json!([{"name": "app", "configMap": {"name": "app", "items": [{"key": "recipe", "path": "recipe.txt"}]}},
                             {"name": "shared", "emptyDir": {"sizeLimit": "8Mi"}}]);
    job["spec"]["backoffLimit"] = json!(0);
    job
}

fn app() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"},
           "data": {"level": "hot", "recipe": "soup", "code": "0"}})
}

async fn the_pod(federation: &Federation, job: &str) -> Option<Value> {
    let pods = federation.get(&format!("{PODS}?labelSelector=job-name%3D{job}")).await?;
    pods["items"].as_array()?.last().cloned()
}

async fn finished(federation: &Federation, name: &str, kind: &str) -> Value {
    until(&format!("{name} is {kind}"), || async {
        let job = federation.get(&job_path(name)).await?;
        (condition(&job, kind)?.0 == "True").then_some(job)
    })
    .await
}

async fn log(federation: &Federation, pod: &Value, query: &str) -> (StatusCode, String) {
    let name = pod["metadata"]["name"].as_str().expect("a name");
    let path = format!("{PODS}/{name}/log{query}");
    let reply = federation.api().request(Method::GET, &path, None).await.expect("an answer");
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}

async fn a_pod_waits_for_what_it_names_and_then_runs_all_its_containers(federation: &Federation) {
    federation.create(&jobs_path(), &pipeline("pipeline")).await;
    let waiting = until("the pod waits", || async {
        let pod = the_pod(federation, "pipeline").await?;
        let state = pod["status"]["initContainerStatuses"][0]["state"]["waiting"].clone();
        (state["reason"] == "CreateContainerConfigError").then_some(state)
    })
    .await;
    assert_eq!(waiting["message"], "configmap \"app\" not found");
    until("an event says so", || async {
        let events = federation.get("/api/v1/namespaces/default/events").await?;
        let said = |event: &Value| event["reason"] == "CreateContainerConfigError";
        events["items"].as_array()?.iter().any(said).then_some(())
    })
    .await;
    federation.create(CONFIG_MAPS, &app()).await;
    finished(federation, "pipeline", "Complete").await;
    let pod = until("the mirror says how all ended", || async {
        let pod = the_pod(federation, "pipeline").await?;
        (pod["status"]["phase"] == "Succeeded").then_some(pod)
    })
    .await;
    let statuses = [&pod["status"]["initContainerStatuses"], &pod["status"]["containerStatuses"]];
    let codes: Vec<(&str, Option<i64>)> = statuses
        .iter()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .map(|status| {
            (status["name"].as_str().unwrap_or_default(), status["state"]["terminated"]["exitCode"].as_i64())
        })
        .collect();
    assert_eq!(codes, [("fetch", Some(0)), ("cook", Some(0)), ("serve", Some(0))], "{pod}");
    assert_eq!(pod["spec"]["containers"][1]["image"], "example/serve:1");
    let (status, text) = log(federation, &pod, "?container=serve").await;
    assert!(status == StatusCode::OK && text.starts_with("hot soup on "), "{status} {text}");
    assert_eq!(log(federation, &pod, "?container=cook").await.1, "cooked\n");
    let (status, text) = log(federation, &pod, "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("choose one of: [cook serve] or one of the init containers: [fetch]"), "{text}");
    assert_eq!(log(federation, &pod, "?container=none").await.0, StatusCode::BAD_REQUEST);
}

async fn a_failed_container_is_started_again_in_place_up_to_the_limit(federation: &Federation) {
    let mut again = job("again", "echo try >> tries; test $(wc -l < tries) -ge 2", 0);
    again["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    federation.create(&jobs_path(), &again).await;
    let done = finished(federation, "again", "Complete").await;
    assert_eq!(done["status"]["failed"].as_u64().unwrap_or(0), 0, "{done}");
    let pod = the_pod(federation, "again").await.expect("its pod");
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(
        (&status["restartCount"], &status["lastState"]["terminated"]["exitCode"]),
        (&json!(1), &json!(1)),
        "{pod}"
    );
    let mut never = job("never", "exit 5", 0);
    never["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    never["spec"]["backoffLimit"] = json!(1);
    federation.create(&jobs_path(), &never).await;
    let failed = finished(federation, "never", "Failed").await;
    let conditions = failed["status"]["conditions"].as_array().cloned().unwrap_or_default();
    assert!(conditions.iter().any(|c| c["reason"] == "BackoffLimitExceeded"), "{conditions:?}");
}

async fn a_pod_over_its_disk_limit_is_evicted(federation: &Federation) {
    let mut fills = job("fills", "while :; do head -c 1000000 /dev/zero >> big; sleep 0.05; done", 0);
    fills["spec"]["backoffLimit"] = json!(0);
    fills["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"ephemeral-storage": "4Mi"}});
    federation.create(&jobs_path(), &fills).await;
    finished(federation, "fills", "Failed").await;
    let pod = until("the mirror says why", || async {
        let pod = the_pod(federation, "fills").await?;
        (pod["status"]["phase"] == "Failed").then_some(pod)
    })
    .await;
    let message = pod["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("ephemeral-storage"), "{pod}");
}

async fn kubectl_shows_containers_and_their_logs(federation: &Federation) {
    let Some([kubectl]) = tools::or_skip([Tool::Kubectl134]) else { return };
    let kubectl = Kubectl::new(kubectl, federation, "default");
    kubectl.ok_with("apply -f -", pipeline("by-kubectl")).await;
    finished(federation, "by-kubectl", "Complete").await;
    let text = kubectl.ok("logs job/by-kubectl -c serve").await;
    assert!(text.starts_with("hot soup on "), "{text}");
    let all = kubectl.ok("logs job/by-kubectl --all-containers --prefix").await;
    assert!(all.contains("cooked") && all.contains("/serve] hot soup"), "{all}");
    let row = kubectl.ok("get pods -l job-name=by-kubectl --no-headers").await;
    assert!(row.contains("0/2") && row.contains("Completed"), "{row}");
}
