//! Consensus: an ordered, replicated log of opaque bytes, and the state machine that follows it.
//!
//! ```text
//!  ticks, peer messages, proposals, reads
//!        |
//!  +-----v------ Driver (synchronous, stepped by a thread or by the simulator) ------+
//!  | Replica   sans-IO raft: inputs -> what to send, persist, apply, answer           |
//!  | LogStore  one batch, one write, one fsync (segments | memory)                    |
//!  | StateMachine  apply(index, term, bytes) -> answer; freeze; restore               |
//!  +-----+-----------------------------------------------------------------------------+
//!        v
//!  messages to peers, answers, events, snapshot jobs for another thread
//! ```
//!
//! The loop keeps raft's order: the leader's messages leave at once, then one batch is made durable, then the
//! messages that promise durability leave, then committed entries are applied, then answers are given.
//!
//! The crate names no command and no document: the payload is bytes. It is the only crate that knows the raft
//! library and protobuf 2; neither shows in its public interface. [`Runtime`] is the only part with a clock.

mod config;
mod driver;
mod entry;
mod ids;
pub mod log_store;
mod membership;
mod replica;
mod runtime;
pub mod snapshot;
mod state_machine;
mod wire;

pub use config::{CompactionPolicy, DriverConfig, Limits, ReplicaConfig, Timing};
pub use driver::{
    Answer, Driver, DriverError, Effects, Event, Input, Outbox, Outcome, SnapshotJob, SnapshotWritten,
};
pub use entry::{Batch, EntryKind, HardState, LogEntry, LogPosition, Restored, SnapshotWrite};
pub use ids::{ClusterId, Identity, ReplicaId, Token};
pub use membership::{Membership, MembershipChange};
pub use replica::{
    Committed, Outbound, Outputs, Payload, PeerError, ReadOutcome, Refusal, Replica, ReplicaError, Role,
    Settled, SnapshotOffer, Status,
};
pub use runtime::{Handle, Runtime, RuntimeConfig, RuntimeStatus, Stopped};
pub use state_machine::{FrozenState, MachineError, StateMachine};
