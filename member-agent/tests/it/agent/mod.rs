//! The whole agent against a small hub over real TLS.

mod authority;
mod faults;
mod hub;
mod joining;
mod running;
mod setup;
