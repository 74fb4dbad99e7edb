//! The replicated state machine: `State::apply(entry)` gives an answer to the proposer and events to everyone.
//!
//! ```text
//!  Entry { time, command } --> State::apply --> Applied { answer, events }
//!                                 |
//!         objects + scalars  (what a snapshot holds, and what the digest covers)
//!         indexes            (derived: rebuilt on restore)
//! ```
//!
//! It holds for every replica: same entries, same bytes. So there is no clock, no I/O, no randomness, no hash map and no
//! float here, apply never parses text, and it cannot fail on input: a business "no" is a [`muster_model::Rejection`].
//!
//! A `State` is made of persistent maps: a clone costs a few pointers, so readers, watches, lists and snapshots each hold
//! a frozen state while apply goes on.
#![deny(clippy::float_arithmetic)]

mod apply;
mod audit;
mod by_key;
mod digest;
mod index;
mod intern;
mod invariants;
mod ledger;
mod state;

pub use apply::Applied;
pub use audit::{ChainHead, audit_link};
pub use invariants::{Violation, check as check_invariants, check_jobs as check_job_invariants};
pub use ledger::{Bill, booking_link};
pub use state::{Header, RestoreError, State};
