//! The agent of one member cluster: session, inventory, backends, shim.

pub mod backend;
pub mod shim;
