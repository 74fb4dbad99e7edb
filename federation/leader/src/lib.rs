//! What only a leader decides: liveness of members, planning, expiry.
//!
//! ```text
//!  Input: state and events, sessions, messages, reads and proposals done, ticks
//!    -> Leader::step(input, now)
//!         rounds        which heartbeats a ReadIndex round may acknowledge
//!         leases        who is in contact; breaker: is it the fleet or the hub
//!         grants        when an attempt under Fence may count as dead
//!         desired       what each member shall run, and what it was told
//!         drains, game_days, probes                    what is moved, broken on purpose, and looked at meanwhile
//!         reports, capacity, planner, burst, housekeeping    what is proposed
//!    -> Vec<Action>: propose, start a read, send, close
//! ```
//!
//! [`Clocks`] is beside it, in every replica: whether its time of day may lead at all.
//!
//! Pure: no clock, no I/O, no randomness. All of it dies with leadership: whatever must outlive it goes through the log.
//! A new leader starts every clock anew, so that a hub that blinked touches nobody's job.
//!
//! What the driver owes it:
//! - `now` comes from a clock that never goes back and does not stand still while the machine sleeps;
//! - every entry applied after the state given to [`Leader::new`] is told, in order;
//! - the events of an entry, with the state after it, come before that entry's `ProposalDone`;
//! - `ReadDone` comes only when the state given last has reached the round's read index;
//! - proposals enter the log in the order given.
#![deny(clippy::float_arithmetic)]

mod breaker;
mod burst;
mod capacity;
mod clocks;
mod config;
mod data;
mod desired;
mod drains;
mod fences;
mod game_days;
mod grants;
mod hello;
mod housekeeping;
mod input;
mod leader;
mod lease;
mod liveness;
mod outbox;
mod planner;
mod probes;
mod reports;
mod rounds;
mod session;

pub use burst::{PoolOutlook, Verdict as PoolVerdict};
pub use clocks::{CLOCK_LIMIT_MS, ClockSample, Clocks};
pub use config::Config;
pub use game_days::{Asked, ChaosFacts, DayPlan};
pub use input::{Action, Input, Outcome, ProposalId, RoundId, SessionId};
pub use leader::Leader;
pub use lease::LeaseTimes;
