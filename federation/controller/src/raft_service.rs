//! The raft port's services: frames of raft, forwarded proposals, requests that only the leader answers. Only the replica
//! that a certificate names may speak, and only in its own name.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures::{Stream, StreamExt};
use muster_consensus::ReplicaId;
use muster_proto::hub::pb::{
    ExecPart, HttpChunk, HttpRequest, ProposeReply, ProposeRequest, Refused, Unknown, propose_reply::End,
    replica_server::Replica,
};
use muster_proto::raft::pb::{CarryReply, Frame, Hello, frame::Body, peer_transport_server::PeerTransport};
use tonic::{Request, Response, Status, Streaming};

use crate::exec_relay;
use crate::hub::Hub;
use crate::identity::Peer;
use crate::listen::Connection;
use crate::peers::Forwarded;
use crate::proxy::Proxy;

/// Both services of the raft port.
#[derive(Clone)]
pub struct RaftService {
    hub: Hub,
    cluster_id: u128,
    names: BTreeMap<String, ReplicaId>,
    proxy: Proxy,
}

impl RaftService {
    /// The services of this hub; `names` are the replicas that may speak.
    pub fn new(hub: Hub, cluster_id: u128, names: BTreeMap<String, ReplicaId>, proxy: Proxy) -> RaftService {
        RaftService { hub, cluster_id, names, proxy }
    }

    /// The replica that the connection's certificate names.
    fn speaker<T>(&self, request: &Request<T>) -> Result<ReplicaId, Status> {
        let connection = request.extensions().get::<Connection>();
        let Some(Peer::Replica(name)) = connection.and_then(|connection| connection.peer.as_ref()) else {
            return Err(Status::permission_denied("this port is for replicas of the hub"));
        };
        self.names.get(name).copied().ok_or_else(|| Status::permission_denied("no such replica"))
    }

    fn check_hello(&self, hello: &Hello, speaker: ReplicaId) -> Result<(), Status> {
        if hello.from != speaker.get() {
            return Err(Status::permission_denied("the certificate names another replica"));
        }
        if hello.version != 1 || hello.to != self.hub.id().get() {
            return Err(Status::failed_precondition("another version, or another replica was meant"));
        }
        if hello.cluster_id != self.cluster_id.to_be_bytes() {
            return Err(Status::failed_precondition("another federation"));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl PeerTransport for RaftService {
    async fn carry(&self, request: Request<Streaming<Frame>>) -> Result<Response<CarryReply>, Status> {
        let speaker = self.speaker(&request)?;
        let mut frames = request.into_inner();
        match frames.message().await?.and_then(|frame| frame.body) {
            Some(Body::Hello(hello)) => self.check_hello(&hello, speaker)?,
            _ => return Err(Status::failed_precondition("the first frame must be a Hello")),
        }
        while let Some(frame) = frames.message().await? {
            let Some(Body::Batch(batch)) = frame.body else { continue };
            for message in batch.messages {
                self.hub.consensus().deliver(speaker, message.into());
            }
        }
        Ok(Response::new(CarryReply {}))
    }
}

#[tonic::async_trait]
impl Replica for RaftService {
    type ExecStream = Pin<Box<dyn Stream<Item = Result<ExecPart, Status>> + Send>>;
    type HttpStream = Pin<Box<dyn Stream<Item = Result<HttpChunk, Status>> + Send>>;

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<ProposeReply>, Status> {
        self.speaker(&request)?;
        let end = match self.hub.propose_forwarded(&request.into_inner().entry).await {
            Forwarded::Committed(index) => End::Committed(index),
            Forwarded::Refused { reason, retry, busy } => End::Refused(Refused { reason, retry, busy }),
            Forwarded::NotSent | Forwarded::Unknown => End::Unknown(Unknown {}),
        };
        Ok(Response::new(ProposeReply { end: Some(end) }))
    }

    async fn http(&self, request: Request<HttpRequest>) -> Result<Response<Self::HttpStream>, Status> {
        self.speaker(&request)?;
        Ok(Response::new(self.proxy.answer(request.into_inner()).await.boxed()))
    }

    async fn exec(
        &self,
        request: Request<Streaming<ExecPart>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        self.speaker(&request)?;
        let answer = exec_relay::answer(&self.proxy, request.into_inner()).await?;
        Ok(Response::new(answer.boxed()))
    }
}
