//! A federation of real processes on this machine: `muster up` in a folder of its own, on free ports.

mod federation;
mod jobs;
mod wait;

pub use federation::{Federation, Options, muster_exe};
pub use jobs::{condition, job, job_path, jobs_path, sleep_job};
pub use wait::{until, until_within};
