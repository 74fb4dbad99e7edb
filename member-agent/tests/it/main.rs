//! Backends and shim with real processes. One binary for the package.

mod conformance;
mod full_disk;
mod processes;
mod shim_faults;
mod worlds;
