//! Backends, shim and the whole agent, with real processes. One binary for the package.

mod agent;
mod attaches;
mod conformance;
mod execs;
mod full_disk;
mod pods;
mod processes;
mod shim_faults;
mod worlds;
