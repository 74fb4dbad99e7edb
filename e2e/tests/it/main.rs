//! Real processes: `muster up`, real certificates, real disks, and hands that kill them.

mod bad_input;
mod disk;
mod exec;
mod faults;
mod fencing;
mod journey;
mod kubectl;
mod random_kills;
mod security;
