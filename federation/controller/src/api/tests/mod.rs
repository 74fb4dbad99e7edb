//! The API against a hub of one replica: real consensus, a real log on disk, no network.

mod bodies;
mod identity;
mod lists;
mod own;
mod pods;
mod secrets;
mod travelling;
mod watches;
mod world;
mod writes;
