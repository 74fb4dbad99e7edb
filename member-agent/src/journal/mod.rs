//! The machine's memory on disk: records appended and synced, compacted by rewrite and rename.
//!
//! ```text
//!  frame:  length (4 bytes) | CRC-32C of the length (4) | CRC-32C of the payload (4) | payload: one record
//! ```
//!
//! Numbers are little-endian. A frame that is cut short at the end was being written when the machine went down: it is cut off, nothing was done on
//! it. Anything else that does not fit is damage, and the agent refuses to guess: it names file and offset.

mod codec;
mod file;

pub(crate) use file::Journal;
