//! The pure heart of a member agent: desired, observed, grants and time in, actions out.

#![deny(clippy::float_arithmetic)]
