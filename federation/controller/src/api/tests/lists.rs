//! Lists, pages, selectors and shapes.

use serde_json::{Value, json};

use super::world::{World, config_map, job};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn pages_show_one_revision() {
    let world = World::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.ask("POST", MAPS, config_map(name, "1")).await;
    }
    let first = world.get(&format!("{MAPS}?limit=2")).await.json();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    let token = |page: &Value| page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    world.ask("DELETE", &format!("{MAPS}/c"), "").await;
    world.ask("POST", MAPS, config_map("bb", "1")).await;
    let second = world.get(&format!("{MAPS}?limit=2&continue={}", token(&first))).await.json();
    assert_eq!(names(&second), ["c", "d"], "as it was");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let last = world.get(&format!("{MAPS}?limit=2&continue={}", token(&second))).await.json();
    assert_eq!((names(&last), token(&last)), (vec!["e".to_owned()], String::new()));
    let elsewhere = world.get(&format!("{JOBS}?continue={}", token(&first))).await;
    assert_eq!(elsewhere.code, 400, "a token opens its own list only");
    assert_eq!(world.get(&format!("{MAPS}?continue=xyz")).await.code, 400);
    for i in 0..9 {
        world.ask("POST", MAPS, config_map(&format!("f{i}"), "1")).await;
        world.get(&format!("{MAPS}?limit=1")).await;
    }
    let gone = world.get(&format!("{MAPS}?limit=2&continue={}", token(&first))).await;
    assert_eq!(
        (gone.code.as_u16(), gone.text("/reason").as_str()),
        (410, "Expired"),
        "only a few states are kept"
    );
}

#[tokio::test]
async fn selectors_choose() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.make_job(name).await;
    }
    for (query, want) in [
        ("labelSelector=app%3Da", vec!["a"]),
        ("labelSelector=app!%3Da", vec!["b", "c"]),
        ("labelSelector=!app", vec![]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db", vec!["a", "c"]),
        ("fieldSelector=metadata.namespace%3Ddefault&limit=1", vec!["a"]),
        ("labelSelector=app%3Da&fieldSelector=metadata.name%3Db", vec![]),
    ] {
        let list = world.get(&format!("{JOBS}?{query}")).await;
        assert_eq!(names(&list.json()), want, "{query}");
    }
    let everywhere = world.get("/apis/batch/v1/jobs?fieldSelector=metadata.name%3Db").await;
    assert_eq!(names(&everywhere.json()), ["b"]);
    assert_eq!(world.get(&format!("{JOBS}?fieldSelector=spec.colour%3Db")).await.code, 400);
    assert_eq!(world.get(&format!("{JOBS}?labelSelector=a%20b")).await.code, 400);
    let events = world.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Da").await;
    assert_eq!(events.json()["items"][0]["reason"], "Suspended", "{events:?}");
}

#[tokio::test]
async fn shapes_of_a_list() {
    let world = World::new().await;
    world.make_job("train").await;
    let table = world.get_as(JOBS, TABLE).await.json();
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "train");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][0]["object"]["metadata"]["labels"]["app"], "train");
    let one = world.get_as(&format!("{JOBS}/train?includeObject=Object"), TABLE).await.json();
    assert_eq!(one["rows"][0]["object"]["kind"], "Job");
    let metadata = world.get_as(JOBS, METADATA).await.json();
    assert_eq!(metadata["kind"], "PartialObjectMetadataList");
    assert_eq!(
        (&metadata["items"][0]["kind"], &metadata["items"][0]["spec"]),
        (&json!("PartialObjectMetadata"), &Value::Null)
    );
    let yaml = world.get_as(&format!("{JOBS}/train"), "application/yaml").await;
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: Job\n"), "{yaml:?}");
    let pretty = world.get(&format!("{JOBS}/train?pretty=true")).await;
    assert!(String::from_utf8_lossy(&pretty.bytes).contains("\n  \"kind\": \"Job\""), "{pretty:?}");
    assert_eq!(world.get_as(JOBS, "application/vnd.kubernetes.protobuf").await.code, 406);
    assert_eq!(world.get_as(JOBS, "application/vnd.kubernetes.protobuf,application/json").await.code, 200);
}

#[tokio::test]
async fn a_long_list_comes_in_pieces_and_whole() {
    let world = World::new().await;
    let jobs: Vec<String> = (0..200).map(|i| format!("job-{i:03}")).collect();
    let made = jobs.iter().map(|name| world.make_job(name));
    assert!(futures::future::join_all(made).await.iter().all(|answer| answer.code == 201));
    let list = world.get(JOBS).await;
    assert!(list.bytes.len() > 128 << 10, "more than a chunk: {}", list.bytes.len());
    assert_eq!(names(&list.json()), jobs);
    let table = world.get_as(JOBS, TABLE).await.json();
    assert_eq!(table["rows"].as_array().map(Vec::len), Some(200));
    let metadata = world.get_as(JOBS, METADATA).await.json();
    assert_eq!(names(&metadata), jobs);
}

#[tokio::test]
async fn revisions_that_are_asked_for() {
    let world = World::new().await;
    let made = world.ask("POST", MAPS, config_map("a", "1")).await;
    let revision: u64 = made.text("/metadata/resourceVersion").parse().unwrap();
    assert_eq!(names(&world.get(&format!("{MAPS}?resourceVersion=0")).await.json()), ["a"]);
    assert_eq!(
        world.get(&format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan")).await.code,
        200
    );
    assert_eq!(
        world.get(&format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await.code,
        200
    );
    world.ask("POST", MAPS, config_map("b", "1")).await;
    let old = world.get(&format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await;
    assert_eq!((old.code.as_u16(), old.text("/reason").as_str()), (410, "Expired"));
    let ahead = world.get(&format!("{MAPS}?resourceVersion={}", revision + 1_000_000)).await;
    assert_eq!((ahead.code.as_u16(), ahead.text("/reason").as_str()), (504, "Timeout"));
    assert_eq!(world.get(&format!("{MAPS}?resourceVersion=x")).await.code, 400);
    assert_eq!(world.get(&format!("{MAPS}?resourceVersionMatch=Exact")).await.code, 422);
}

#[tokio::test]
async fn what_is_served() {
    let world = World::new().await;
    assert_eq!(world.get("/api").await.json()["versions"], json!(["v1"]));
    let groups = world.get("/apis").await.json();
    assert_eq!(groups["kind"], "APIGroupList");
    let batch = world.get("/apis/batch/v1").await.json();
    assert!(
        batch["resources"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "jobs")),
        "{batch}"
    );
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let all = world.get_as("/apis", accept).await;
    assert_eq!(all.json()["kind"], "APIGroupDiscoveryList");
    assert!(all.headers["content-type"].to_str().unwrap().contains("as=APIGroupDiscoveryList"));
    let index = world.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/batch/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = world.get(&url).await;
    assert_eq!(document.json()["openapi"], "3.0.0");
    let etag = document.headers["etag"].clone();
    let again = super::world::admin("GET", &url).header("If-None-Match", etag).body("".into()).unwrap();
    assert_eq!(world.send(again).await.code, 304);
    for (path, code) in [
        ("/apis/apps", 404),
        ("/apis/batch/v2", 404),
        ("/apis/batch/v1/cronjobs", 404),
        ("/nowhere", 404),
        ("/openapi/v3/apis/apps/v1", 404),
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.code.as_u16(), answer.text("/kind").as_str()), (code, "Status"), "{path}");
    }
    assert_eq!(world.ask("POST", &format!("{JOBS}/a"), job("a")).await.code, 405);
    assert_eq!(world.ask("PUT", JOBS, job("a")).await.code, 405);
}
