//! Random histories of the state machine: invariants at each index, equal replay, snapshot round trip; and the rules of
//! deletion, leases and reservations one by one.

mod burst;
mod faults;
mod histories;
mod ledger;
mod policies;
mod rules;
mod transfers;
mod world;
