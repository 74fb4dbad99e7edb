//! The scalars of a state.

use std::sync::Arc;

use muster_model::{Revision, TimeMs, Uid};

/// All of a state that is not an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last revision.
    pub revision: Revision,
    /// The time of the last entry.
    pub time: TimeMs,
    /// The hub generation.
    pub generation: u16,
    /// Audit records so far.
    pub audit_sequence: u64,
    /// Hash of the last one.
    pub audit_hash: [u8; 32],
    /// Namespaces whose objects go.
    pub garbage_namespaces: Vec<Arc<str>>,
    /// Owners whose dependents go.
    pub garbage_dependents: Vec<Uid>,
    /// Owners whose dependents stay without them.
    pub garbage_orphans: Vec<Uid>,
    /// The state's digest, to be found again after a restore.
    pub digest: u128,
    /// Where the ledger ends; `None`: nothing was booked yet.
    pub ledger: Option<LedgerHead>,
}

/// Where the ledger ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerHead {
    /// Bookings so far.
    pub sequence: u64,
    /// Hash of the last one.
    pub hash: [u8; 32],
}

durable_structs! {
    LedgerHead => LedgerHead { sequence: sequence, hash: hash }
    Header => Header {
        revision: revision,
        time: time_ms,
        generation: generation,
        audit_sequence: audit_sequence,
        audit_hash: audit_hash,
        garbage_namespaces: garbage_namespaces,
        garbage_dependents: garbage_dependents,
        garbage_orphans: garbage_orphans,
        digest: digest,
        ledger: ledger,
    }
}
