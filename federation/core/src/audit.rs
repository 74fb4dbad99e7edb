//! The audit chain: one record per state-changing request, each bound to the one before by its hash (S17).

use std::sync::Arc;

use muster_model::{AuditRecord, AuditVerb, Key, Principal, Revision, TimeMs, Uid};
use sha2::{Digest, Sha256};

/// Where a chain ends: all that the state keeps of it. The records are emitted as events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChainHead {
    /// Records so far.
    pub sequence: u64,
    /// Hash of the last one.
    pub hash: [u8; 32],
}

/// What a record says, before it is chained.
pub struct Request<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// What.
    pub verb: AuditVerb,
    /// On what.
    pub key: &'a Key,
    /// Which one.
    pub uid: Option<Uid>,
    /// Why not.
    pub refused: Option<Arc<str>>,
    /// How many denied requests alike it stands for.
    pub denied: u32,
    /// More on it.
    pub detail: Arc<str>,
}

impl ChainHead {
    /// The next record of the chain.
    pub fn append(&mut self, request: Request<'_>, time: TimeMs, revision: Revision) -> AuditRecord {
        self.sequence += 1;
        let mut record = AuditRecord {
            sequence: self.sequence,
            time,
            principal: request.principal.clone(),
            verb: request.verb,
            key: request.key.clone(),
            uid: request.uid,
            revision,
            refused: request.refused,
            denied: request.denied,
            detail: request.detail,
            chain: self.hash,
        };
        record.chain = audit_link(&record, self.hash);
        self.hash = record.chain;
        record
    }
}

/// The hash that a record must have behind this one: SHA-256 over the previous hash and the fields in order, each text
/// preceded by its length.
pub fn audit_link(record: &AuditRecord, previous: [u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    for number in [record.sequence, record.time.0, record.revision.0, record.verb as u64] {
        hash.update(number.to_be_bytes());
    }
    hash.update(record.uid.map_or(0, |uid| uid.0).to_be_bytes());
    let refused = record.refused.as_deref().unwrap_or_default();
    for text in [
        record.principal.as_str(),
        record.key.kind.as_str(),
        &record.key.namespace,
        &record.key.name,
        refused,
    ] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    // Ordinary records are hashed as they were before there were others.
    if record.denied > 0 {
        hash.update(record.denied.to_be_bytes());
    }
    if !record.detail.is_empty() {
        hash.update((record.detail.len() as u64).to_be_bytes());
        hash.update(record.detail.as_bytes());
    }
    hash.finalize().into()
}
