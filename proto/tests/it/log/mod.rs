//! The durable format: every value comes back, its bytes do not change, and nothing else is taken.

mod burst_samples;
mod chaos_samples;
mod cluster_samples;
mod golden;
mod job_samples;
mod names;
mod round_trip;
mod samples;
mod samples_books;
mod schema;
mod snapshots;
mod strategies;
mod transfer_samples;
mod unknown;
