//! The API port: the Kubernetes API over the hub.
//!
//! ```text
//!  request --authn--> user --kubeapi::path--> route --authz--> read | watch | write | delete | logs, exec | verbs
//!                                                                 |      |       |
//!                                              frozen State <-----+------+       +--> Hub::propose(Command)
//!  only the leader can answer (Pods, logs, plans) --proxy_out--> the leader's own router
//! ```
//!
//! What bytes mean is decided in `muster-kubeapi`, what becomes of an object in `muster-core`. Here is who may ask, which
//! state answers, how long it may take, and how an answer travels. Nothing here keeps state that a restart would lose.

mod access;
mod admission;
mod authn;
mod authz;
mod burst;
mod call;
mod chaos;
mod containers;
mod delete;
mod denials;
mod discover;
mod exec;
mod fleet;
mod history;
mod items;
mod limits;
mod lists;
mod logs;
mod members;
mod objects;
mod plans;
mod pods;
mod proxy_out;
mod query;
mod read;
mod refusal;
mod respond;
mod router;
mod sealing;
mod snapshots;
mod standing;
mod templates;
mod terraform;
mod told;
mod verbs;
mod watch;
mod watch_source;
mod write;

pub use denials::Denials;
pub use exec::Handoff;
#[cfg(test)]
pub use router::router_within;
pub use router::{ApiState, router};

#[cfg(test)]
mod tests;
