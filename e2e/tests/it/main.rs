//! Real processes: `muster up`, real certificates, real disks, and hands that kill them.

mod faults;
mod journey;
mod kubectl;
