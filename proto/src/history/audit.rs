//! Links of the audit chain.

use muster_model::{AuditRecord, AuditVerb, Key, Principal, Revision, TimeMs, Uid};
use prost::Message;

use super::{RecordError, bytes_of, number, pb};
use crate::log::{enum_form, read_enum};

/// The bytes of a record.
pub fn encode_audit(record: &AuditRecord) -> Vec<u8> {
    let form = pb::AuditRecord {
        sequence: record.sequence,
        time_ms: record.time.0,
        principal: record.principal.as_str().to_owned(),
        verb: enum_form(&record.verb),
        kind: record.key.kind.as_str().to_owned(),
        namespace: record.key.namespace.to_string(),
        name: record.key.name.to_string(),
        uid: record.uid.map(|uid| uid.0.to_be_bytes().to_vec()),
        revision: record.revision.0,
        refused: record.refused.as_deref().map(str::to_owned),
        denied: record.denied,
        detail: record.detail.to_string(),
        chain: record.chain.to_vec(),
    };
    form.encode_to_vec()
}

/// The record of these bytes.
///
/// # Errors
/// Bytes that are none.
pub fn decode_audit(bytes: &[u8]) -> Result<AuditRecord, RecordError> {
    let form = pb::AuditRecord::decode(bytes).map_err(RecordError::Malformed)?;
    let uid = form.uid.map(|uid| bytes_of("uid", &uid)).transpose()?;
    Ok(AuditRecord {
        sequence: form.sequence,
        time: TimeMs(form.time_ms),
        principal: Principal::new(form.principal),
        verb: read_enum::<AuditVerb>(number("verb", form.verb)?)?,
        key: Key::new(&form.kind, &form.namespace, &form.name),
        uid: uid.map(|bytes| Uid(u128::from_be_bytes(bytes))),
        revision: Revision(form.revision),
        refused: form.refused.map(Into::into),
        denied: form.denied,
        detail: form.detail.into(),
        chain: bytes_of("chain", &form.chain)?,
    })
}
