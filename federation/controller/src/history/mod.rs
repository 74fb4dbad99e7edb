//! History: what apply emits and the state does not keep. Append-only files of this replica, equal on all replicas.
//!
//! ```text
//!  consensus thread --items--> writer thread --frames--> data_dir/history/audit/0000000000001000.seg
//!   (machine.rs)     bounded        |                                     ledger/...   events/...
//!                                   +--> books: sums of the ledger by day, namespace and member
//!  snapshot  --waits for fsync of all before it--^        fetch: what a snapshot of a peer skipped, by hash
//! ```
//!
//! A record has a key that apply gives it: audit records and bookings a sequence without gaps, events their revision. What
//! was written already is not written again, so a replay of the log changes nothing. Nothing is synced to disk record by
//! record: the log is, and it is replayed from the last snapshot; so a snapshot is written only once all history before it
//! is durable. It must not decide anything: nobody's request waits for it, and apply never reads it.

mod books;
mod fetch;
mod frame;
mod item;
mod segment;
mod store;
mod stream;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use books::{By, CostQuery, CostRow, Sums};
pub use fetch::{Offer, Offered, keep_whole, sha256};
pub use frame::records as frame_records;
pub use item::{Item, items_of};
pub use segment::SegmentName;
pub use store::{Heads, HistoryConfig, StreamConfig, hex};
pub use stream::StreamName;
pub use verify::Verdict;
pub use writer::{History, HistoryError};
