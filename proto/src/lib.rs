//! The wire and durable formats, and their conversions to and from the model.
//!
//! ```text
//!  proto/federation/v1   member agent <-> hub     federation: conversions, fragments
//!  proto/log/v1          replica's disk           log: entries, objects, snapshots
//!  proto/history/v1      replica's disk           history: audit records, bookings, events
//!  proto/raft/v1         replica <-> replica      raft::pb: generated code; the payload is muster-consensus'
//! ```
//!
//! Nothing is decided here. Towards the wire a conversion cannot fail; from the wire every field is checked, and an
//! error names the field.

pub mod federation;
pub mod history;
pub mod hub;
pub mod log;
pub mod raft;
