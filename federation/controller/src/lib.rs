//! One replica of the hub: edges and wiring. Whatever decides lives in the pure crates; here are sockets, certificates,
//! threads and clocks.
//!
//! ```text
//!   API port     https   api/      kubeapi facade over Hub                 users: certificates, bearer tokens
//!   agents port  grpc    agents/   join, renew, session                    members: SPIFFE certificates
//!   raft port    grpc    peers/    raft frames, forwarded proposals        replicas: SPIFFE certificates
//!   ops port     http    ops.rs    livez, readyz, metrics                  nobody's identity
//!                          |
//!                        Hub     propose, linearizable view, watch
//!                          |
//!   consensus::Runtime -> machine.rs (core::State) -> watch cache, leader task, history
//! ```
//!
//! It must not decide: an edge that needs a rule asks a pure crate for it.

mod agents;
mod api;
pub mod authorities;
mod certificates;
mod chaos;
mod clock;
mod clocks;
pub mod config;
mod exec_relay;
pub mod history;
mod hub;
mod identity;
pub mod inspect;
mod keeper;
mod leader_task;
mod listen;
mod machine;
mod ops;
mod peers;
pub mod pki;
mod proxy;
mod raft_service;
mod replica;
mod rotation;
pub mod secrets;
mod terraform;
mod tls;
mod watch_cache;

pub use agents::random_id;
pub use chaos::guard_replica;
pub use history::{HistoryConfig, StreamConfig};
pub use hub::{Hub, HubError, now};
pub use identity::{Peer, PeerError};
pub use muster_chaos_inject::GuardCommand;
pub use muster_kubeapi::kinds::{parse_duration, parse_time, quantity};
pub use muster_kubeapi::prices;
pub use muster_leader::CLOCK_LIMIT_MS;
pub use pki::ca_pin;
pub use replica::{StartError, run};
