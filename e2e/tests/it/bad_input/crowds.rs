//! Many at once: watches, and requests past what may be in flight.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use http::header::RETRY_AFTER;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use muster_e2e::local::{Federation, until};
use serde_json::{Value, json};

use super::h2::{Door, Later};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Watches on each of two replicas.
const WATCHES: usize = 1_000;
/// What a replica must take before it says 429.
const IN_FLIGHT_MIN: usize = 1_024;
/// How many are sent: more than it takes.
const SENT: usize = 2_600;
/// How many are seen being turned away before the others go on.
const TURNED_AWAY: usize = 64;

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

pub async fn two_thousand_watches(federation: &Federation) {
    let now = federation.get(CONFIG_MAPS).await.expect("a list");
    let from = now["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned();
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
    let mut watches = Vec::new();
    for context in ["muster-1", "muster-2"] {
        let line = Door::of(federation, context).h2().await;
        for _ in 0..WATCHES {
            let response = line.clone().send("GET", &path, Later::never()).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::OK);
            watches.push(response.into_body());
        }
    }
    federation.create(CONFIG_MAPS, &config_map("seen-by-all")).await;
    let seen = watches.into_iter().map(|mut watch| async move {
        let frame = watch.frame().await.expect("an event").expect("a frame").into_data().expect("data");
        let event: Value = serde_json::from_slice(&frame).expect("one event");
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["name"]),
            (&json!("ADDED"), &json!("seen-by-all"))
        );
    });
    let seen: FuturesUnordered<_> = seen.collect();
    assert_eq!(seen.count().await, 2 * WATCHES);
}

/// Requests that wait for the rest of their bodies fill the replica; more are turned away, and of those taken none is lost.
pub async fn more_than_may_be_in_flight(federation: &Federation) {
    let door = Door::of(federation, "muster-1");
    let lines = [door.h2().await, door.h2().await, door.h2().await];
    let (mut hands, mut answers) = (Vec::new(), FuturesUnordered::new());
    for index in 0..SENT {
        let (hand, body) = Later::new();
        hands.push(Some(hand));
        let mut line = lines[index % lines.len()].clone();
        answers.push(async move { (index, line.send("POST", CONFIG_MAPS, body).await.expect("an answer")) });
    }
    for _ in 0..TURNED_AWAY {
        // Those that are taken do not answer yet.
        let answer = tokio::time::timeout(Duration::from_secs(30), answers.next()).await;
        let (index, response) = answer.expect("it says 429 in time").expect("more were sent");
        is_turned_away(response).await;
        hands[index] = None;
    }
    let taken = hands.iter().flatten().count();
    assert!(taken >= IN_FLIGHT_MIN, "{taken} were taken");
    other_replicas_answer(federation).await;
    for (index, hand) in hands.iter_mut().enumerate() {
        if let Some(hand) = hand.take() {
            // One that was turned away in the meantime has let go of its body.
            let _ = hand.send(config_map(&format!("crowd-{index}")).to_string().into());
        }
    }
    let (mut created, mut late) = (0, 0);
    while let Some((_, response)) = answers.next().await {
        match response.status() {
            StatusCode::CREATED => created += 1,
            // Some had not arrived when the last was turned away.
            StatusCode::TOO_MANY_REQUESTS => late += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(created + late, taken);
    assert!(created >= IN_FLIGHT_MIN, "{created} were created");
    let stored = until("a list", || async { federation.get(CONFIG_MAPS).await }).await;
    let stored = stored["items"].as_array().expect("items").iter();
    let stored = stored
        .filter(|item| item["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("crowd-")));
    assert_eq!(stored.count(), created, "what was acknowledged is there, and nothing else");
}

async fn is_turned_away(response: Response<Incoming>) {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key(RETRY_AFTER), "it says when to try again");
    let body = response.into_body().collect().await.expect("a Status").to_bytes();
    let status: Value = serde_json::from_slice(&body).expect("a Status");
    assert_eq!(status["reason"], "TooManyRequests");
}

async fn other_replicas_answer(federation: &Federation) {
    let reply =
        federation.api_of(Some("muster-2")).request(Method::GET, CONFIG_MAPS, None).await.expect("an answer");
    assert_eq!(reply.status, StatusCode::OK);
    // Whether it lives is nobody's turn to wait for.
    let full = federation.api_of(Some("muster-1"));
    assert_eq!(full.request(Method::GET, "/livez", None).await.expect("an answer").status, StatusCode::OK);
}
