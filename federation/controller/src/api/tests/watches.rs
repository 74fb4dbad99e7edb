//! Watches.

use serde_json::json;

use super::world::{World, config_map};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const MERGE: &str = "application/merge-patch+json";

#[tokio::test]
async fn what_there_is_then_what_changes() {
    let world = World::new().await;
    world.ask("POST", MAPS, config_map("a", "1")).await;
    let mut watch = world.watch(&format!("{MAPS}?watch=true")).await;
    assert_eq!(watch.next_short().await, "ADDED a");
    world.ask("POST", MAPS, config_map("b", "1")).await;
    assert_eq!(watch.next_short().await, "ADDED b");
    world.patch(&format!("{MAPS}/a"), MERGE, r#"{"data":{"key":"2"}}"#).await;
    assert_eq!(watch.next_short().await, "MODIFIED a");
    let last = world.ask("POST", "/api/v1/namespaces", r#"{"metadata":{"name":"x"}}"#).await;
    world.ask("DELETE", &format!("{MAPS}/a"), "").await;
    let gone = watch.next().await.unwrap();
    assert_eq!(
        (&gone["type"], &gone["object"]["data"]["key"]),
        (&json!("DELETED"), &json!("2")),
        "as it last was"
    );
    let number = |text: &serde_json::Value| text.as_str().unwrap().parse::<u64>().unwrap();
    assert!(
        number(&gone["object"]["metadata"]["resourceVersion"])
            > number(&last.json()["metadata"]["resourceVersion"])
    );
}

#[tokio::test]
async fn a_watch_resumes_behind_a_revision() {
    let world = World::new().await;
    let first = world.ask("POST", MAPS, config_map("a", "1")).await.text("/metadata/resourceVersion");
    world.ask("POST", MAPS, config_map("b", "1")).await;
    let mut watch = world.watch(&format!("{MAPS}?watch=true&resourceVersion={first}")).await;
    assert_eq!(watch.next_short().await, "ADDED b");
    world.ask("DELETE", &format!("{MAPS}/b"), "").await;
    assert_eq!(watch.next_short().await, "DELETED b");
    let ahead = world.get(&format!("{MAPS}?watch=true&resourceVersion=99999999")).await;
    assert_eq!(ahead.code, 504);
}

#[tokio::test]
async fn selectors_see_objects_come_and_leave() {
    let world = World::new().await;
    world.make_job("a").await;
    let mut watch = world.watch(&format!("{JOBS}?watch=true&labelSelector=app%3Da")).await;
    assert_eq!(watch.next_short().await, "ADDED a");
    world.make_job("b").await;
    world.patch(&format!("{JOBS}/a"), MERGE, r#"{"metadata":{"labels":{"app":"z"}}}"#).await;
    assert_eq!(watch.next_short().await, "DELETED a");
    world.patch(&format!("{JOBS}/b"), MERGE, r#"{"metadata":{"labels":{"app":"a"}}}"#).await;
    assert_eq!(watch.next_short().await, "ADDED b");
    let mut named = world.watch(&format!("{JOBS}?watch=true&fieldSelector=metadata.name%3Db")).await;
    assert_eq!(named.next_short().await, "ADDED b");
}

#[tokio::test]
async fn a_streaming_list_ends_in_a_bookmark() {
    let world = World::new().await;
    world.ask("POST", MAPS, config_map("a", "1")).await;
    let query =
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = world.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.next_short().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let none = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut watch = world.watch(&format!("{MAPS}?{none}")).await;
    world.ask("POST", MAPS, config_map("b", "1")).await;
    assert_eq!(watch.next_short().await, "ADDED b", "a was there before");
    let wrong = world.get(&format!("{MAPS}?watch=true&sendInitialEvents=true")).await;
    assert_eq!(wrong.code, 422);
}

#[tokio::test]
async fn a_watch_ends_by_its_time() {
    let world = World::new().await;
    let mut watch = world.watch(&format!("{MAPS}?watch=true&timeoutSeconds=1")).await;
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_ends_with_its_replica() {
    let world = World::new().await;
    let mut watch = world.watch(&format!("{MAPS}?watch=true")).await;
    world.hub.consensus().shutdown();
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_table_has_its_columns_once() {
    let world = World::new().await;
    world.make_job("a").await;
    let request = super::world::admin("GET", &format!("{JOBS}?watch=true&timeoutSeconds=1"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    world.make_job("b").await;
    let answer = world.send(request.body("".into()).unwrap()).await;
    let lines = answer.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Vec<serde_json::Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["object"]["kind"], "Table");
    assert!(!events[0]["object"]["columnDefinitions"].as_array().unwrap().is_empty());
    assert_eq!(events[1]["object"]["columnDefinitions"].as_array().map(Vec::len), Some(0));
    assert_eq!(events[1]["object"]["rows"][0]["cells"][0], "b");
}

/// One that does not read loses its place, and is told; it holds nothing meanwhile.
#[tokio::test]
async fn who_does_not_read_is_told_that_it_is_too_late() {
    let world = World::new().await;
    let first = world.ask("POST", MAPS, config_map("a", "0")).await.text("/metadata/resourceVersion");
    let mut watch = world.watch(&format!("{MAPS}?watch=true&resourceVersion={first}")).await;
    for round in 0..90 {
        let names = (0..100).map(|i| format!("r{round}-{i}"));
        let bodies: Vec<String> = names.map(|name| config_map(&name, "1")).collect();
        let made = bodies.iter().map(|body| world.ask("POST", MAPS, body.clone()));
        assert!(futures::future::join_all(made).await.iter().all(|answer| answer.code == 201));
    }
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)), "{event}");
    assert_eq!(watch.next().await, None);
}
