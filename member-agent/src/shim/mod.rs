//! The shim: one small process per pod, between the agent and the job's processes.
//!
//! ```text
//!  agent --spec.json--> muster shim --dir DIR --fork, new PID namespace--> shim (init) --exec--> job
//!    |  <--exit.json--                                                       |  stdout, stderr -> log, log.1
//!    +-------------- shim.sock: status, renew, stop, signal, attach ---------+
//! ```
//!
//! It outlives the agent, holds the attempt's fence deadline, keeps the log bounded and the exit status until
//! the agent removes the folder. As init of a PID namespace its own death kills every process of the pod; where
//! that is not permitted it is a subreaper and says so, and the backend then offers no fencing.
//!
//! It plays the containers of one pod by the template's rules, restarts in place included, and decides nothing about
//! jobs; `exec` puts commands beside it (`enter`). It uses no async runtime, because it exists once per pod.

pub mod client;
pub mod clock;
pub mod confidential;
mod control;
pub mod deadline;
pub(crate) mod descriptors;
pub mod durable;
pub(crate) mod enter;
pub mod error;
pub mod identity;
pub mod isolation;
mod job;
pub(crate) mod launch;
mod lifecycle;
pub mod log_line;
mod log_pump;
mod log_writer;
mod mounts;
pub(crate) mod processes;
pub mod protocol;
pub mod record;
pub mod spec;
mod streams;
mod supervisor;
mod volumes;
mod wakes;

pub use enter::enter;
pub use launch::run;
