//! Each kind of certificate on each port.

use muster_e2e::local::Federation;
use muster_proto::federation::pb::federation_client::FederationClient;
use muster_proto::federation::pb::{MemberMessage, RenewRequest};
use muster_proto::hub::pb::{HttpRequest, replica_client::ReplicaClient};
use tonic::{Code, Status};

use super::certificates::{Identity, Maker, key_and_request, nobody};
use super::connect::{Port, address, channel, get};

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    /// It was let in.
    In,
    /// Its connection was refused.
    NoConnection,
    /// HTTP status.
    Http(u16),
    /// gRPC status.
    Grpc(Code),
}

use Got::{Grpc, Http, In, NoConnection};

const UNKNOWN: Got = Grpc(Code::Unauthenticated);
const FORBIDDEN: Got = Grpc(Code::PermissionDenied);

/// What an identity gets: on the API, renewing, opening a session, asking as a replica.
type Row = (Identity, [Got; 4]);

pub async fn each_certificate_on_each_port(federation: &Federation) {
    let hub = Maker::of(federation);
    let leader = federation.leader().await;
    let mut wrong = Vec::new();
    for (identity, want) in rows(&hub) {
        let got = tries(federation, &hub, &leader, &identity).await;
        if got != want {
            wrong.push(format!("{}: got {got:?}, want {want:?}", identity.what));
        }
    }
    assert!(wrong.is_empty(), "[API, renew, session, raft]\n{}", wrong.join("\n"));
}

fn rows(hub: &Maker) -> Vec<Row> {
    let other = Maker::foreign();
    let nowhere = [NoConnection; 4];
    vec![
        (nobody(), [Http(401), UNKNOWN, UNKNOWN, NoConnection]),
        (hub.user("admin", "petra", &["system:masters"]), [Http(200), FORBIDDEN, FORBIDDEN, FORBIDDEN]),
        (hub.user("user without group", "dana", &[]), [Http(403), FORBIDDEN, FORBIDDEN, FORBIDDEN]),
        (
            hub.user("user with a member's name", "onprem-paris", &[]),
            [Http(403), FORBIDDEN, FORBIDDEN, FORBIDDEN],
        ),
        (
            hub.user("user with a replica's name", "controller-1", &[]),
            [Http(403), FORBIDDEN, FORBIDDEN, FORBIDDEN],
        ),
        (hub.member("member", "onprem-paris", 0), [Http(401), In, In, FORBIDDEN]),
        (hub.member("expired member", "onprem-paris", 49), [NoConnection, UNKNOWN, UNKNOWN, NoConnection]),
        (hub.member("member that is not there", "nowhere", 0), [Http(401), UNKNOWN, UNKNOWN, FORBIDDEN]),
        (
            hub.long_expired_member("long expired member", "onprem-paris"),
            [NoConnection, UNKNOWN, UNKNOWN, NoConnection],
        ),
        (hub.replica("replica", "controller-1"), [Http(401), FORBIDDEN, FORBIDDEN, In]),
        (
            hub.replica("replica that is not there", "controller-9"),
            [Http(401), FORBIDDEN, FORBIDDEN, FORBIDDEN],
        ),
        (other.user("another authority's admin", "petra", &["system:masters"]), nowhere),
        (other.member("another authority's member", "onprem-paris", 0), nowhere),
        (other.replica("another authority's replica", "controller-1"), nowhere),
    ]
}

async fn tries(federation: &Federation, hub: &Maker, leader: &str, identity: &Identity) -> [Got; 4] {
    let at = |port| address(federation, leader, port);
    let agents = channel(&at(Port::Agents), hub.ca(), identity);
    let raft = channel(&at(Port::Raft), hub.ca(), identity);
    let api = get(&at(Port::Api), hub.ca(), identity, "/api/v1/namespaces", None).await;
    let renewed = FederationClient::new(agents.clone())
        .renew(RenewRequest { csr_der: key_and_request().1.into() })
        .await;
    let (_held, messages) = tokio::sync::mpsc::channel::<MemberMessage>(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let session = FederationClient::new(agents).session(messages).await;
    // What a replica may ask for anybody, which is the most that there is to get.
    let request = HttpRequest {
        method: "GET".to_owned(),
        uri: "/api/v1/namespaces".to_owned(),
        user: "petra".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..HttpRequest::default()
    };
    let asked = ReplicaClient::new(raft).http(request).await;
    [api.map_or(NoConnection, Http), outcome(renewed.err()), outcome(session.err()), outcome(asked.err())]
}

fn outcome(failure: Option<Status>) -> Got {
    match failure.map(|status| status.code()) {
        None => In,
        // What tonic says when there is no connection; the hub itself gives these codes to nobody whom it lets in here.
        Some(Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled) => NoConnection,
        Some(code) => Grpc(code),
    }
}
