//! A federation of real processes on this machine: `muster up` in a folder of its own, on free ports.

mod federation;
mod freeze;
mod hub;
mod jobs;
mod lab;
mod lossy_disk;
mod outside;
mod replicas;
mod small_disk;
mod wait;
mod witness;

pub use federation::{Federation, Options, muster_exe};
pub use freeze::Frozen;
pub use hub::{Fsync, Hub};
pub use jobs::{Run, condition, job, job_path, jobs_path, runs_of, sleep_job};
pub use lab::{Cable, Cut, Lab, Namespace};
pub use lossy_disk::{LossyDisk, with_own_mounts};
pub use outside::{Outside, shims};
pub use replicas::{names_in, until_equal};
pub use small_disk::SmallDisk;
pub use wait::{until, until_within};
pub use witness::{Life, Script, Witness, now_ms};
