//! Pods as local processes: the command and arguments of the template under a shim each, in a folder of their own.
//!
//! ```text
//!  template + documents -> PodPlan -> spec.json, standard input -> muster shim -> records, logs -> observation
//! ```
//!
//! Images, probes and security contexts are not honoured: what a job can do without is warned about, what it would
//! miss is refused. Volumes need a mount namespace (decision 0007). Memory and CPU limits are not enforced: as rlimits they break CUDA, which reserves
//! address space by the terabyte. The core dump limit is 0.

mod attach;
mod backend;
mod changes;
mod containers;
mod disk;
mod downward;
mod environment;
mod exec;
mod expand;
mod fields;
mod gang;
mod gang_ports;
mod leftovers;
mod observation;
mod references;
mod template;
mod terminal;
mod volumes;

pub use backend::{ProcessBackend, ProcessConfig, ShimCommand};
