//! Fault plans of game days, as values: drawn from a fleet by a seed, known by a hash, held against limits, judged.
//!
//! ```text
//!  GameDaySpec + Fleet --resolve--> FaultPlan --hash--> what an approval binds
//!                                       |----over-----> the first limit it would break, by field
//!  GameDayRun --judge--> Ruling
//! ```
//!
//! Pure: whoever runs a plan asks here, and does nothing that is not in it.

#![deny(clippy::float_arithmetic)]

mod draw;
mod fleet;
mod hash;
mod limits;
mod resolve;
mod verdict;

#[cfg(test)]
mod tests;

pub use fleet::{Fleet, FleetMember};
pub use hash::plan_hash;
pub use limits::over;
pub use resolve::{PlanError, resolve};
pub use verdict::{MissingProbe, judge, missing_probe};
