//! Benchmarks of the real thing, beside its peers, in one run.
//!
//! ```text
//!  command --Context--> create, list, memory, disk, failover, restart_all, submit, placement, ledger, openb, replan --Samples--> Report -> table, JSON
//!                          |
//!                          v
//!  Subject = muster (`muster up`, 3 replicas, fsync) | peer (kube-apiserver + etcd) | limit (echo of the HTTP stack)
//! ```
//!
//! A benchmark is one file: it measures, and says which figures it wants. Everything runs on loopback, in temporary folders,
//! and is gone when it ends. Nothing here is used by the product.

mod bodies;
mod command;
mod context;
mod create;
mod disk;
mod echo;
mod endpoint;
mod failover;
mod figures;
mod first_write;
mod hey;
mod ledger;
mod list;
mod load;
mod machine;
mod memory;
mod openb;
mod peer;
mod placement;
mod process;
mod progress;
mod replan;
mod report;
mod restart_all;
mod stopwatch;
mod subject;
mod submit;
mod table;
mod trials;

pub use command::main;
