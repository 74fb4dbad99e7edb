//! The agent stream: what a member's agent and the hub say to each other.
//!
//! ```text
//!  MemberMessage --From--> pb::MemberMessage --fragment--> frames <= 1.5 MiB --> wire
//!  MemberMessage <-TryFrom- pb::MemberMessage <-Assembler-- frames            <-- wire
//! ```
//!
//! Nothing is checked here that needs to know who speaks: that a member reports only on itself is the hub's to see.

mod capacity;
mod cluster;
mod container;
mod desired;
mod documents;
mod exec;
mod faults;
mod field;
mod fragment;
mod hub_message;
mod identity;
mod job;
mod member_message;
mod pod;
mod report;
#[cfg(test)]
mod tests;

pub use container::{ContainerEnd, ContainerMirror, ContainerState};
pub use documents::{AttemptDocuments, DocumentKind, PodDocument};
pub use exec::{ExecFrame, ExecRequest, ExecStreams, TerminalSize};
pub use faults::{FaultReport, FaultsRequest, FaultsResponse};
pub use field::FieldError;
pub use fragment::{Assembler, FragmentError, Frame, frames};
pub use hub_message::{HubMessage, LogRequest};
pub use identity::{Identity, JoinRequest, RENEWAL_GRACE};
pub use member_message::{JobNote, MemberMessage, StreamChunk, StreamError, StreamErrorCode};
pub use pod::{PodMirror, PodPhase, PodRef, PodUpdates};

/// The largest frame that either side sends or takes, in bytes: 1.5 MiB. Both sides set it as the decoding limit.
pub const MAX_FRAME_BYTES: usize = 3 << 19;

/// Generated from `proto/federation/v1/federation.proto`.
pub mod pb {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("muster.federation.v1");
}
