//! The agent of one member cluster: session, inventory, backends, shim.
//!
//! ```text
//!  hub <--TLS, one stream--> session --+             +--> journal, state folder
//!                                      +--> machine -+
//!  processes <-- shim <-- backend -----+   (decides) +--> pods, mirrors, logs
//! ```
//!
//! The agent carries out; what is decided is decided in `muster-member-machine`. It keeps nothing that the hub needs to be
//! right: whatever it says is said again until it was taken.

mod agent;
pub mod backend;
mod backoff;
mod data;
mod dial;
mod execs;
mod faults;
mod gpu_watch;
mod identity;
mod inventory;
mod join;
mod journal;
mod logs;
mod mirror;
mod pods;
mod session;
pub mod shim;
mod state_folder;
mod tls;

pub use agent::{AgentConfig, BadFlag, UnusableFolder, run};
pub use backend::process::ShimCommand;
pub use data::{Manifest, ManifestError};
pub use faults::{AgentGuard, guard_agent};
pub use identity::needs_join;
pub use inventory::MemberEntry;
pub use join::{JoinInfo, Refused};
pub use muster_chaos_inject::{GuardArgs, GuardCommand, Target};
