//! Terraform at the leader's edge: what a burst pool's intents ask for is made and removed here.
//!
//! ```text
//!  committed intents --Runner--> Run: init, plan within limits, apply | destroy, sweep --> IntentStep
//!                                  |  terraform, its own folder, bounded output, killed with leadership
//!                                  v
//!                    /terraform/state/NAME (api::terraform) --> StateStore: sealed, locked, through raft
//! ```
//!
//! Nothing is decided here: which intents there are and how far they are is in the log, and each end of a run is proposed
//! as a step that apply checks. A leader that dies leaves intent, lock and state behind; the next one runs the same again,
//! and every run may be repeated.

mod child;
mod folder;
mod holder;
mod modules;
mod plan_limits;
mod reseal;
mod run;
mod runner;
mod store;
mod version;

pub use holder::Holder;
pub use runner::{Runner, RunnerParts};
pub use store::{Locked, STATE_MAX_BYTES, StateStore, StoreError, sealed_with};
