//! The agents port: members join, renew, and hold one session each with the leader.
//!
//! ```text
//!  Session stream --> service --> leader task (pure Leader)   what decides
//!                        |          + documents               what templates name, sent along
//!                        |------> mirrors                     Pods, for people
//!                        +------> streams                     chunks of logs that somebody waits for
//!  Exec stream ------> service --> execs                       a command that somebody runs in a pod
//! ```

mod documents;
mod execs;
mod mirrors;
mod service;
mod sessions;
mod streams;

pub use documents::TravellingDocuments;
pub use execs::{CONTACT, ExecPipe, ExecUnavailable, Execs, broken, pipe};
pub use mirrors::{MirroredPod, Mirrors};
pub use service::{AgentService, MESSAGE_MAX, random_id, random_uid, secret, token_hash};
pub use sessions::{SessionOutbox, Sessions};
pub use streams::{LogStream, Streams};
