//! Real processes: `muster up`, real certificates, real disks, and hands that kill them.

mod bad_input;
mod faults;
mod fencing;
mod journey;
mod kubectl;
mod security;
