//! Sessions of members: revocation, and two agents under one name.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use muster_e2e::local::{Federation, until_within};
use muster_proto::federation::pb::federation_client::FederationClient;
use muster_proto::federation::pb::hub_message::Body as FromHub;
use muster_proto::federation::pb::member_message::Body;
use muster_proto::federation::pb::{Capacity, Heartbeat, Hello, HubMessage, Incarnation, MemberMessage};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::certificates::{Identity, Maker};
use super::connect::{Port, address, channel};
use super::joining::{join, join_token};

/// How long anything may take that the hub does at once.
const SOON: Duration = Duration::from_secs(5);

/// An agent as far as the hub can see.
struct Agent {
    out: mpsc::Sender<MemberMessage>,
    incoming: Streaming<HubMessage>,
}

impl Agent {
    /// Opens a session with the leader and says hello as this incarnation.
    async fn open(federation: &Federation, identity: &Identity, name: &str, incarnation: u8) -> Agent {
        let leader = federation.leader().await;
        let hub = Maker::of(federation);
        let (out, messages) = mpsc::channel(16);
        let channel = channel(&address(federation, &leader, Port::Agents), hub.ca(), identity);
        let session =
            FederationClient::new(channel).session(ReceiverStream::new(messages)).await.expect("a session");
        let incarnation = Incarnation { folder: vec![incarnation; 16].into(), boot: vec![1; 16].into() };
        let capacity = Capacity {
            member: name.to_owned(),
            incarnation: Some(incarnation),
            agent_version: "test".to_owned(),
            gpu_source: 1,
            ..Capacity::default()
        };
        let hello = Hello { capacity: Some(capacity), attempts: Vec::new() };
        let agent = Agent { out, incoming: session.into_inner() };
        assert!(agent.say(Body::Hello(hello)).await);
        agent
    }

    async fn say(&self, body: Body) -> bool {
        self.out.send(MemberMessage { body: Some(body) }).await.is_ok()
    }

    /// The next message; `None` when the hub has ended the session.
    async fn hear(&mut self) -> Option<FromHub> {
        let message = tokio::time::timeout(SOON, self.incoming.message())
            .await
            .expect("the hub says something in time");
        message.ok().flatten().and_then(|message| message.body)
    }

    /// Waits for an acknowledgement of this heartbeat or a later one.
    async fn acknowledged(&mut self, seq: u64) {
        loop {
            match self.hear().await {
                Some(FromHub::Ack(ack)) if ack.seq >= seq => return,
                Some(FromHub::Close(close)) => panic!("closed: {}", close.reason),
                Some(_) => {}
                None => panic!("the session ended"),
            }
        }
    }

    /// Waits for the end of the session; gives the hub's reason.
    async fn closed(&mut self) -> String {
        let mut reason = String::new();
        while let Some(message) = self.hear().await {
            if let FromHub::Close(close) = message {
                reason = close.reason;
            }
        }
        reason
    }
}

pub async fn a_revoked_member_is_out(federation: &Federation) {
    let token = join_token(federation, "revoked", 60).await;
    let identity =
        join(federation, "revoked", token["token"].as_str().expect("text")).await.expect("it joins");
    let mut agent = Agent::open(federation, &identity, "revoked", 1).await;
    agent.acknowledged(0).await;
    let path = "/muster/v1/clusters/revoked/revoke";
    let reply = federation.api().request(Method::POST, path, None).await.expect("an answer");
    assert_eq!(reply.status, StatusCode::OK);
    let revoked_at = Instant::now();
    agent.say(Body::Heartbeat(Heartbeat { seq: 1 })).await;
    assert!(agent.closed().await.contains("revoked"), "its open session is closed");
    assert!(revoked_at.elapsed() < SOON);
    // On every replica, for renewal and for a new session.
    let hub = Maker::of(federation);
    for controller in federation.names("controller") {
        let refused = until_within(SOON, "every replica to know", || async {
            let channel = channel(&address(federation, &controller, Port::Agents), hub.ca(), &identity);
            let csr_der = super::certificates::key_and_request().1.into();
            let request = muster_proto::federation::pb::RenewRequest { csr_der };
            FederationClient::new(channel).renew(request).await.err()
        })
        .await;
        assert!(refused.message().contains("revoked"), "{controller}: {}", refused.message());
    }
    // A newer join makes it a member again.
    let token = join_token(federation, "revoked", 60).await;
    let again = join(federation, "revoked", token["token"].as_str().expect("text")).await.expect("it joins");
    let mut agent = Agent::open(federation, &again, "revoked", 1).await;
    agent.acknowledged(0).await;
}

/// Two agents with good certificates of one member: the first may be running jobs, so the second waits.
pub async fn a_second_agent_is_refused(federation: &Federation) {
    let token = join_token(federation, "twice", 60).await;
    let identity = join(federation, "twice", token["token"].as_str().expect("text")).await.expect("it joins");
    let mut first = Agent::open(federation, &identity, "twice", 1).await;
    first.acknowledged(0).await;
    let mut second = Agent::open(federation, &identity, "twice", 2).await;
    let reason = second.closed().await;
    assert!(reason.contains("another agent holds the lease of twice"), "{reason}");
    assert!(first.say(Body::Heartbeat(Heartbeat { seq: 1 })).await);
    first.acknowledged(1).await;
    // The same agent, after its connection broke.
    let mut anew = Agent::open(federation, &identity, "twice", 1).await;
    anew.acknowledged(0).await;
    let reason = first.closed().await;
    assert!(reason.contains("newer session"), "{reason}");
    // A member speaks for itself only.
    let mut liar = Agent::open(federation, &identity, "onprem-paris", 1).await;
    assert!(liar.closed().await.contains("onprem-paris is not twice"), "whom the certificate names");
}
