//! A hub of one replica behind the router, and how the tests speak to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use muster_consensus::log_store::{SegmentLogStore, SegmentOptions};
use muster_consensus::{
    ClusterId, Driver, DriverConfig, Identity, Membership, ReplicaId, Runtime, RuntimeConfig,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::agents::{Execs, Mirrors, Sessions, Streams};
use crate::api::limits::Limits;
use crate::api::{ApiState, Denials, router_within};
use crate::authorities::AuthoritySet;
use crate::certificates::{Certificates, addresses};
use crate::config::{ControllerConfig, ReplicaConfig};
use crate::history::History;
use crate::hub::{Hub, HubParts, now};
use crate::leader_task::{self, LeaderParts};
use crate::machine::HubMachine;
use crate::peers::Peers;
use crate::proxy::CheckedUser;
use crate::rotation::{Rotation, RotationParts};
use crate::secrets::{Vault, add_key};

/// How long anything that is waited for may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// One replica.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) hub: Hub,
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) sessions: Sessions,
    pub(super) streams: Streams,
    pub(super) vault: Vault,
    cancel: CancellationToken,
    folder: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {:?}", self.bytes))
    }

    /// A text of the body by its pointer; empty if it is not there.
    pub(super) fn text(&self, pointer: &str) -> String {
        self.json().pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl World {
    /// A replica that leads and has the namespace `default`.
    pub(super) async fn new() -> World {
        World::within(Limits::default()).await
    }

    /// The same with bounds of its own.
    pub(super) async fn within(limits: Limits) -> World {
        let folder = TempDir::new().unwrap();
        let id = ReplicaId::new(1).unwrap();
        let history = History::start(&folder.path().join("history"), Default::default()).unwrap();
        let (machine, published) = HubMachine::new(history.clone());
        let identity = Identity { cluster: ClusterId(7), replica: id };
        let store = SegmentLogStore::open(&SegmentOptions::new(folder.path(), identity)).unwrap();
        let settings =
            DriverConfig { bootstrap: Some(Membership::of_voters([id])), ..DriverConfig::default() };
        let driver = Driver::open(&settings, store, machine).unwrap();
        let runtime = RuntimeConfig { tick: Duration::from_millis(2), ..RuntimeConfig::default() };
        let (handle, _stopped) = Runtime::start(driver, runtime, Vec::new());
        let config = config(&folder);
        let authorities = AuthoritySet::generate(now()).unwrap();
        let certificates = Certificates::new("controller-1", addresses(&config), authorities, now()).unwrap();
        add_key(&config.key_file()).unwrap();
        let vault = Vault::open(&config.key_file()).unwrap();
        let parts = HubParts {
            id,
            handle,
            view: published.view,
            watch_cache: published.watch_cache,
            answers: published.answers,
            history,
            peers: Peers::new(&config, &certificates),
        };
        let hub = Hub::new(parts);
        let cancel = CancellationToken::new();
        let (mirrors, sessions, streams) =
            (Arc::<Mirrors>::default(), Sessions::default(), Streams::default());
        let leader = LeaderParts {
            hub: hub.clone(),
            happened: published.happened,
            sessions: sessions.clone(),
            mirrors: Arc::clone(&mirrors),
            config: muster_leader::Config::default(),
            replicas: Vec::new(),
            vault: vault.clone(),
        };
        let denials = Arc::<Denials>::default();
        tokio::spawn(Arc::clone(&denials).commit(hub.clone(), cancel.clone()));
        let state = ApiState {
            states: crate::terraform::StateStore::new(hub.clone(), vault.clone()),
            hub: hub.clone(),
            mirrors: Arc::clone(&mirrors),
            sessions: sessions.clone(),
            streams: streams.clone(),
            execs: Execs::default(),
            leader: leader_task::start(leader, cancel.clone()),
            vault: vault.clone(),
            certificates: certificates.clone(),
            rotation: rotation(&hub, &vault, certificates),
            config: Arc::new(config),
            denials: Arc::clone(&denials),
        };
        let world = World {
            router: router_within(state, limits),
            hub,
            mirrors,
            sessions,
            streams,
            vault,
            cancel,
            folder,
        };
        world.ready().await;
        world
    }

    /// Where the sealing keys lie.
    pub(super) fn key_file(&self) -> std::path::PathBuf {
        config(&self.folder).key_file()
    }

    async fn ready(&self) {
        let default = muster_model::Key::namespace("default");
        let mut view = self.hub.view();
        let there = view.wait_for(|view| view.state.get(&default).is_some());
        tokio::time::timeout(PATIENCE, there).await.expect("a leader and its first namespace").unwrap();
    }

    /// A request of an administrator.
    pub(super) async fn ask(&self, method: &str, uri: &str, body: impl Into<Body>) -> Answer {
        self.send(admin(method, uri).body(body.into()).unwrap()).await
    }

    /// GET.
    pub(super) async fn get(&self, uri: &str) -> Answer {
        self.ask("GET", uri, "").await
    }

    /// GET in this format.
    pub(super) async fn get_as(&self, uri: &str, accept: &str) -> Answer {
        self.send(admin("GET", uri).header(ACCEPT, accept).body(Body::empty()).unwrap()).await
    }

    /// PATCH of this type.
    pub(super) async fn patch(&self, uri: &str, kind: &str, body: &str) -> Answer {
        self.send(admin("PATCH", uri).header(CONTENT_TYPE, kind).body(body.to_owned().into()).unwrap()).await
    }

    /// Any request.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let answered = tokio::time::timeout(PATIENCE, self.router.clone().oneshot(request));
        let (head, body) = answered.await.expect("an answer in time").unwrap().into_parts();
        let bytes = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, usize::MAX)).await;
        Answer { code: head.status, headers: head.headers, bytes: bytes.expect("a body in time").unwrap() }
    }

    /// The events of a watch, as they come.
    pub(super) async fn watch(&self, uri: &str) -> Events {
        let request = admin("GET", uri).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{uri}");
        let chunks = response.into_body().into_data_stream().map(|chunk| chunk.unwrap());
        Events { chunks: Box::pin(chunks), lines: Vec::new() }
    }

    /// Makes a job of this name; it is suspended, so that nothing moves it.
    pub(super) async fn make_job(&self, name: &str) -> Answer {
        self.ask("POST", "/apis/batch/v1/namespaces/default/jobs", job(name)).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.hub.consensus().shutdown();
    }
}

/// A watch that is being read.
pub(super) struct Events {
    chunks: std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    lines: Vec<Value>,
}

impl Events {
    /// The next event; `None` at the end of the watch.
    pub(super) async fn next(&mut self) -> Option<Value> {
        while self.lines.is_empty() {
            let chunk =
                tokio::time::timeout(PATIENCE, self.chunks.next()).await.expect("an event in time")?;
            let lines = chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            self.lines = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        }
        Some(self.lines.remove(0))
    }

    /// The next event as `TYPE name`.
    pub(super) async fn next_short(&mut self) -> String {
        let event = self.next().await.expect("another event");
        let name = event.pointer("/object/metadata/name").and_then(Value::as_str).unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap_or_default()).trim_end().to_owned()
    }
}

/// The head of an administrator's request.
pub(super) fn admin(method: &str, uri: &str) -> http::request::Builder {
    let user = CheckedUser { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()] };
    Request::builder().method(method).uri(uri).extension(user)
}

/// A small suspended job.
pub(super) fn job(name: &str) -> String {
    serde_json::json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}}},
    })
    .to_string()
}

/// A ConfigMap with one entry.
pub(super) fn config_map(name: &str, value: &str) -> String {
    serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}).to_string()
}

fn rotation(hub: &Hub, vault: &Vault, certificates: Certificates) -> Rotation {
    Rotation::new(RotationParts {
        hub: hub.clone(),
        vault: vault.clone(),
        certificates,
        sessions: Sessions::default(),
        replicas: [(hub.id(), "controller-1".to_owned())].into(),
        cluster_id: 7,
    })
}

fn config(folder: &TempDir) -> ControllerConfig {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    ControllerConfig {
        name: "controller-1".to_owned(),
        cluster_id: format!("{:032x}", 7),
        data_dir: folder.path().to_owned(),
        replicas: vec![ReplicaConfig {
            id: 1,
            name: "controller-1".to_owned(),
            api: nowhere,
            agents: nowhere,
            raft: nowhere,
        }],
        ops: nowhere,
        history: Default::default(),
        terraform: crate::config::TerraformConfig::default(),
        secrets_key: None,
    }
}
