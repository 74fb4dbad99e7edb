//! The ops port: health and metrics, plain HTTP, without identity. Names of metrics are a contract: docs/reference/metrics.md.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use muster_consensus::Role;
use muster_model::{Kind, kinds};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::Denials;
use crate::history::StreamName;
use crate::hub::Hub;

/// Serves the port until it is cancelled.
pub async fn serve(listener: TcpListener, hub: Hub, denials: Arc<Denials>, cancel: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(|State(hub): State<Arc<Hub>>| async move { live(&hub) }))
        .route("/readyz", get(|State(hub): State<Arc<Hub>>| async move { ready(&hub) }))
        .route("/metrics", get(move |State(hub): State<Arc<Hub>>| async move { metrics(&hub, &denials) }))
        .with_state(Arc::new(hub));
    let served =
        axum::serve(listener, router).with_graceful_shutdown(async move { cancel.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the ops port failed");
    }
}

/// Alive: the consensus thread runs.
pub fn live(hub: &Hub) -> (StatusCode, &'static str) {
    if hub.status().borrow().running {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "consensus has stopped")
    }
}

/// Ready: there is a leader, and this replica has applied something of its term.
pub fn ready(hub: &Hub) -> (StatusCode, &'static str) {
    let status = hub.status().borrow().clone();
    if !status.running {
        return (StatusCode::SERVICE_UNAVAILABLE, "consensus has stopped");
    }
    if status.replica.leader.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no leader");
    }
    if hub.view().borrow().state.get(&muster_model::Key::namespace("default")).is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the log is being applied");
    }
    if status.replica.role == Role::Leader {
        return (StatusCode::OK, "ok, leader");
    }
    (StatusCode::OK, "ok")
}

/// Prometheus text: gauges read from what is there, no counters kept twice.
fn metrics(hub: &Hub, denials: &Denials) -> String {
    let status = hub.status().borrow().clone();
    let view = hub.view().borrow().clone();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    gauge("muster_raft_term", "Term of this replica.", status.replica.term);
    gauge(
        "muster_raft_is_leader",
        "1 if this replica leads.",
        u64::from(status.replica.role == Role::Leader),
    );
    gauge("muster_raft_committed_index", "Last entry known to be committed.", status.replica.committed);
    gauge("muster_raft_applied_index", "Last entry applied here.", status.replica.applied);
    gauge("muster_raft_turns", "Turns of the consensus loop since the start.", status.turns);
    gauge("muster_raft_busy_microseconds", "Time in turns since the start, fsync included.", status.busy_us);
    gauge(
        "muster_raft_refused_messages",
        "Messages of peers refused since the start.",
        status.refused_messages,
    );
    let off_ms = hub.clock_off_ms().unwrap_or_default().unsigned_abs();
    gauge("muster_clock_off_milliseconds", "From the majority of the replicas' clocks, either way.", off_ms);
    gauge("muster_state_revision", "Revision of the state.", view.state.revision().0);
    for kind in [kinds::JOB, kinds::CLUSTER, kinds::NAMESPACE, kinds::EVENT, kinds::RUN] {
        let name = format!("muster_objects_{}", kind.split('.').next().unwrap_or(kind));
        gauge(&name, "Objects of this kind.", view.state.count(&Kind::new(kind)));
    }
    for name in StreamName::ALL {
        let (last, bytes) = hub.history().extent(name);
        let name = name.as_str();
        gauge(&format!("muster_history_{name}_last"), "Last record of this stream of history.", last);
        gauge(&format!("muster_history_{name}_bytes"), "Bytes of this stream of history on disk.", bytes);
    }
    gauge("muster_requests_denied", "Requests that authorization denied, since the start.", denials.denied());
    gauge(
        "muster_requests_without_identity",
        "Requests without a credential that is known, since the start.",
        denials.without_identity(),
    );
    gauge("muster_jobs_unfinished", "Jobs that are not finished.", view.state.live_jobs().count() as u64);
    text
}
