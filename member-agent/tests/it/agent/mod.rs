//! The whole agent against a small hub over real TLS.

mod authority;
mod hub;
mod joining;
mod running;
mod setup;
