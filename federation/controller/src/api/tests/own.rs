//! Our own endpoints.

use muster_model::{Key, kinds};

use super::world::{World, job};
use crate::agents::token_hash;

#[tokio::test]
async fn how_the_replicas_stand() {
    let world = World::new().await;
    let answer = world.get("/muster/v1/replicas").await;
    let value = answer.json();
    assert_eq!(value["leader"], "controller-1", "{answer:?}");
    let replica = &value["replicas"][0];
    assert_eq!((&replica["name"], &replica["role"]), (&value["leader"], &serde_json::json!("leader")));
    assert!(
        replica["applied"].as_u64().is_some_and(|applied| applied > 0) && value["term"].as_u64().is_some()
    );
    assert_eq!(replica["digest"].as_str().map(str::len), Some(32));
    assert_eq!(world.ask("POST", "/muster/v1/replicas", "").await.code, 405);
}

#[tokio::test]
async fn a_join_token_is_stored_as_its_hash() {
    let world = World::new().await;
    let made = world.ask("POST", "/muster/v1/jointokens", r#"{"name":"onprem-a","ttlSeconds":60}"#).await;
    assert_eq!(made.code, 201, "{made:?}");
    assert!(made.text("/caPin").starts_with("sha256:"));
    assert_eq!(made.text("/url"), "https://127.0.0.1:1", "the agents port");
    let hash = token_hash(&made.text("/token"));
    assert!(world.hub.stale().get(&Key::new(kinds::JOIN_TOKEN, "", &format!("{:032x}", hash.0))).is_some());
    for body in [r#"{"name":"A B"}"#, r#"{"name":"a","ttlSeconds":0}"#, r#"{"name":"a","extra":1}"#, "[]", ""]
    {
        assert_eq!(world.ask("POST", "/muster/v1/jointokens", body).await.code, 400, "{body}");
    }
    let none = world.ask("POST", "/muster/v1/clusters/none/revoke", "").await;
    assert_eq!((none.code.as_u16(), none.text("/reason").as_str()), (404, "NotFound"), "{none:?}");
    assert_eq!(world.ask("POST", "/muster/v1/clusters/none/declare-lost", "").await.code, 404);
    assert_eq!(world.ask("POST", "/muster/v1/credentials", r#"{"user":""}"#).await.code, 400);
}

#[tokio::test]
async fn a_plan_stores_nothing_and_explains() {
    let world = World::new().await;
    let path = "/apis/muster.sh/v1alpha1/namespaces/default/placementreviews";
    let review = world.ask("POST", path, job("a")).await;
    let value = review.json();
    assert_eq!(
        (&value["jobs"][0]["job"], &value["jobs"][0]["verdict"]),
        (&"default/a".into(), &"wait".into()),
        "{review:?}"
    );
    assert_eq!(world.get("/apis/batch/v1/namespaces/default/jobs/a").await.code, 404);
    let list = format!(r#"{{"kind":"List","items":[{},{{"kind":"ConfigMap"}}]}}"#, job("b"));
    let review = world.ask("POST", path, list).await;
    assert_eq!(review.json()["jobs"].as_array().map(Vec::len), Some(1));
    assert!(review.headers.contains_key("warning"), "the ConfigMap was left out");
    for body in ["{}", r#"{"kind":"List","items":[]}"#, r#"{"kind":"Job","spec":{}}"#] {
        assert!(world.ask("POST", path, body).await.code.is_client_error(), "{body}");
    }
    let mut queued: serde_json::Value = serde_json::from_str(&job("c")).unwrap();
    queued["spec"]["suspend"] = false.into();
    world.ask("POST", "/apis/batch/v1/namespaces/default/jobs", queued.to_string()).await;
    let why = world.get("/muster/v1/namespaces/default/jobs/c/why").await;
    assert_eq!((why.text("/job").as_str(), why.text("/phase").as_str()), ("default/c", "Queued"), "{why:?}");
    assert!(why.text("/summary").contains("no cluster has joined"), "{why:?}");
    assert!(why.text("/smallestFix").contains("muster cluster join"), "{why:?}");
    assert_eq!(world.get("/muster/v1/namespaces/default/jobs/none/why").await.code, 404);
}
