//! The rules of leases, grants and fencing (architecture section 5), each as the exact list of actions; and random inputs.

mod acks;
mod breaker;
mod burst;
mod clocks;
mod data;
mod desired;
mod election;
mod fencing;
mod game_days;
mod housekeeping;
mod hub;
mod incarnations;
mod properties;
mod reports;
mod sessions;
