//! What the formats promise, from outside the crate.

mod log;
