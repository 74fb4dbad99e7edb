//! The whole federation as pure parts on virtual time: three replicas (the real consensus driver, state machine and
//! leader), two members (the real machine of the agent, simulated pods), clients as the oracle, and everything that can
//! go wrong between them.
//!
//! ```text
//!  seed --> schedule of faults, workload, timings
//!             |
//!  run: safety phase (faults, clients) --> liveness phase (faults lifted) --> report, trace hash
//!             \__ crate::invariants after each step
//! ```
//!
//! One thread, one clock, no chance but the seed: the same seed gives the same lines of trace in any process.

mod client;
mod clock;
mod counts;
mod coverage;
mod event;
mod fault;
mod hardware;
mod host_pods;
mod hub_machine;
mod leader_task;
mod member;
mod network;
mod operator;
mod plan_file;
mod pod;
mod random;
mod replica;
mod report;
mod run;
mod schedule;
mod shrink;
mod stream;
mod trace;
mod workload;
mod world;

#[cfg(test)]
mod tests;

pub use counts::Counts;
pub use coverage::{Coverage, GRIDS, Grid};
pub use plan_file::{PlanError, PlanFile, read_plan};
pub use report::Report;
pub use run::{RunReport, RunSpec, run};
pub use schedule::{Fault, FaultKind, Scenario};
pub use shrink::shrink;
pub use trace::Show;
