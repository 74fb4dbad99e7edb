//! How each fault strikes and ends.
//!
//! ```text
//!  plan --Event::Fault--> strike --by theme--> network | disk | clock | process | member | hardware | identity --> Undo
//!                                                                             Event::Mend --> undo
//! ```
//!
//! A fault that cannot take effect (the process is down already) is passed over and not counted.

mod clock;
mod disk;
mod hardware;
mod identity;
mod kind;
mod member;
mod network;
mod process;
mod strike;
mod target;
mod undo;

pub use kind::{FaultKind, Theme};
pub(in crate::sim) use undo::Undo;
