//! Faults done to real processes, each taken back by the side that did it.
//!
//! ```text
//!  hub --FaultOrder--> Host --may I?--> hub --yes--> FaultFolder (on disk) --> inject --> own timer --> revert --> hub
//!                       |                                                  partition: Gate
//!                       |                                                  kill:      SIGKILL, and Hold at the next start
//!                       |                                                  pause:     a guard process: SIGSTOP .. SIGCONT
//! ```
//!
//! Whatever dies meanwhile, the fault ends: its deadline lies on disk and is looked at first at every start; a guard that
//! dies lets go of the process it holds, by the kernel's hand (see [`lease`]).
//!
//! It must not decide: what may be injected, and for how long, is the hub's.

mod clock;
mod folder;
mod gate;
mod guard;
mod hold;
mod host;
pub mod lease;
mod link;
mod process;
mod record;

pub use clock::{Deadline, Moment};
pub use folder::{FaultFolder, FolderError};
pub use gate::Gate;
pub use guard::{GuardArgs, GuardCommand, guard};
pub use hold::hold;
pub use host::Host;
pub use link::{FaultLink, LinkError, ReportReply};
pub use process::Target;
pub use record::FaultRecord;
