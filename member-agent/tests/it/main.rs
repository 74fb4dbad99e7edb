//! Backends and shim with real processes. One binary for the package.

mod conformance;
mod processes;
mod shim_faults;
mod worlds;
