//! The HTTP shapes of the Kubernetes API over the model.
//!
//! ```text
//! path + query --path--> Request --negotiate--> formats
//! body --document--> Value --validate, patch--> Value (stored by the caller)
//! stored bytes --list, table, watch--> response bytes
//! anything wrong --> Status
//! ```
//!
//! Everything here is a function of its arguments: no socket, no task, no clock, no file. The controller performs
//! what these functions say. What a kind is (schema, columns, defaults) is one file in [`kinds`].

pub mod cron;
pub mod discovery;
pub mod document;
pub mod exec_options;
pub mod field;
pub mod kinds;
pub mod list;
pub mod log_options;
pub mod negotiate;
pub mod openapi;
pub mod options;
pub mod patch;
pub mod path;
pub mod prices;
pub mod protobuf;
mod quote;
pub mod resource;
#[cfg(test)]
mod samples;
pub mod schema;
pub mod select;
pub mod status;
pub mod table;
pub mod validate;
pub mod watch;
mod wire_format;
