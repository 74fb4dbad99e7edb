//! Members: what is stored of them, and their leases, which only the leader knows.

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use muster_kubeapi::kinds::Lease;
use muster_kubeapi::path::Request;
use muster_kubeapi::resource::Verb;
use muster_model::{MemberName, kinds};

use super::call::Call;
use super::items::Item;
use super::proxy_out;

/// The leader's answer to a read of members. `None`: answer it here, with leases if this replica leads, else without.
pub async fn at_leader(call: &Call, request: &Request) -> Option<Response<Body>> {
    let reads = matches!(request.verb, Verb::Get | Verb::List);
    let stale_will_do = request.options.resource_version == Some(0);
    if !reads || stale_will_do || request.resource.qualified() != kinds::CLUSTER {
        return None;
    }
    let hub = &call.api.hub;
    let leader = hub.leader().filter(|leader| *leader != hub.id() && !call.user.passed_on)?;
    proxy_out::pass_on(call, leader, Bytes::new()).await.ok()
}

/// Adds what this replica knows of leases; nothing if it does not lead.
pub async fn with_leases(call: &Call, items: &mut [Item]) {
    for item in items {
        if let Item::Stored(_, object, lease) = item
            && object.cluster().is_some()
        {
            let times = call.api.leader.lease(MemberName::new(&*object.key.name)).await;
            *lease = times.map(|times| Lease { renewed_at: times.renewed, expires_at: times.expires });
        }
    }
}
