//! A watch goes on through another replica from where it broke off: every change once, in order, though leaders die.

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use muster_e2e::local::{Federation, Options, until};
use muster_e2e::tools::{self, Tool};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::run::Kubectl;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Writes between two kills.
const WRITES: usize = 15;
const KILLS: usize = 2;

/// What one watcher saw, as `TYPE NAME`.
type Seen = Arc<Mutex<Vec<String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_after_the_leader_died() {
    let federation = Federation::start(&Options::default());
    let list = federation.get(CONFIG_MAPS).await.expect("a list");
    let from = revision_of(&list);
    // Kills happen under watches of the leader and under those of followers.
    let watchers: Vec<(Seen, _)> = (0..3).map(|first| watch(&federation, first, from)).collect();
    let mut wanted = Vec::new();
    for round in 0..=KILLS {
        for i in 0..WRITES {
            wanted.extend(write(&federation, &format!("w-{round}-{i}")).await);
        }
        if round < KILLS {
            let leader = federation.leader().await;
            assert!(federation.signal(&leader, Signal::SIGKILL));
        }
    }
    for (seen, task) in watchers {
        until("the last change", || async {
            (seen.lock().expect("no panic").len() >= wanted.len()).then_some(())
        })
        .await;
        task.abort();
        assert_eq!(*seen.lock().expect("no panic"), wanted);
    }
}

/// Creates, changes and deletes one; gives the events of that. A try whose answer was lost may have been done.
async fn write(federation: &Federation, name: &str) -> [String; 3] {
    let path = format!("{CONFIG_MAPS}/{name}");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let change =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}});
    for (method, path, body, done) in [
        (Method::POST, CONFIG_MAPS, Some(&map), [StatusCode::CREATED, StatusCode::CONFLICT]),
        (Method::PUT, path.as_str(), Some(&change), [StatusCode::OK, StatusCode::OK]),
        (Method::DELETE, path.as_str(), None, [StatusCode::OK, StatusCode::NOT_FOUND]),
    ] {
        until(&format!("{method} {name}"), || async {
            let reply = federation.api().request(method.clone(), path, body).await.ok()?;
            done.contains(&reply.status).then_some(())
        })
        .await;
    }
    ["ADDED", "MODIFIED", "DELETED"].map(|event| format!("{event} {name}"))
}

/// Watches, at the replica of this number first, and at the next one when that breaks off.
fn watch(federation: &Federation, first: usize, from: u64) -> (Seen, tokio::task::JoinHandle<()>) {
    let seen = Seen::default();
    let apis = ["muster-1", "muster-2", "muster-3"].map(|context| federation.api_of(Some(context)));
    let kept = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let mut revision = from;
        for turn in first.. {
            let api = &apis[turn % apis.len()];
            let path =
                format!("{CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion={revision}");
            let Ok(response) = api.send(Method::GET, &path, "application/json", None).await else { continue };
            if response.status() != StatusCode::OK {
                continue;
            }
            let mut events = Lines::of(response.into_body());
            while let Some(event) = events.next().await {
                assert_ne!(event["type"], "ERROR", "{event}");
                let next = revision_of(&event["object"]);
                assert!(next > revision, "{next} after {revision}");
                revision = next;
                if event["type"] != "BOOKMARK" {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let line =
                        format!("{} {}", text(&event["type"]), text(&event["object"]["metadata"]["name"]));
                    kept.lock().expect("no panic").push(line);
                }
            }
        }
    });
    (seen, task)
}

fn revision_of(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no revision: {object}"))
}

/// The events of one response.
struct Lines {
    body: hyper::body::Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    fn of(body: hyper::body::Incoming) -> Lines {
        Lines { body, buffer: Vec::new() }
    }

    /// The next event; `None` when the connection broke, with whatever came of an event thrown away.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            let frame = self.body.frame().await?.ok()?;
            self.buffer.extend_from_slice(frame.data_ref()?);
        }
    }
}

/// kubectl's own watch ends when its connection does; one that it opens then goes on.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_watches_through_any_replica() {
    let Some([exe]) = tools::or_skip([Tool::Kubectl134]) else { return };
    let federation = Federation::start(&Options::default());
    let kubectl = Kubectl::new(exe, &federation, "default");
    let leader = federation.leader().await;
    let mut of_leader = None;
    for (context, controller) in [1, 2, 3].map(|i| (format!("muster-{i}"), format!("controller-{i}"))) {
        let mut watch = kubectl.start(&format!("--context {context} get namespaces -w -o name"));
        watch.line_with("namespace/default").await;
        kubectl.ok(&format!("create namespace by-{context}")).await;
        watch.line_with(&format!("namespace/by-{context}")).await;
        if controller == leader {
            of_leader = Some(watch);
        }
    }
    assert!(federation.signal(&leader, Signal::SIGKILL));
    of_leader.expect("one of the three leads").end().await;
    until("another leader", || async {
        let said = kubectl.run(&["get", "namespaces", "-o", "name"], "").await;
        said.out.contains("namespace/by-muster-3").then_some(())
    })
    .await;
}
