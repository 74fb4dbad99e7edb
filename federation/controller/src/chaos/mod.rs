//! Faults on purpose, at the edge of one replica.
//!
//! ```text
//!  state --orders--> push: members by their sessions      agents port: Faults, reports and orders beside the session
//!        --orders--> replica: this one's own host, and what holds it after a kill
//!  schedules, submissions --facts--> the pure leader's game-day timer
//! ```

mod facts;
mod plans;
mod push;
mod replica;
mod submit;

pub use facts::facts;
pub use plans::DayAnswer;
pub use push::{late_members, orders_of, tell, told_members};
pub use replica::{OrderJson, guard_replica, hold_replica, report_fault, start_host};
pub use submit::submit;
