//! The pure heart of a member agent: desired, observed, grants and time in, actions out.
//!
//! ```text
//!  hub ---- ToMember ---> +---------+ --- Send(ToHub) ----> hub
//!  backend - PodChanged -> | Machine | --- Start, Stop, Renew, Remove --> backend
//!  timer --- Tick ------> +---------+ --- Persist(records) --> journal --Machine::recover--> after a crash
//! ```
//!
//! Beside it [`Fetch`] decides one transfer of a dataset.
//!
//! Rules that a change must keep: a passed deadline is looked at before any input and is final; a deadline counts from
//! the *sending* of the heartbeat that the hub acknowledged; pods start only under a full desired set of a session whose
//! hello was acknowledged, and only while the lease lasts; an attempt is over only when every pod of it is known dead.
//! No backend, no network, no clock in here.
#![deny(clippy::float_arithmetic)]

mod action;
mod attempt;
mod clock;
mod completion;
mod desired;
mod fetch;
mod gpus;
mod index_tally;
mod input;
mod machine;
mod pod;
mod reconcile;
mod record;
mod recover;
mod reports;
mod session;
mod tally;

pub use action::{Action, Note, PodStart};
pub use attempt::{Ended, Ending, Phase};
pub use clock::Clock;
pub use fetch::{CHUNK_TRIES, Chunk, Fetch, FetchAction, FetchEnd, FetchInput};
pub use gpus::capacity_without;
pub use input::{Absent, Input, Observation};
pub use machine::{Machine, PodView};
pub use pod::{EndReason, Pod, PodEnd, PodId, PodState, PodStop, pod_name};
pub use record::{AttemptRecord, PodRecord, Record};

/// Kept free between SIGKILL and the fence deadline.
pub const KILL_BUDGET_MS: u64 = 2_000;
/// Between two heartbeats.
pub const HEARTBEAT_MS: u64 = 2_000;
/// A session without an acknowledgement for so long is given up.
pub const SESSION_TIMEOUT_MS: u64 = 10_000;
/// The lease: so long after the sending of the last acknowledged heartbeat nothing is started any more.
pub const LEASE_MS: u64 = 17_500;
