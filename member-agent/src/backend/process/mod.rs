//! Pods as local processes: the command and arguments of the template under a shim each, in a folder of their own.
//!
//! ```text
//!  template -> command + environment -> spec.json -> muster shim -> records, log -> observation
//! ```
//!
//! Images, mounts, probes and security contexts are not honoured: what a job can do without is warned about, what
//! it would miss is refused. Memory and CPU limits are not enforced: as rlimits they break CUDA, which reserves
//! address space by the terabyte. The core dump limit is 0.

mod backend;
mod changes;
mod environment;
mod exec;
mod expand;
mod gang;
mod gang_ports;
mod leftovers;
mod observation;
mod template;
mod terminal;

pub use backend::{ProcessBackend, ProcessConfig, ShimCommand};
