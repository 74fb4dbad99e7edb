//! One replica, from its configuration to its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use muster_chaos_inject::GuardCommand;
use muster_consensus::log_store::{self, SegmentLogStore, SegmentOptions};
use muster_consensus::{
    ClusterId, Driver, DriverConfig, Identity, Membership, ReplicaId, Runtime, RuntimeConfig,
};
use muster_leader::Config;
use muster_proto::federation::pb::federation_server::FederationServer;
use muster_proto::hub::pb::replica_server::ReplicaServer;
use muster_proto::raft::pb::peer_transport_server::PeerTransportServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agents::{AgentService, Execs, MESSAGE_MAX as AGENT_MESSAGE_MAX, Mirrors, Sessions, Streams};
use crate::api::{self, ApiState, Denials};
use crate::certificates::Certificates;
use crate::chaos;
use crate::clocks::compare_clocks;
use crate::config::{ControllerConfig, ReplicaConfig};
use crate::history::{History, keep_whole};
use crate::hub::{Hub, HubParts};
use crate::keeper::Keeper;
use crate::leader_task::{self, LeaderParts};
use crate::listen;
use crate::machine::HubMachine;
use crate::ops;
use crate::peers::{MESSAGE_MAX, Peers};
use crate::proxy::Proxy;
use crate::raft_service::RaftService;
use crate::rotation::{Rotation, RotationParts};
use crate::secrets::Vault;
use crate::terraform::{Runner, RunnerParts, StateStore};
use crate::tls::ClientAuth;

/// How long the end of a replica may take before its process goes anyway.
const GOODBYE: Duration = Duration::from_secs(3);

/// What keeps a replica from starting, where callers tell one cause from another: a context in the error of [`run`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder is not what it left there, another's, in use, or out of room.
    #[error("state folder {}", .0.display())]
    Folder(PathBuf),
    /// Its sealing keys are missing, cannot be read, or are another hub's.
    #[error("secrets key file {}", .0.display())]
    Keys(PathBuf),
    /// One of its ports is taken.
    #[error("{what} port: cannot listen on {address}")]
    Port {
        /// Which one.
        what: &'static str,
        /// Where.
        address: SocketAddr,
    },
}

/// Runs a replica until `cancel`, or until its consensus cannot go on.
///
/// # Errors
/// The configuration, a certificate, a port or the data folder: each with what was tried.
/// `guard` starts what holds this replica still when that is asked for.
pub async fn run(
    config: ControllerConfig,
    guard: GuardCommand,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    config.check().map_err(anyhow::Error::msg).context("the configuration is not usable")?;
    let own = config.own().context("name is not among replicas")?.clone();
    let id = ReplicaId::new(own.id).context("replicas: id 0")?;
    let cluster_id = config.cluster();
    let identity = Identity { cluster: ClusterId(cluster_id), replica: id };
    // First of all: nothing of another replica's folder is opened, and nothing is said of its keys.
    log_store::check_owner(&config.data_dir.join("raft"), identity)
        .with_context(|| StartError::Folder(config.data_dir.clone()))?;
    let (vault, certificates) = Certificates::open(&config)?;
    chaos::hold_replica(&config, &certificates, &cancel).await?;
    let ports = Ports::bind(&config, &own).await?;

    let folder = config.data_dir.join("history");
    let history = History::start(&folder, config.history)
        .with_context(|| StartError::Folder(config.data_dir.clone()))?;
    let (machine, published) = HubMachine::new(history.clone());
    let driver = open_driver(&config, identity, machine)?;
    let peers = Peers::new(&config, &certificates);
    let outbox = peers.start_outbox(id, cluster_id);
    let (handle, stopped) = Runtime::start(driver, RuntimeConfig::default(), outbox);
    let parts = HubParts {
        id,
        handle: handle.clone(),
        view: published.view,
        watch_cache: published.watch_cache,
        answers: published.answers,
        history: history.clone(),
        peers,
    };
    let hub = Hub::new(parts);
    let others: Vec<ReplicaId> = config.names().into_keys().filter(|other| *other != id).collect();
    tokio::spawn(compare_clocks(hub.clone(), others.clone(), cancel.clone()));
    let watched = history.clone();
    tokio::spawn(keep_whole(history, hub.clone(), others, cancel.clone()));
    chaos::start_host(&hub, &config, &guard)?;
    let sealing = Sealing::start(&config, &hub, (vault, certificates.clone()), &cancel);
    let edges = Edges::start(&config, &own, &hub, (published.happened, sealing), &cancel);
    edges.serve(ports, &config, &certificates, &cancel);

    let result = tokio::select! {
        result = stopped.wait() => result.context("the replica cannot go on"),
        error = watched.failed() => Err(error).context("the replica cannot go on"),
        () = cancel.cancelled() => {
            handle.shutdown();
            // Leadership is handed over if another replica can take it.
            let mut status = hub.status();
            let _ = tokio::time::timeout(GOODBYE, status.wait_for(|status| !status.running)).await;
            Ok(())
        }
    };
    cancel.cancel();
    result
}

fn open_driver(
    config: &ControllerConfig,
    identity: Identity,
    machine: HubMachine,
) -> anyhow::Result<Driver<SegmentLogStore, HubMachine>> {
    let folder = config.data_dir.join("raft");
    let unusable = || StartError::Folder(config.data_dir.clone());
    let store = SegmentLogStore::open(&SegmentOptions::new(&folder, identity)).with_context(unusable)?;
    let voters = config.names().into_keys();
    let mut settings =
        DriverConfig { bootstrap: Some(Membership::of_voters(voters)), ..DriverConfig::default() };
    // Replicas that draw from different seeds seldom campaign at the same time; the clock makes restarts differ too.
    settings.replica.seed = identity.replica.get() ^ crate::hub::now().0.rotate_left(17);
    Driver::open(&settings, store, machine).with_context(unusable)
}

/// The ports of a replica, all bound before anything else starts.
struct Ports {
    api: TcpListener,
    agents: TcpListener,
    raft: TcpListener,
    ops: TcpListener,
}

impl Ports {
    async fn bind(config: &ControllerConfig, own: &ReplicaConfig) -> anyhow::Result<Ports> {
        let bind = async |what: &'static str, address: SocketAddr| {
            TcpListener::bind(address).await.context(StartError::Port { what, address })
        };
        Ok(Ports {
            api: bind("API", own.api).await?,
            agents: bind("agents", own.agents).await?,
            raft: bind("raft", own.raft).await?,
            ops: bind("ops", config.ops).await?,
        })
    }
}

/// Keys and certificates, for the edges.
struct Sealing {
    vault: Vault,
    certificates: Certificates,
    sessions: Sessions,
    states: StateStore,
    rotation: Rotation,
}

impl Sealing {
    /// Begins to keep them up to date.
    fn start(
        config: &ControllerConfig,
        hub: &Hub,
        (vault, certificates): (Vault, Certificates),
        cancel: &CancellationToken,
    ) -> Sealing {
        let (sessions, cluster_id) = (Sessions::default(), config.cluster());
        let states = StateStore::new(hub.clone(), vault.clone());
        let rotation = Rotation::new(RotationParts {
            hub: hub.clone(),
            vault: vault.clone(),
            certificates: certificates.clone(),
            sessions: sessions.clone(),
            replicas: config.names(),
            cluster_id,
        });
        let keeper = Keeper {
            hub: hub.clone(),
            vault: vault.clone(),
            states: states.clone(),
            certificates: certificates.clone(),
            rotation: rotation.clone(),
            copy: config.authority_file(),
            cluster_id,
        };
        tokio::spawn(keeper.run(cancel.clone()));
        Sealing { vault, certificates, sessions, states, rotation }
    }
}

/// What stands behind the ports.
struct Edges {
    hub: Hub,
    api: axum::Router,
    agents: AgentService,
    proxy: Proxy,
    denials: Arc<Denials>,
}

impl Edges {
    fn start(
        config: &ControllerConfig,
        own: &ReplicaConfig,
        hub: &Hub,
        (happened, sealing): (tokio::sync::mpsc::UnboundedReceiver<crate::machine::Happened>, Sealing),
        cancel: &CancellationToken,
    ) -> Edges {
        let Sealing { vault, certificates, sessions, states, rotation } = sealing;
        let (mirrors, streams, execs) = (Arc::<Mirrors>::default(), Streams::default(), Execs::default());
        let parts = LeaderParts {
            hub: hub.clone(),
            happened,
            sessions: sessions.clone(),
            mirrors: Arc::clone(&mirrors),
            config: Config::default(),
            replicas: config.replicas.iter().map(|replica| replica.name.as_str().into()).collect(),
            vault: vault.clone(),
        };
        let leader = leader_task::start(parts, cancel.clone());
        let denials = Arc::<Denials>::default();
        tokio::spawn(Arc::clone(&denials).commit(hub.clone(), cancel.clone()));
        tokio::spawn(runner(config, own, hub, (&certificates, &states)).run(cancel.clone()));
        let state = ApiState {
            states,
            hub: hub.clone(),
            mirrors: Arc::clone(&mirrors),
            sessions,
            streams: streams.clone(),
            execs: execs.clone(),
            leader: leader.clone(),
            vault,
            certificates: certificates.clone(),
            rotation,
            config: Arc::new(config.clone()),
            denials: Arc::clone(&denials),
        };
        let api = api::router(state);
        let proxy = Proxy::default();
        proxy.set(api.clone());
        let agents = AgentService {
            hub: hub.clone(),
            certificates,
            addresses: agent_addresses(config, own),
            address_of: config
                .replicas
                .iter()
                .map(|replica| (replica.id, replica.agents.to_string()))
                .collect(),
            leader,
            mirrors,
            streams,
            execs,
        };
        Edges { hub: hub.clone(), api, agents, proxy, denials }
    }

    fn serve(
        self,
        ports: Ports,
        config: &ControllerConfig,
        certificates: &Certificates,
        cancel: &CancellationToken,
    ) {
        let names = config.names().into_iter().map(|(id, name)| (name, id)).collect();
        let raft = RaftService::new(self.hub.clone(), config.cluster(), names, self.proxy);
        let raft = tonic::service::Routes::new(
            PeerTransportServer::new(raft.clone()).max_decoding_message_size(MESSAGE_MAX),
        )
        .add_service(ReplicaServer::new(raft).max_decoding_message_size(MESSAGE_MAX))
        .into_axum_router();
        let agents = FederationServer::new(self.agents).max_decoding_message_size(AGENT_MESSAGE_MAX);
        let agents = tonic::service::Routes::new(agents).into_axum_router();
        let with = |auth| (certificates.clone(), auth);
        tokio::spawn(listen::serve(ports.raft, with(ClientAuth::Required), raft, cancel.clone()));
        tokio::spawn(listen::serve(ports.agents, with(ClientAuth::Members), agents, cancel.clone()));
        tokio::spawn(listen::serve(ports.api, with(ClientAuth::Optional), self.api, cancel.clone()));
        tokio::spawn(ops::serve(ports.ops, self.hub, self.denials, cancel.clone()));
    }
}

fn runner(
    config: &ControllerConfig,
    own: &ReplicaConfig,
    hub: &Hub,
    (certificates, store): (&Certificates, &StateStore),
) -> Runner {
    let urls = agent_addresses(config, own).into_iter().map(|address| format!("https://{address}"));
    let program = config.terraform.program.clone();
    let program = program.or_else(|| std::env::var_os("MUSTER_TERRAFORM").map(PathBuf::from));
    Runner::new(RunnerParts {
        hub: hub.clone(),
        store: store.clone(),
        api: format!("https://{}", own.api),
        join_urls: urls.collect::<Vec<_>>().join(","),
        certificates: certificates.clone(),
        terraform: program.unwrap_or_else(|| PathBuf::from("terraform")),
        folders: config.data_dir.join("terraform"),
        root: config.terraform.root.clone().unwrap_or_else(|| config.data_dir.join("burst")),
    })
}

/// Agent ports of all replicas, this one first.
fn agent_addresses(config: &ControllerConfig, own: &ReplicaConfig) -> Vec<String> {
    let others = config.replicas.iter().filter(|replica| replica.name != own.name);
    std::iter::once(own).chain(others).map(|replica| replica.agents.to_string()).collect()
}
