//! Real processes: `muster up`, real certificates, real disks, and hands that kill them.

mod bad_input;
mod books;
mod burst;
mod chaos;
mod clocks;
mod containers;
mod disk;
mod exec;
mod faults;
mod fencing;
mod grants;
mod inspect;
mod journey;
mod kubectl;
mod partitions;
mod policies;
mod power_loss;
mod price_feed;
mod random_kills;
mod sealed;
mod security;
mod transfers;
