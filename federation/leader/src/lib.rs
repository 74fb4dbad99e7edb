//! What only a leader decides: liveness of members, planning, expiry.

#![deny(clippy::float_arithmetic)]
