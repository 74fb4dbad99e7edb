//! What a person does first: submit a job, see it placed, run and finished, read its log.

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, Options, condition, job, job_path, jobs_path, sleep_job, until};
use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/namespaces/default/events";
const PODS: &str = "/api/v1/namespaces/default/pods";

async fn finished(federation: &Federation, name: &str) -> Value {
    until(&format!("the end of {name}"), || async {
        let job = federation.get(&job_path(name)).await?;
        let over = |kind| condition(&job, kind).is_some_and(|(status, _)| status == "True");
        (over("Complete") || over("Failed")).then_some(job)
    })
    .await
}

async fn events(federation: &Federation, name: &str) -> Vec<String> {
    let selector = format!("{EVENTS}?fieldSelector=involvedObject.name%3D{name}");
    let list = federation.get(&selector).await.expect("events");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|event| event["reason"].as_str().map(str::to_owned)).collect()
}

async fn log(federation: &Federation, name: &str) -> String {
    let api = federation.api();
    let pods = federation.get(&format!("{PODS}?labelSelector=job-name%3D{name}")).await.expect("pods");
    let pod = pods["items"][0]["metadata"]["name"].as_str().expect("a pod").to_owned();
    let reply = api.request(Method::GET, &format!("{PODS}/{pod}/log"), None).await.expect("a log");
    assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.body));
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// One federation for everything that does not break it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_placed_run_and_explained() {
    let mut federation = Federation::start(&Options::default());
    runs_where_it_is_cheapest(&federation).await;
    runs_near_its_data(&federation).await;
    indexed_jobs_know_their_index(&federation).await;
    a_failing_job_fails(&federation).await;
    a_job_past_its_deadline_fails(&federation).await;
    a_finished_job_goes_after_its_ttl(&federation).await;
    failures_are_retried_up_to_the_limit(&federation).await;
    a_template_without_a_command_is_refused_with_a_reason(&federation).await;
    suspends_and_resumes(&federation).await;
    a_plan_is_explained(&federation).await;
    every_replica_answers(&federation).await;
    let took = federation.stop();
    assert!(took.as_secs() < 10, "nothing is left after 10 s");
}

async fn runs_where_it_is_cheapest(federation: &Federation) {
    let script = r#"echo "epoch $MUSTER_EPOCH on $CUDA_VISIBLE_DEVICES""#;
    federation.create(&jobs_path(), &job("cheapest", script, 8)).await;
    let job = finished(federation, "cheapest").await;
    assert_eq!(condition(&job, "Complete").map(|c| c.0).as_deref(), Some("True"), "{job}");
    let (_, placed) = condition(&job, "Placed").expect("it says where it was");
    assert!(placed.contains("aws-use1-spot"), "{placed}");
    assert_eq!(job["status"]["succeeded"], 1);
    let text = log(federation, "cheapest").await;
    assert!(text.starts_with("epoch ") && text.contains("0,1,2,3,4,5,6,7"), "{text}");
    let told = events(federation, "cheapest").await;
    for reason in ["Queued", "Placed", "Started", "Completed"] {
        assert!(told.iter().any(|found| found == reason), "{reason} in {told:?}");
    }
}

async fn runs_near_its_data(federation: &Federation) {
    let mut near = job("near", "true", 8);
    let placement = r#"{"datasets":["protein-maps"]}"#;
    near["metadata"]["annotations"] = json!({"muster.sh/placement-spec": placement});
    federation.create(&jobs_path(), &near).await;
    let (_, placed) = condition(&finished(federation, "near").await, "Placed").expect("it says where it was");
    assert!(placed.contains("gcp-usc1-spot"), "2 TiB of egress cost more than the dearer GPUs: {placed}");
}

async fn indexed_jobs_know_their_index(federation: &Federation) {
    let mut indexed = job("indexed", "echo index $JOB_COMPLETION_INDEX; test $JOB_COMPLETION_INDEX -lt 9", 0);
    indexed["spec"]["completionMode"] = json!("Indexed");
    indexed["spec"]["completions"] = json!(5);
    indexed["spec"]["parallelism"] = json!(2);
    federation.create(&jobs_path(), &indexed).await;
    let job = finished(federation, "indexed").await;
    assert_eq!(job["status"]["succeeded"], 5);
    assert_eq!(job["status"]["completedIndexes"], "0-4");
}

async fn a_failing_job_fails(federation: &Federation) {
    let mut failing = job("failing", "exit 3", 0);
    failing["spec"]["backoffLimit"] = json!(0);
    federation.create(&jobs_path(), &failing).await;
    let job = finished(federation, "failing").await;
    let failed = condition(&job, "Failed").expect("it failed");
    assert_eq!(failed.0, "True");
    assert_eq!(job["status"]["failed"], 1);
    let runs = federation.get("/apis/muster.sh/v1alpha1/namespaces/default/runs").await.expect("runs");
    let runs = runs["items"].as_array().cloned().unwrap_or_default();
    let run = runs.iter().find(|run| run["spec"]["job"].as_str().is_some_and(|job| job.ends_with("failing")));
    assert_eq!(run.expect("its run")["status"]["exitCode"], 3);
}

async fn a_job_past_its_deadline_fails(federation: &Federation) {
    let mut late = sleep_job("late", 0);
    late["spec"]["activeDeadlineSeconds"] = json!(1);
    federation.create(&jobs_path(), &late).await;
    let job = finished(federation, "late").await;
    assert_eq!(condition(&job, "Failed").map(|c| c.0).as_deref(), Some("True"), "{job}");
    let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    assert!(conditions.iter().any(|c| c["reason"] == "DeadlineExceeded"), "{conditions:?}");
}

async fn a_finished_job_goes_after_its_ttl(federation: &Federation) {
    let mut brief = job("brief", "true", 0);
    brief["spec"]["ttlSecondsAfterFinished"] = json!(1);
    federation.create(&jobs_path(), &brief).await;
    until("it goes by itself", || async { federation.get(&job_path("brief")).await.is_none().then_some(()) })
        .await;
}

async fn failures_are_retried_up_to_the_limit(federation: &Federation) {
    let marker = federation.dir.join("tries");
    let script = format!("echo try >> {0}; test $(wc -l < {0}) -ge 2", marker.display());
    let mut flaky = job("flaky", &script, 0);
    flaky["spec"]["backoffLimit"] = json!(2);
    federation.create(&jobs_path(), &flaky).await;
    let job = finished(federation, "flaky").await;
    assert_eq!(
        (job["status"]["succeeded"].as_u64(), job["status"]["failed"].as_u64()),
        (Some(1), Some(1)),
        "{job}"
    );
}

async fn a_template_without_a_command_is_refused_with_a_reason(federation: &Federation) {
    let mut image_only = job("image-only", "true", 0);
    image_only["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .expect("a container")
        .remove("command");
    federation.create(&jobs_path(), &image_only).await;
    let job = finished(federation, "image-only").await;
    let (_, message) = condition(&job, "Failed").expect("it cannot run as a process");
    assert!(message.contains("command"), "{message}");
}

async fn suspends_and_resumes(federation: &Federation) {
    federation.create(&jobs_path(), &sleep_job("held", 1)).await;
    until("it runs", || async {
        let job = federation.get(&job_path("held")).await?;
        (job["status"]["ready"] == 1).then_some(())
    })
    .await;
    let api = federation.api();
    let patch = |suspend: bool| {
        let body = json!({"spec": {"suspend": suspend}}).to_string();
        let api = api.clone();
        async move {
            let body = Some(("application/merge-patch+json", body.into()));
            let reply = api.request_as(Method::PATCH, &job_path("held"), "application/json", body).await;
            assert_eq!(reply.expect("an answer").status, StatusCode::OK);
        }
    };
    patch(true).await;
    until("its pods are gone", || async {
        let job = federation.get(&job_path("held")).await?;
        (condition(&job, "Suspended")?.0 == "True" && job["status"]["active"].as_u64().unwrap_or(0) == 0)
            .then_some(())
    })
    .await;
    patch(false).await;
    until("it runs again", || async {
        let job = federation.get(&job_path("held")).await?;
        (job["status"]["ready"] == 1).then_some(())
    })
    .await;
    let reply = api.request(Method::DELETE, &job_path("held"), None).await.expect("an answer");
    assert_eq!(reply.status, StatusCode::OK);
    until("it is gone", || async { federation.get(&job_path("held")).await.is_none().then_some(()) }).await;
    until("its pods are gone too", || async {
        let pods = federation.get(&format!("{PODS}?labelSelector=job-name%3Dheld")).await?;
        pods["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}

async fn a_plan_is_explained(federation: &Federation) {
    let path = "/apis/muster.sh/v1alpha1/namespaces/default/placementreviews";
    let review = |job: Value| async move {
        let reply = federation.api().request(Method::POST, path, Some(&job)).await.expect("an answer");
        assert!(reply.status.is_success(), "{}", String::from_utf8_lossy(&reply.body));
        reply.json().expect("a plan")["jobs"][0].clone()
    };
    let now = review(job("planned", "true", 8)).await;
    assert_eq!(
        (now["verdict"].as_str(), now["chosen"].as_str()),
        (Some("now"), Some("aws-use1-spot")),
        "{now}"
    );
    let never = review(job("planned", "true", 64)).await;
    assert_eq!(never["verdict"], "never");
    assert!(never["clusters"][0]["rejected"]["reason"].is_string(), "{never}");
    assert!(federation.get(&job_path("planned")).await.is_none(), "a plan is never stored");
}

async fn every_replica_answers(federation: &Federation) {
    for context in ["muster-1", "muster-2", "muster-3"] {
        let api = federation.api_of(Some(context));
        let name = format!("by-{context}");
        let mut suspended = job(&name, "true", 1);
        suspended["spec"]["suspend"] = json!(true);
        let reply = api.request(Method::POST, &jobs_path(), Some(&suspended)).await.expect("an answer");
        assert_eq!(reply.status, StatusCode::CREATED, "{context}");
        let reply = api.request(Method::GET, &job_path(&name), None).await.expect("an answer");
        assert_eq!(reply.status, StatusCode::OK, "{context} reads its own write");
        let reply = api.request(Method::GET, PODS, None).await.expect("an answer");
        assert_eq!(reply.status, StatusCode::OK, "{context} passes pods on to the leader");
    }
}
