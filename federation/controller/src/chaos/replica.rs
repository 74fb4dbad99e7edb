//! Faults done to this replica: its host while it runs, its guard while it stands still, its hold after a kill.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use muster_chaos_inject::{
    FaultFolder, FaultLink, Gate, GuardArgs, GuardCommand, Host, LinkError, ReportReply, guard, hold,
};
use muster_consensus::ReplicaId;
use muster_model::{
    Answer, Command, FaultKind, FaultNews, FaultOrder, FaultTarget, Kind, ReportFault, Uid, kinds,
};
use muster_proto::hub::pb::{HttpRequest, http_chunk::Part};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::certificates::Certificates;
use crate::config::ControllerConfig;
use crate::hub::{Hub, now};
use crate::peers::Peers;

/// How long another replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// An order as replicas tell each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderJson {
    id: String,
    uid: String,
    kind: String,
    wanted: bool,
    left_ms: u64,
    expires_ms: u64,
}

impl OrderJson {
    /// The form of an order.
    pub fn of(order: &FaultOrder) -> OrderJson {
        OrderJson {
            id: order.id.to_string(),
            uid: order.uid.to_string(),
            kind: order.kind.word().to_owned(),
            wanted: order.wanted,
            left_ms: order.left.0,
            expires_ms: order.expires.0,
        }
    }

    fn read(self) -> Option<FaultOrder> {
        Some(FaultOrder {
            uid: self.uid.parse().ok()?,
            kind: FaultKind::of_word(&self.kind)?,
            id: self.id.into(),
            wanted: self.wanted,
            left: muster_model::DurationMs(self.left_ms),
            expires: muster_model::TimeMs(self.expires_ms),
        })
    }
}

/// The way of a replica that runs: its own hub.
struct OwnLink {
    hub: Hub,
    own: FaultTarget,
}

impl FaultLink for OwnLink {
    async fn report(&self, id: &str, uid: Uid, news: FaultNews) -> Result<ReportReply, LinkError> {
        let report = ReportFault { id: id.into(), uid, host: self.own.clone(), news };
        report_fault(&self.hub, report).await
    }

    async fn orders(&self) -> Result<Vec<FaultOrder>, LinkError> {
        Ok(self.hub.stale().fault_orders(&self.own, now()))
    }
}

/// Commits what a host says of its fault.
pub async fn report_fault(hub: &Hub, report: ReportFault) -> Result<ReportReply, LinkError> {
    let answer = hub.propose(Command::ReportFault(report)).await;
    match answer.map_err(|error| LinkError(error.to_string()))? {
        Answer::Rejected(rejection) => Ok(ReportReply::Refused(rejection.to_string())),
        _ => Ok(ReportReply::Taken),
    }
}

/// The way of a replica that does not run: the others, over the raft port.
struct PeerLink {
    peers: Peers,
    others: Vec<ReplicaId>,
    name: String,
    next: AtomicUsize,
}

impl PeerLink {
    fn new(config: &ControllerConfig, certificates: &Certificates) -> PeerLink {
        let peers = Peers::new(config, certificates);
        let others = config.replicas.iter().filter(|replica| replica.name != config.name);
        let others = others.filter_map(|replica| ReplicaId::new(replica.id)).collect();
        PeerLink { peers, others, name: config.name.clone(), next: AtomicUsize::new(0) }
    }

    async fn ask(&self) -> anyhow::Result<Vec<FaultOrder>> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let to = self.others.get(at % self.others.len().max(1)).context("there is no other replica")?;
        let request = HttpRequest {
            method: "GET".to_owned(),
            uri: format!("/muster/v1/replicas/{}/faults", self.name),
            user: "system:hub".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..HttpRequest::default()
        };
        let mut chunks = self.peers.http(*to, request).await?;
        let mut body = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            match chunk.part {
                Some(Part::Body(bytes)) => body.extend(bytes),
                Some(Part::Head(head)) if head.status != 200 => anyhow::bail!("status {}", head.status),
                Some(Part::Head(_)) | None => {}
            }
        }
        let orders: Vec<OrderJson> = serde_json::from_slice(&body)?;
        Ok(orders.into_iter().filter_map(OrderJson::read).collect())
    }
}

impl FaultLink for PeerLink {
    async fn report(&self, _: &str, _: Uid, _: FaultNews) -> Result<ReportReply, LinkError> {
        Err(LinkError("a replica reports when it runs".to_owned()))
    }

    async fn orders(&self) -> Result<Vec<FaultOrder>, LinkError> {
        let answer = tokio::time::timeout(PATIENCE, self.ask()).await;
        let answer = answer.map_err(|_| LinkError("no answer in time".to_owned()))?;
        answer.map_err(|error| LinkError(format!("{error:#}")))
    }
}

/// Waits until no kill of this replica is in effect. Before anything else of it starts.
///
/// # Errors
/// Its folder or its certificates cannot be used.
pub async fn hold_replica(
    config: &ControllerConfig,
    certificates: &Certificates,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let folder = FaultFolder::open(&config.data_dir)?;
    Ok(hold(&folder, &PeerLink::new(config, certificates), cancel).await?)
}

/// Starts the host of what is done to this replica.
///
/// # Errors
/// Its folder cannot be used.
pub fn start_host(hub: &Hub, config: &ControllerConfig, guard: &GuardCommand) -> anyhow::Result<()> {
    let own = FaultTarget::Replica(config.name.as_str().into());
    let (orders, wanted) = watch::channel(Vec::new());
    // Nothing is partitioned here: nobody looks at the gate.
    let (closed, _gate) = Gate::new();
    let link = OwnLink { hub: hub.clone(), own: own.clone() };
    let folder = FaultFolder::open(&config.data_dir)?;
    let host = Host::recover(folder, link, guard.clone(), (closed, wanted))?;
    tokio::spawn(host.run());
    tokio::spawn(follow(hub.clone(), own, orders));
    Ok(())
}

/// Hands on what the state wants of this replica, whenever a fault changed.
async fn follow(hub: Hub, own: FaultTarget, orders: watch::Sender<Vec<FaultOrder>>) {
    let mut moved = hub.moved(&Kind::new(kinds::FAULT));
    let mut view = hub.view();
    loop {
        // The view is published after the change is told.
        let revision = *moved.borrow_and_update();
        if view.wait_for(|view| view.state.revision() >= revision).await.is_err() {
            return;
        }
        let wanted = hub.stale().fault_orders(&own, now());
        if !wanted.is_empty() {
            orders.send_replace(wanted);
        }
        if moved.changed().await.is_err() {
            return;
        }
    }
}

/// Holds a replica still until the fault is over.
///
/// # Errors
/// Its configuration, its certificates or the fault's record cannot be read; then nothing was done.
pub async fn guard_replica(config: &ControllerConfig, args: GuardArgs) -> anyhow::Result<()> {
    let (_, certificates) = Certificates::open(config)?;
    Ok(guard(args, PeerLink::new(config, &certificates)).await?)
}
