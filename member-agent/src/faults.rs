//! Faults on purpose, done to this agent: its way to the hub beside the session, and its guard.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use muster_chaos_inject::{
    FaultFolder, FaultLink, Gate, GuardArgs, GuardCommand, Host, LinkError, ReportReply, guard, hold,
};
use muster_model::{FaultNews, FaultOrder, Uid};
use muster_proto::federation::pb;
use muster_proto::federation::{FaultReport, FaultsRequest, FaultsResponse, Identity};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dial::dial;
use crate::state_folder::StateFolder;
use crate::tls::Credentials;

/// How long one question to the hub may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Questions to any replica, each over a connection of its own: sessions and their gate know nothing of it.
pub(crate) struct ControlLink {
    addresses: Vec<String>,
    tls: Arc<ClientConfig>,
    next: AtomicUsize,
}

impl ControlLink {
    pub(crate) fn new(addresses: Vec<String>, tls: Arc<ClientConfig>) -> ControlLink {
        ControlLink { addresses, tls, next: AtomicUsize::new(0) }
    }

    async fn ask(&self, report: Option<FaultReport>) -> Result<FaultsResponse, LinkError> {
        let at = self.next.load(Ordering::Relaxed);
        let address = self.addresses.get(at % self.addresses.len().max(1)).map(String::as_str);
        let request = pb::FaultsRequest::from(FaultsRequest { report });
        let asked = async {
            let mut client = dial(address.unwrap_or_default(), self.tls.clone()).await?;
            let response = client.faults(request).await?.into_inner();
            anyhow::Ok(FaultsResponse::try_from(response)?)
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let answer = answer.map_err(|_| LinkError("no answer in time".to_owned()))?;
        answer.map_err(|error| {
            // Another replica next time.
            self.next.store(at.wrapping_add(1), Ordering::Relaxed);
            LinkError(format!("{error:#}"))
        })
    }
}

impl FaultLink for ControlLink {
    async fn report(&self, id: &str, uid: Uid, news: FaultNews) -> Result<ReportReply, LinkError> {
        let report = FaultReport { id: id.to_owned(), uid, news };
        let response = self.ask(Some(report)).await?;
        Ok(response.refused.map_or(ReportReply::Taken, ReportReply::Refused))
    }

    async fn orders(&self) -> Result<Vec<FaultOrder>, LinkError> {
        Ok(self.ask(None).await?.orders)
    }
}

/// What sessions know of faults.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    /// Closed while a partition is in effect.
    pub(crate) gate: Gate,
    /// Where orders go.
    pub(crate) orders: Arc<watch::Sender<Vec<FaultOrder>>>,
}

/// The host of this agent's faults, and what sessions have to know of it. Waits first until a kill of this agent is over.
pub(crate) async fn host(
    state: &Path,
    link: ControlLink,
    guard: &GuardCommand,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Host<ControlLink>, Faults)> {
    let folder = FaultFolder::open(state)?;
    hold(&folder, &link, shutdown).await?;
    let (closed, gate) = Gate::new();
    let (orders, wanted) = watch::channel(Vec::new());
    let host = Host::recover(folder, link, guard.clone(), (closed, wanted))?;
    Ok((host, Faults { gate, orders: Arc::new(orders) }))
}

/// What a guard of an agent is started with.
pub struct AgentGuard {
    /// The agent's state folder.
    pub state: PathBuf,
    /// Agent ports of the hub; empty: those that the hub named when the member joined.
    pub hub_addresses: Vec<String>,
    /// What it guards.
    pub args: GuardArgs,
}

/// Holds an agent still until the fault is over.
///
/// # Errors
/// The agent's identity or the fault's record cannot be read; then nothing was done.
pub async fn guard_agent(config: AgentGuard) -> anyhow::Result<()> {
    let folder = StateFolder::read_only(&config.state)?;
    let identity = folder.identity()?.context("the agent has no identity")?;
    let tls = Credentials::new(&folder.key_pem()?, &identity)?.config()?;
    let link = ControlLink::new(addresses(&config.hub_addresses, &identity), tls);
    Ok(guard(config.args, link).await?)
}

/// The hub's agent ports: those given, or those that the hub named.
pub(crate) fn addresses(given: &[String], identity: &Identity) -> Vec<String> {
    if given.is_empty() { identity.hub_addresses.clone() } else { given.to_vec() }
}
