//! The whole federation: simulated on one thread, and as real processes.
//!
//! ```text
//!  sim/      pure machines on virtual time, network and disks that fail, invariants after each step
//!  local/    `muster up` with real processes, certificates and disks, and hands that kill them
//!  tools/    programs of other projects, built from their Go modules: kubectl, API server, etcd, hey
//!  bench/    figures of the real thing beside its peers
//!  splitmix  numbers from a seed
//! ```

pub mod bench;
pub mod invariants;
pub mod local;
pub mod sim;
pub mod splitmix;
pub mod tools;
