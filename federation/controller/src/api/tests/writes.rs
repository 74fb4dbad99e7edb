//! Creates, updates, patches and deletes.

use http::header::{CONTENT_TYPE, WARNING};
use serde_json::{Value, json};

use super::world::{Answer, World, admin, config_map, job};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

#[tokio::test]
async fn a_config_map_lives_and_goes() {
    let world = World::new().await;
    let made = world.ask("POST", MAPS, config_map("a", "1")).await;
    assert_eq!((made.code.as_u16(), made.text("/data/key").as_str()), (201, "1"), "{made:?}");
    let revision = made.text("/metadata/resourceVersion");
    assert!(!revision.is_empty() && !made.text("/metadata/uid").is_empty());
    let again = world.ask("POST", MAPS, config_map("a", "1")).await;
    assert_eq!((again.code.as_u16(), again.text("/reason").as_str()), (409, "AlreadyExists"));
    let mut changed = made.json();
    changed["data"]["key"] = json!("2");
    let path = format!("{MAPS}/a");
    let put = world.ask("PUT", &path, changed.to_string()).await;
    assert_eq!((put.code.as_u16(), put.text("/data/key").as_str()), (200, "2"));
    let stale = world.ask("PUT", &path, changed.to_string()).await;
    assert_eq!((stale.code.as_u16(), stale.text("/reason").as_str()), (409, "Conflict"));
    assert!(stale.text("/message").contains("the object has been modified"), "{stale:?}");
    let forced = world.ask("PUT", &path, config_map("a", "3")).await;
    assert_eq!(
        (forced.code.as_u16(), forced.text("/data/key").as_str()),
        (200, "3"),
        "no revision, no condition"
    );
    let gone = world.ask("DELETE", &path, "").await;
    assert_eq!((gone.code.as_u16(), gone.text("/status").as_str()), (200, "Success"));
    assert_eq!(gone.text("/details/uid"), made.text("/metadata/uid"));
    assert_eq!(world.get(&path).await.code, 404);
    assert_eq!(world.ask("DELETE", &path, "").await.text("/message"), "configmaps \"a\" not found");
    assert_eq!(world.ask("PUT", &path, config_map("a", "3")).await.code, 404, "an update makes nothing");
}

#[tokio::test]
async fn a_job_is_completed_and_kept() {
    let world = World::new().await;
    let made = world.make_job("train").await;
    assert_eq!(made.code, 201, "{made:?}");
    let uid = made.text("/metadata/uid");
    assert_eq!(made.text("/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid"), uid);
    assert_eq!(made.json()["spec"]["backoffLimit"], 6);
    let got = world.get(&format!("{JOBS}/train")).await;
    assert_eq!(got.json()["spec"], made.json()["spec"]);
    let status = world.get(&format!("{JOBS}/train/status")).await;
    assert_eq!((status.code.as_u16(), status.text("/metadata/uid")), (200, uid));
    let refused = world.ask("PUT", &format!("{JOBS}/train/status"), made.bytes.clone()).await;
    assert_eq!(refused.code, 405, "{refused:?}");
    let resumed = world.patch(&format!("{JOBS}/train"), STRATEGIC, r#"{"spec":{"suspend":false}}"#).await;
    assert_eq!(
        (resumed.code.as_u16(), &resumed.json()["spec"]["suspend"]),
        (200, &json!(false)),
        "{resumed:?}"
    );
    assert_eq!(resumed.json()["metadata"]["generation"], 2);
    let fixed = world
        .patch(
            &format!("{JOBS}/train"),
            MERGE,
            r#"{"spec":{"template":{"spec":{"restartPolicy":"OnFailure"}}}}"#,
        )
        .await;
    assert_eq!((fixed.code.as_u16(), fixed.text("/reason").as_str()), (422, "Invalid"), "{fixed:?}");
}

#[tokio::test]
async fn patches_of_each_kind() {
    let world = World::new().await;
    world.ask("POST", MAPS, config_map("a", "1")).await;
    let path = format!("{MAPS}/a");
    let merged = world.patch(&path, MERGE, r#"{"data":{"key":null,"b":"2"}}"#).await;
    assert_eq!(merged.json()["data"], json!({"b": "2"}), "{merged:?}");
    let patched = world
        .patch(
            &path,
            JSON_PATCH,
            r#"[{"op":"test","path":"/data/b","value":"2"},{"op":"add","path":"/data/c","value":"3"}]"#,
        )
        .await;
    assert_eq!(patched.json()["data"], json!({"b": "2", "c": "3"}));
    let failed = world.patch(&path, JSON_PATCH, r#"[{"op":"test","path":"/data/b","value":"9"}]"#).await;
    assert_eq!(failed.code, 422, "{failed:?}");
    let same = world.patch(&path, MERGE, "{}").await;
    assert_eq!(
        same.text("/metadata/resourceVersion"),
        patched.text("/metadata/resourceVersion"),
        "nothing changed"
    );
    let conflict =
        world.patch(&path, MERGE, r#"{"metadata":{"resourceVersion":"1"},"data":{"z":"1"}}"#).await;
    assert_eq!((conflict.code.as_u16(), conflict.text("/reason").as_str()), (409, "Conflict"));
    let renamed = world.patch(&path, MERGE, r#"{"metadata":{"name":"b"}}"#).await;
    assert_eq!(renamed.code, 400);
    assert_eq!(world.patch(&path, "text/plain", "{}").await.code, 415);
    let apply =
        world.patch(&format!("{path}?fieldManager=kubectl"), "application/apply-patch+yaml", "{}").await;
    assert_eq!(apply.code, 415);
    assert!(apply.text("/message").contains("without --server-side"), "{apply:?}");
    let own = "/apis/muster.sh/v1alpha1/clusters/x";
    assert_eq!(world.patch(own, STRATEGIC, "{}").await.code, 415);
    assert_eq!(world.patch(&format!("{MAPS}/none"), MERGE, "{}").await.code, 404);
}

#[tokio::test]
async fn many_patches_at_once_are_all_kept() {
    let world = World::new().await;
    world.ask("POST", MAPS, config_map("a", "1")).await;
    let path = format!("{MAPS}/a");
    let bodies: Vec<String> = (0..4).map(|i| format!(r#"{{"data":{{"k{i}":"v"}}}}"#)).collect();
    let patches = bodies.iter().map(|body| world.patch(&path, MERGE, body));
    for answer in futures::future::join_all(patches).await {
        assert_eq!(answer.code, 200, "{answer:?}");
    }
    assert_eq!(world.get(&path).await.json()["data"].as_object().map(serde_json::Map::len), Some(5));
}

#[tokio::test]
async fn generated_names_and_repeated_creates() {
    let world = World::new().await;
    let body = r#"{"metadata":{"generateName":"run-"},"data":{}}"#;
    let (one, two) = (world.ask("POST", MAPS, body).await, world.ask("POST", MAPS, body).await);
    assert_eq!((one.code.as_u16(), two.code.as_u16()), (201, 201), "{one:?}");
    assert!(one.text("/metadata/name").starts_with("run-") && one.text("/metadata/name").len() == 9);
    assert_ne!(one.text("/metadata/name"), two.text("/metadata/name"));
    let keyed = |key: &str| admin("POST", MAPS).header("Idempotency-Key", key).body(body.into()).unwrap();
    let (first, second) = (world.send(keyed("k1")).await, world.send(keyed("k1")).await);
    assert_eq!((first.code.as_u16(), second.code.as_u16()), (201, 201), "{second:?}");
    assert_eq!(first.text("/metadata/uid"), second.text("/metadata/uid"), "one key, one object");
    assert_ne!(world.send(keyed("k2")).await.text("/metadata/uid"), first.text("/metadata/uid"));
    let neither = world.ask("POST", MAPS, r#"{"metadata":{},"data":{}}"#).await;
    assert_eq!(neither.code, 422, "{neither:?}");
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    let made = world.ask("POST", &format!("{MAPS}?dryRun=All"), config_map("a", "1")).await;
    assert_eq!((made.code.as_u16(), made.text("/data/key").as_str()), (201, "1"), "{made:?}");
    assert_eq!(world.get(&format!("{MAPS}/a")).await.code, 404);
    let real = world.ask("POST", MAPS, config_map("a", "1")).await;
    let path = format!("{MAPS}/a?dryRun=All");
    let patched = world.patch(&path, MERGE, r#"{"data":{"key":"2"}}"#).await;
    assert_eq!(
        (patched.text("/data/key").as_str(), patched.text("/metadata/resourceVersion")),
        ("2", real.text("/metadata/resourceVersion"))
    );
    assert_eq!(world.ask("DELETE", &path, "").await.code, 200);
    assert_eq!(world.get(&format!("{MAPS}/a")).await.text("/data/key"), "1");
    assert_eq!(world.ask("POST", &format!("{MAPS}?dryRun=Some"), config_map("b", "1")).await.code, 422);
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_ignored() {
    let world = World::new().await;
    let mut body: Value = serde_json::from_str(&job("a")).unwrap();
    body["spec"]["colour"] = json!("blue");
    let ask = |mode: &str| format!("{JOBS}?dryRun=All&fieldValidation={mode}");
    let strict = world.ask("POST", &ask("Strict"), body.to_string()).await;
    assert_eq!(strict.code, 400);
    assert!(strict.text("/message").contains("unknown field \"spec.colour\""), "{strict:?}");
    let tells = |answer: &Answer| {
        let mut warnings = answer.headers.get_all(WARNING).iter().filter_map(|value| value.to_str().ok());
        warnings.any(|warning| warning.contains("spec.colour"))
    };
    let warned = world.ask("POST", &ask("Warn"), body.to_string()).await;
    assert_eq!((warned.code.as_u16(), tells(&warned)), (201, true), "{warned:?}");
    let ignored = world.ask("POST", &ask("Ignore"), body.to_string()).await;
    assert_eq!((ignored.code.as_u16(), tells(&ignored)), (201, false), "{ignored:?}");
    assert_eq!(ignored.json()["spec"]["colour"], "blue", "kept");
}

#[tokio::test]
async fn deletion_waits_for_finalizers() {
    let world = World::new().await;
    let body = r#"{"metadata":{"name":"a","finalizers":["example.com/hold"]},"data":{"k":"v"}}"#;
    world.ask("POST", MAPS, body).await;
    let path = format!("{MAPS}/a");
    let wrong = world
        .ask("DELETE", &path, r#"{"preconditions":{"uid":"00000000-0000-4000-8000-000000000000"}}"#)
        .await;
    assert_eq!((wrong.code.as_u16(), wrong.text("/reason").as_str()), (409, "Conflict"), "{wrong:?}");
    let held = world.ask("DELETE", &path, "").await;
    assert_eq!(held.code, 200);
    assert!(!held.text("/metadata/deletionTimestamp").is_empty(), "{held:?}");
    let freed = world.patch(&path, MERGE, r#"{"metadata":{"finalizers":null}}"#).await;
    assert_eq!(freed.code, 200, "{freed:?}");
    assert_eq!(world.get(&path).await.code, 404);
}

#[tokio::test]
async fn namespaces_hold_what_is_in_them() {
    let world = World::new().await;
    assert_eq!(world.ask("DELETE", "/api/v1/namespaces/default", "").await.code, 403);
    let missing = world.ask("POST", "/api/v1/namespaces/none/configmaps", config_map("a", "1")).await;
    assert_eq!(
        (missing.code.as_u16(), missing.text("/message").as_str()),
        (404, "namespaces \"none\" not found")
    );
    let made = world.ask("POST", "/api/v1/namespaces", r#"{"metadata":{"name":"team"}}"#).await;
    assert_eq!((made.code.as_u16(), made.text("/status/phase").as_str()), (201, "Active"), "{made:?}");
    let other = world
        .ask(
            "POST",
            "/api/v1/namespaces/team/configmaps",
            r#"{"metadata":{"name":"a","namespace":"default"}}"#,
        )
        .await;
    assert_eq!(other.code, 400, "{other:?}");
    let inside = world.ask("POST", "/api/v1/namespaces/team/configmaps", config_map("a", "1")).await;
    assert_eq!((inside.code.as_u16(), inside.text("/metadata/namespace").as_str()), (201, "team"));
}

#[tokio::test]
async fn a_collection_is_deleted_by_labels() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        assert_eq!(world.make_job(name).await.code, 201);
    }
    let deleted = world.ask("DELETE", &format!("{JOBS}?labelSelector=app%20in%20(a,c)"), "").await;
    assert_eq!(deleted.json()["items"].as_array().map(Vec::len), Some(2), "{deleted:?}");
    let left = world.get(JOBS).await.json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
}

#[tokio::test]
async fn what_kubectl_apply_does() {
    let world = World::new().await;
    let mut manifest: Value = serde_json::from_str(&job("train")).unwrap();
    let path = format!("{JOBS}/train?fieldManager=kubectl-client-side-apply&fieldValidation=Strict");
    assert_eq!(world.get(&format!("{JOBS}/train")).await.code, 404);
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    manifest["metadata"]["annotations"] = json!({last: job("train") + "\n"});
    let collection = format!("{JOBS}?fieldManager=kubectl-client-side-apply&fieldValidation=Strict");
    let request =
        admin("POST", &collection).header(CONTENT_TYPE, "application/json").body(manifest.to_string().into());
    let made = world.send(request.unwrap()).await;
    assert_eq!(made.code, 201, "{made:?}");
    assert_eq!(made.json()["metadata"]["annotations"][last], json!(job("train") + "\n"), "byte for byte");
    let again = world
        .patch(&path, STRATEGIC, r#"{"metadata":{"labels":{"team":"x"}},"spec":{"parallelism":2}}"#)
        .await;
    assert_eq!((again.code.as_u16(), again.text("/metadata/labels/team").as_str()), (200, "x"), "{again:?}");
    assert_eq!(again.text("/metadata/labels/app"), "train", "labels are merged");
}
