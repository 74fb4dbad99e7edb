//! Transport between the replicas of one hub: generated code only.

/// Generated from `proto/raft/v1/raft.proto`.
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("muster.raft.v1");
}
