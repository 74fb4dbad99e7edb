//! What replicas ask each other: forwarded proposals and requests that only the leader answers.

/// Generated from `proto/hub/v1/hub.proto`.
#[allow(missing_docs, clippy::all)]
pub mod pb {
    tonic::include_proto!("muster.hub.v1");
}
