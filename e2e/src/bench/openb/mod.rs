//! `openb`: how much of a GPU cluster the engine's rule fills, on Alibaba's trace of 2023, beside Fragmentation Gradient
//! Descent (FGD, Weng et al., ATC'23), by its published protocol.
//!
//! ```text
//!  CSV -> Trace -> arrivals(seed) -> replay on Muster's Packer -> Outcome -> one line of JSON per seed
//!                                 -> replay on Fgd             /
//! ```
//!
//! The trace is read from files that are named; none of it is part of this repository. Without files a small made-up trace
//! is replayed, which says that it works and nothing more.

mod arrivals;
mod fgd;
mod line;
mod muster;
mod replay;
mod report;
mod run;
mod seeds;
mod synthetic;
mod trace;

pub use report::{measure, published, samples, targets};
pub use run::{Order, run};
pub use seeds::Seeds;
pub use trace::Trace;
