//! The other replicas: raft frames, forwarded proposals, requests that only the leader answers.
//!
//! One HTTP/2 connection to each, dialled when needed and kept. Raft's messages flow one way on a stream of their own and
//! may be lost when it breaks; raft repeats what matters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use muster_consensus::{Outbound, Outbox, ReplicaId};
use muster_proto::hub::pb::{
    HttpChunk, HttpRequest, ProposeReply, ProposeRequest, http_chunk::Part, propose_reply::End,
    replica_client::ReplicaClient,
};
use muster_proto::raft::pb::{Batch, Frame, Hello, frame::Body, peer_transport_client::PeerTransportClient};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::certificates::Certificates;
use crate::config::ControllerConfig;

/// Raft messages that may wait for one peer; more are dropped and repeated by raft.
const OUTBOX_MAX: usize = 4_096;
/// Bytes of one batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// Between two tries to reach a peer.
const REDIAL: Duration = Duration::from_millis(50);
/// How long a replica may take to say something of itself, and how much it may say.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// The longest message between replicas.
pub const MESSAGE_MAX: usize = 64 << 20;

/// How a forwarded proposal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Committed at this index.
    Committed(u64),
    /// Not done, and never will be.
    Refused {
        /// Why.
        reason: String,
        /// Whether another leader may take it.
        retry: bool,
        /// Whether too much is in flight there.
        busy: bool,
    },
    /// It did not reach the peer: not done.
    NotSent,
    /// It may or may not be done.
    Unknown,
}

/// Connections to the other replicas. Clones share them.
#[derive(Clone)]
pub struct Peers {
    channels: Arc<BTreeMap<ReplicaId, Channel>>,
    dials: Arc<BTreeMap<ReplicaId, Dial>>,
}

/// How a replica is dialled.
#[derive(Clone)]
struct Dial {
    address: SocketAddr,
    replica: Arc<str>,
    certificates: Certificates,
}

impl Peers {
    /// Lazy connections to every replica of the configuration but this one.
    pub fn new(config: &ControllerConfig, certificates: &Certificates) -> Peers {
        let (mut channels, mut dials) = (BTreeMap::new(), BTreeMap::new());
        for replica in config.replicas.iter().filter(|replica| replica.name != config.name) {
            let Some(id) = ReplicaId::new(replica.id) else { continue };
            let dial = Dial {
                address: replica.raft,
                replica: replica.name.as_str().into(),
                certificates: certificates.clone(),
            };
            channels.insert(id, lazy_channel(dial.clone()));
            dials.insert(id, dial);
        }
        Peers { channels: Arc::new(channels), dials: Arc::new(dials) }
    }

    /// A new connection to another replica, dialled when it is used: for what may be read slowly. `None`: no such replica.
    pub fn connection_of_its_own(&self, to: ReplicaId) -> Option<Channel> {
        Some(lazy_channel(self.dials.get(&to)?.clone()))
    }

    /// Proposes an encoded entry at another replica.
    pub async fn propose(&self, at: ReplicaId, entry: Vec<u8>) -> Forwarded {
        let Some(channel) = self.channels.get(&at) else { return Forwarded::NotSent };
        let mut client = ReplicaClient::new(channel.clone()).max_encoding_message_size(MESSAGE_MAX);
        match client.propose(ProposeRequest { entry }).await {
            Ok(reply) => read_reply(reply.into_inner()),
            Err(status) if never_sent(&status) => Forwarded::NotSent,
            Err(_) => Forwarded::Unknown,
        }
    }

    /// Asks another replica over HTTP, for a user whose identity was checked here.
    pub async fn http(&self, at: ReplicaId, request: HttpRequest) -> Result<Streaming<HttpChunk>, Status> {
        let channel = self.channels.get(&at).ok_or_else(|| Status::unavailable("no such replica"))?;
        let mut client = ReplicaClient::new(channel.clone())
            .max_encoding_message_size(MESSAGE_MAX)
            .max_decoding_message_size(MESSAGE_MAX);
        client.http(request).await.map(tonic::Response::into_inner)
    }

    /// What another replica says of itself at one of our own paths; `None` if it does not answer in time.
    pub async fn get_json(&self, at: ReplicaId, path: &str) -> Option<serde_json::Value> {
        let request = HttpRequest {
            method: "GET".to_owned(),
            uri: path.to_owned(),
            user: "system:hub".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..HttpRequest::default()
        };
        let answer = async {
            let mut chunks = self.http(at, request).await.ok()?;
            let mut body = Vec::new();
            while let Some(chunk) = chunks.message().await.ok()? {
                if let Some(Part::Body(bytes)) = chunk.part {
                    body.extend(bytes);
                }
                if body.len() > ANSWER_MAX_BYTES {
                    return None;
                }
            }
            serde_json::from_slice(&body).ok()
        };
        tokio::time::timeout(ANSWER_PATIENCE, answer).await.ok().flatten()
    }

    /// Starts a task per peer that carries raft's messages, and gives the outbox that feeds them.
    pub fn start_outbox(&self, own: ReplicaId, cluster_id: u128) -> RaftOutbox {
        let mut queues = BTreeMap::new();
        for (id, channel) in self.channels.iter() {
            let (queue, messages) = mpsc::channel(OUTBOX_MAX);
            let hello = Hello {
                version: 1,
                cluster_id: cluster_id.to_be_bytes().to_vec(),
                from: own.get(),
                to: id.get(),
            };
            tokio::spawn(carry(channel.clone(), hello, messages));
            queues.insert(*id, queue);
        }
        RaftOutbox { queues }
    }
}

/// Where the consensus thread puts messages for peers.
pub struct RaftOutbox {
    queues: BTreeMap<ReplicaId, mpsc::Sender<Bytes>>,
}

impl Outbox for RaftOutbox {
    fn send(&mut self, message: Outbound) {
        if let Some(queue) = self.queues.get(&message.to) {
            // A full queue means a peer that does not read: raft repeats what matters.
            let _ = queue.try_send(message.bytes);
        }
    }
}

/// Carries messages to one peer for as long as the outbox lives; dials again when the stream breaks.
async fn carry(channel: Channel, hello: Hello, mut messages: mpsc::Receiver<Bytes>) {
    while !messages.is_closed() || !messages.is_empty() {
        let (frames, stream) = mpsc::channel(16);
        let first = frames.send(Frame { body: Some(Body::Hello(hello.clone())) });
        let mut client = PeerTransportClient::new(channel.clone()).max_encoding_message_size(MESSAGE_MAX);
        let call = tokio::spawn(async move { client.carry(ReceiverStream::new(stream)).await });
        if first.await.is_ok() {
            feed(&frames, &mut messages, &call).await;
        }
        drop(frames);
        call.abort();
        // What waited while the peer was away is old: raft sends what matters again.
        while messages.try_recv().is_ok() {}
        tokio::time::sleep(REDIAL).await;
    }
}

/// Feeds a stream until it breaks or the outbox is gone.
async fn feed<T>(
    frames: &mpsc::Sender<Frame>,
    messages: &mut mpsc::Receiver<Bytes>,
    call: &tokio::task::JoinHandle<T>,
) {
    loop {
        let first = tokio::select! {
            message = messages.recv() => message,
            () = frames.closed() => None,
        };
        let Some(first) = first else { return };
        let mut size = first.len();
        let mut batch = vec![first.into()];
        while size < BATCH_BYTES {
            let Ok(message) = messages.try_recv() else { break };
            size += message.len();
            batch.push(message.into());
        }
        if call.is_finished()
            || frames.send(Frame { body: Some(Body::Batch(Batch { messages: batch })) }).await.is_err()
        {
            return;
        }
    }
}

fn read_reply(reply: ProposeReply) -> Forwarded {
    match reply.end {
        Some(End::Committed(index)) => Forwarded::Committed(index),
        Some(End::Refused(refused)) => {
            Forwarded::Refused { reason: refused.reason, retry: refused.retry, busy: refused.busy }
        }
        Some(End::Unknown(_)) | None => Forwarded::Unknown,
    }
}

/// Whether a failed call surely never left: the connection could not be made.
pub fn never_sent(status: &Status) -> bool {
    let connect_failed = || {
        let mut source = std::error::Error::source(status);
        while let Some(error) = source {
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
            {
                return true;
            }
            source = error.source();
        }
        false
    };
    status.code() == Code::Unavailable && connect_failed()
}

fn lazy_channel(dial: Dial) -> Channel {
    let Dial { address, replica, certificates } = dial;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .expect("an address makes a URI")
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20);
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: http::Uri| {
        // What is shown and trusted may have changed since the last time.
        let tls = certificates.client_to_replica(&replica).map_err(std::io::Error::other);
        async move {
            let connector = TlsConnector::from(Arc::new(tls?));
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let name = rustls_pki_types::ServerName::IpAddress(address.ip().into());
            let tls = connector.connect(name, tcp).await?;
            Ok::<_, std::io::Error>(TokioIo::new(tls))
        }
    }))
}
