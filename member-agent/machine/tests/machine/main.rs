//! The machine as its edge uses it: inputs in, actions out, crashes in between.

mod fences;
mod fetch;
mod policies;
mod random;
mod restarts;
mod retries;
mod rig;
mod rules;
mod sessions;
mod world;
