//! Bad bodies and limits: each a clear refusal, nothing half stored.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;

use super::world::{World, admin, config_map};
use crate::api::limits::Limits;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let world = World::new().await;
    let deep = "[".repeat(100_000);
    let deep_map = r#"{"metadata":{"name":"a"},"data":"#.to_owned() + &r#"{"a":"#.repeat(100_000);
    let deep_yaml = "- ".repeat(100_000);
    for (content_type, body, code, says) in [
        ("application/json", "", 400, "EOF"),
        ("application/json", "{", 400, "EOF"),
        ("application/json", r#"{"metadata":{"name":"a"},"data":{"k":"#, 400, "EOF"),
        ("application/json", "{} {}", 400, "trailing"),
        ("application/json", "[]", 400, "object"),
        ("application/json", "null", 400, "object"),
        ("application/json", "\u{feff}{}", 400, "expected value"),
        ("application/json", r#"{"metadata":[]}"#, 400, ""),
        ("application/json", r#"{"metadata":{"name":7}}"#, 400, ""),
        ("application/json", r#"{"metadata":{"name":"a"},"data":{"k":7}}"#, 400, ""),
        ("application/json", r#"{"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"a"}}"#, 400, "Job"),
        ("application/json", r#"{"apiVersion":"v2","metadata":{"name":"a"}}"#, 400, "v2"),
        ("application/json", r#"{"metadata":{"name":"A_B"}}"#, 422, "RFC 1123"),
        ("application/json", r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#, 400, "resourceVersion"),
        ("application/json", &deep, 400, "recursion limit"),
        ("application/json", &deep_map, 400, "recursion limit"),
        ("application/yaml", &deep_yaml, 400, ""),
        ("application/yaml", "a: [", 400, "yaml"),
        ("text/plain", "{}", 415, "media types"),
    ] {
        let request =
            admin("POST", MAPS).header(CONTENT_TYPE, content_type).body(body.to_owned().into()).unwrap();
        let answer = world.send(request).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer.code.as_u16(), code, "{shown}: {answer:?}");
        assert_eq!(answer.text("/kind"), "Status", "{shown}");
        assert!(answer.text("/message").contains(says), "{shown}: {answer:?}");
    }
    let strict = world
        .ask(
            "POST",
            &format!("{MAPS}?fieldValidation=Strict"),
            r#"{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}"#,
        )
        .await;
    assert_eq!(strict.code, 400);
    assert!(strict.text("/message").contains("duplicate field \"data.k\""), "{strict:?}");
    assert_eq!(world.get(MAPS).await.json()["items"], serde_json::json!([]), "nothing was stored");
}

#[tokio::test]
async fn a_job_that_is_wrong_says_where() {
    let world = World::new().await;
    let answer = world.ask("POST", JOBS, r#"{"metadata":{"name":"a"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[]}}}}"#).await;
    assert_eq!((answer.code.as_u16(), answer.text("/reason").as_str()), (422, "Invalid"), "{answer:?}");
    let fields: Vec<Value> = answer.json()["details"]["causes"].as_array().cloned().unwrap_or_default();
    assert!(fields.iter().any(|cause| cause["field"] == "spec.template.spec.containers"), "{fields:?}");
    let wrong = world.ask("POST", JOBS, r#"{"metadata":{"name":"a"},"spec":{"parallelism":"two"}}"#).await;
    assert_eq!(wrong.code, 400, "{wrong:?}");
}

#[tokio::test]
async fn large_bodies_and_objects_are_refused() {
    let world = World::new().await;
    let large = config_map("a", &"x".repeat(4 << 20));
    let answer = world.ask("POST", MAPS, large.clone()).await;
    assert_eq!(
        (answer.code.as_u16(), answer.text("/reason").as_str()),
        (413, "RequestEntityTooLarge"),
        "{answer:?}"
    );
    // The same without a length in its head.
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(large))]);
    let answer = world.send(admin("POST", MAPS).body(Body::from_stream(chunks)).unwrap()).await;
    assert_eq!(answer.code, 413, "{answer:?}");
    let mut job: Value = serde_json::from_str(&super::world::job("a")).unwrap();
    job["spec"]["template"]["spec"]["containers"][0]["args"] = serde_json::json!(["x".repeat(2 << 20)]);
    let answer = world.ask("POST", JOBS, job.to_string()).await;
    assert_eq!(answer.code, 413, "{answer:?}");
    assert!(answer.text("/message").contains("at most 1572864"), "{answer:?}");
    job["spec"]["template"]["spec"]["containers"][0]["args"] =
        serde_json::json!(["x".repeat((3 << 19) - 4096)]);
    let answer = world.ask("POST", JOBS, job.to_string()).await;
    assert_eq!(answer.code, 201, "just below the limit is stored: {}", answer.text("/message"));
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let world = World::new().await;
    let half = Bytes::from(config_map("a", "1")[..20].to_owned());
    let chunks = futures::stream::iter([Ok(half), Err(std::io::Error::other("the client vanished"))]);
    let answer = world.send(admin("POST", MAPS).body(Body::from_stream(chunks)).unwrap()).await;
    assert_eq!(answer.code, 400, "{answer:?}");
    assert_eq!(world.get(MAPS).await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn beyond_its_bounds_it_says_so() {
    let world = World::within(Limits { streams_max: 1, ..Limits::default() }).await;
    let watch = world.watch(&format!("{MAPS}?watch=1")).await;
    let busy = world.get(&format!("{MAPS}?watch=1")).await;
    assert_eq!((busy.code.as_u16(), busy.text("/reason").as_str()), (429, "TooManyRequests"));
    assert_eq!(busy.headers.get(RETRY_AFTER).map(|value| value.as_bytes()), Some(b"1".as_slice()));
    assert_eq!(world.get(MAPS).await.code, 200, "requests have places of their own");
    drop(watch);
    let mut again = world.watch(&format!("{MAPS}?watch=1")).await;
    world.ask("POST", MAPS, config_map("a", "1")).await;
    assert_eq!(again.next_short().await, "ADDED a");
    let closed = World::within(Limits { requests_max: 0, ..Limits::default() }).await;
    assert_eq!(closed.get(MAPS).await.code, 429);
    assert_eq!(closed.get("/livez").await.code, 200);
}
