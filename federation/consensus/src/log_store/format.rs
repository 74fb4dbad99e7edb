//! The bytes of the stored log, format 1. A durable format: change it only together with the version number.
//!
//! ```text
//! table "log"   index           -> crc32c | kind (1) | term (8) | payload      crc over index, kind, term, payload
//! table "meta"  "identity"      -> crc32c | format (4) | cluster (16) | replica (8)
//!               "incarnation"   -> crc32c | count (8)
//!               "snapshot"      -> crc32c | index | term | content? | voters | learners
//!               "state"         -> crc32c | sequence | term | vote | commit | compacted index, term | last index
//! ```
//!
//! Numbers are little endian. The crc of a meta value covers its key, too: a value in the wrong place is found.

use bytes::{Buf, BufMut, Bytes};

use crate::entry::{EntryKind, HardState, LogEntry, LogPosition};
use crate::ids::{ClusterId, Identity, ReplicaId};
use crate::membership::Membership;
use crate::snapshot::{ContentHash, SnapshotContent, SnapshotMeta};

/// The format this version writes.
pub(crate) const FORMAT: u32 = 1;

/// Bytes before the payload of an entry.
pub(crate) const ENTRY_HEADER: usize = 13;

/// What changes with every batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StateRecord {
    /// Number of the batch that wrote it; compared with the commit mark.
    pub sequence: u64,
    pub hard_state: HardState,
    pub compacted: LogPosition,
    /// The log ends here: entries that vanished are found.
    pub last_index: u64,
}

/// Why stored bytes were refused.
pub(crate) type Damage = &'static str;

/// Write an entry into a value of `ENTRY_HEADER + bytes.len()` bytes.
pub(crate) fn write_entry(entry: &LogEntry, mut out: &mut [u8]) {
    let kind = kind_byte(entry.kind);
    out.put_u32_le(entry_crc(entry.index, kind, entry.term, &entry.bytes));
    out.put_u8(kind);
    out.put_u64_le(entry.term);
    out.put_slice(&entry.bytes);
}

/// Read and check an entry.
pub(crate) fn read_entry(index: u64, mut value: &[u8]) -> Result<LogEntry, Damage> {
    if value.len() < ENTRY_HEADER {
        return Err("the entry is cut off");
    }
    let (crc, kind, term) = (value.get_u32_le(), value.get_u8(), value.get_u64_le());
    if crc != entry_crc(index, kind, term, value) {
        return Err("the entry's checksum does not match");
    }
    let kind = match kind {
        0 => EntryKind::Normal,
        1 => EntryKind::Membership,
        _ => return Err("the entry's kind is unknown"),
    };
    Ok(LogEntry { index, term, kind, bytes: Bytes::copy_from_slice(value) })
}

/// The term of a value that may be no entry at all; 0 if it cannot be one.
pub(crate) fn peek_term(mut value: &[u8]) -> u64 {
    if value.len() < ENTRY_HEADER {
        return 0;
    }
    value.advance(4);
    let kind = value.get_u8();
    if kind > 1 { 0 } else { value.get_u64_le() }
}

/// Put the checksum before a meta value.
pub(crate) fn seal(key: &str, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(4 + body.len());
    value.put_u32_le(meta_crc(key, body));
    value.put_slice(body);
    value
}

/// Check a meta value and take the checksum off.
pub(crate) fn unseal<'a>(key: &str, mut value: &'a [u8]) -> Result<&'a [u8], Damage> {
    let crc = value.try_get_u32_le().map_err(|_| "the record is cut off")?;
    if crc != meta_crc(key, value) {
        return Err("the record's checksum does not match");
    }
    Ok(value)
}

pub(crate) fn write_state(state: &StateRecord) -> Vec<u8> {
    let mut body = Vec::with_capacity(56);
    body.put_u64_le(state.sequence);
    body.put_u64_le(state.hard_state.term);
    body.put_u64_le(state.hard_state.vote);
    body.put_u64_le(state.hard_state.commit);
    body.put_u64_le(state.compacted.index);
    body.put_u64_le(state.compacted.term);
    body.put_u64_le(state.last_index);
    body
}

pub(crate) fn read_state(mut body: &[u8]) -> Result<StateRecord, Damage> {
    if body.len() != 56 {
        return Err("the state record has the wrong length");
    }
    let sequence = body.get_u64_le();
    let hard_state =
        HardState { term: body.get_u64_le(), vote: body.get_u64_le(), commit: body.get_u64_le() };
    let compacted = LogPosition { index: body.get_u64_le(), term: body.get_u64_le() };
    Ok(StateRecord { sequence, hard_state, compacted, last_index: body.get_u64_le() })
}

pub(crate) fn write_identity(identity: Identity) -> Vec<u8> {
    let mut body = Vec::with_capacity(28);
    body.put_u32_le(FORMAT);
    body.put_u128_le(identity.cluster.0);
    body.put_u64_le(identity.replica.get());
    body
}

/// The format's number, and the identity if the format is known.
pub(crate) fn read_identity(mut body: &[u8]) -> Result<(u32, Option<Identity>), Damage> {
    let format = body.try_get_u32_le().map_err(|_| "the identity is cut off")?;
    if format != FORMAT {
        return Ok((format, None));
    }
    if body.len() != 24 {
        return Err("the identity has the wrong length");
    }
    let cluster = ClusterId(body.get_u128_le());
    let replica = ReplicaId::new(body.get_u64_le()).ok_or("the replica id is 0")?;
    Ok((format, Some(Identity { cluster, replica })))
}

pub(crate) fn write_snapshot(meta: &SnapshotMeta) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    body.put_u64_le(meta.index);
    body.put_u64_le(meta.term);
    match &meta.content {
        Some(content) => {
            body.put_u8(1);
            body.put_slice(&content.hash.0);
            body.put_u64_le(content.size_bytes);
        }
        None => body.put_u8(0),
    }
    for group in [&meta.membership.voters, &meta.membership.learners] {
        body.put_u32_le(u32::try_from(group.len()).expect("a group has few replicas"));
        group.iter().for_each(|id| body.put_u64_le(id.get()));
    }
    body
}

pub(crate) fn read_snapshot(mut body: &[u8]) -> Result<SnapshotMeta, Damage> {
    let meta = take_snapshot(&mut body)?;
    if !body.is_empty() {
        return Err("the snapshot record is too long");
    }
    Ok(meta)
}

fn take_snapshot(body: &mut &[u8]) -> Result<SnapshotMeta, Damage> {
    const CUT_OFF: Damage = "the snapshot record is cut off";
    let index = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
    let term = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
    let content = match body.try_get_u8().map_err(|_| CUT_OFF)? {
        0 => None,
        _ => {
            let mut hash = [0; 32];
            body.try_copy_to_slice(&mut hash).map_err(|_| CUT_OFF)?;
            let size_bytes = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
            Some(SnapshotContent { hash: ContentHash(hash), size_bytes })
        }
    };
    let mut membership = Membership::default();
    for group in [&mut membership.voters, &mut membership.learners] {
        for _ in 0..body.try_get_u32_le().map_err(|_| CUT_OFF)? {
            let id = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
            group.insert(ReplicaId::new(id).ok_or("a replica id is 0")?);
        }
    }
    Ok(SnapshotMeta { index, term, membership, content })
}

fn kind_byte(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Normal => 0,
        EntryKind::Membership => 1,
    }
}

fn entry_crc(index: u64, kind: u8, term: u64, payload: &[u8]) -> u32 {
    let mut header = [0; 17];
    header[..8].copy_from_slice(&index.to_le_bytes());
    header[8] = kind;
    header[9..].copy_from_slice(&term.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&header), payload)
}

fn meta_crc(key: &str, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The durable format: these bytes must never change for format 1.
    #[test]
    fn golden_bytes() {
        let entry =
            LogEntry { index: 7, term: 3, kind: EntryKind::Normal, bytes: Bytes::from_static(b"job") };
        let mut value = vec![0; ENTRY_HEADER + 3];
        write_entry(&entry, &mut value);
        expect_test::expect!["d42577320003000000000000006a6f62"].assert_eq(&hex(&value));
        let state = StateRecord {
            sequence: 1,
            hard_state: HardState { term: 2, vote: 3, commit: 4 },
            compacted: LogPosition { index: 5, term: 6 },
            last_index: 7,
        };
        expect_test::expect!["0100000000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000700000000000000"]
            .assert_eq(&hex(&write_state(&state)));
    }

    #[test]
    fn records_survive_and_flipped_bits_are_found() {
        let meta = SnapshotMeta {
            index: 9,
            term: 2,
            membership: Membership::of_voters((1..=3).filter_map(ReplicaId::new)),
            content: Some(SnapshotContent { hash: ContentHash([5; 32]), size_bytes: 77 }),
        };
        assert_eq!(read_snapshot(&write_snapshot(&meta)), Ok(meta.clone()));
        let sealed = seal("snapshot", &write_snapshot(&meta));
        assert!(unseal("snapshot", &sealed).is_ok());
        assert!(unseal("state", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("snapshot", &flipped).is_err(), "bit {bit}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
