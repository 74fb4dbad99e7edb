//! Tests of the whole crate: contract of the stores, safety on a simulated network, hostile peers, real threads.

mod contract;
mod damage;
mod faulty;
mod fuzz;
mod group;
mod ledger;
mod safety;
mod snapshots;
mod threads;
mod world;
