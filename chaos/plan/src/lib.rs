//! Faults, fault plans and limits, as values.

#![deny(clippy::float_arithmetic)]
