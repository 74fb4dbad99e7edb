//! The bytes of the stored log, format 2. A durable format: change it only together with the version number.
//!
//! ```text
//! segment   header (64) | record | record | ... | what was there before, or zeros
//! header    magic (8) | format (4) | cluster (16) | replica (8) | first sequence (8) | size (8) | crc32c (4) | zeros
//! record    length of the body (4) | crc32c (4) | sequence (8) | body | zeros up to a multiple of 8
//! body      term | vote | commit | compacted index, term | last index | starts         (8 each)
//!           snapshot: 0 none, 1 recorded, 2 installed (1) | index | term | content? | voters | learners
//!           entries (4) | index of the first (8) | of each: term (8) | kind (1) | length (4) | payload
//! ```
//!
//! Numbers are little endian. A record's crc covers the segment's first sequence, its own sequence and the body: what lies
//! in a segment that is used again, or in another place than its own, never checks out.

use bytes::{Buf, BufMut, Bytes};

use crate::entry::{EntryKind, HardState, LogEntry, LogPosition, SnapshotWrite};
use crate::ids::{ClusterId, Identity, ReplicaId};
use crate::membership::Membership;
use crate::snapshot::{ContentHash, SnapshotContent, SnapshotMeta};

/// The format this version writes.
pub(crate) const FORMAT: u32 = 2;
/// Bytes before the first record.
pub(crate) const HEADER: usize = 64;

const MAGIC: &[u8; 8] = b"mstrlog\0";
const HEADER_CHECKED: usize = 52;
const RECORD_HEAD: usize = 16;
const ENTRY_HEAD: usize = 13;

/// Why stored bytes were refused.
pub(crate) type Damage = &'static str;

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub owner: Identity,
    /// Sequence of its first record.
    pub first: u64,
    /// Bytes of the whole file.
    pub size: u64,
}

/// What every record says, whatever else it brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub hard_state: HardState,
    pub compacted: LogPosition,
    /// The log ends here: entries that vanished are found.
    pub last_index: u64,
    /// How often the store was opened.
    pub starts: u64,
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub state: State,
    pub snapshot: Option<SnapshotWrite>,
    pub entries: Vec<LogEntry>,
}

/// Where a record lies: part of what its checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment's first sequence.
    pub segment: u64,
    /// The record's own.
    pub sequence: u64,
}

/// What stands where a record may begin.
#[derive(Debug)]
pub(crate) enum Found {
    /// This record, in so many bytes.
    Record(Record, usize),
    /// Nothing was written here.
    Nothing,
    /// No record of this place.
    Damage(Damage),
}

/// The first bytes of a segment.
pub(crate) fn write_header(header: &Header) -> [u8; HEADER] {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(FORMAT);
    bytes.put_u128_le(header.owner.cluster.0);
    bytes.put_u64_le(header.owner.replica.get());
    bytes.put_u64_le(header.first);
    bytes.put_u64_le(header.size);
    bytes.put_u32_le(crc32c::crc32c(&bytes[..HEADER_CHECKED]));
    let mut whole = [0; HEADER];
    whole[..bytes.len()].copy_from_slice(&bytes);
    whole
}

/// The header, or the number of its format if that is unknown.
pub(crate) fn read_header(mut bytes: &[u8]) -> Result<Result<Header, u32>, Damage> {
    if bytes.is_empty() {
        return Err("the file is empty");
    }
    if bytes.len() < HEADER {
        return Err("the header is cut off");
    }
    if &bytes[..8] != MAGIC {
        return Err("this is no log");
    }
    let crc = crc32c::crc32c(&bytes[..HEADER_CHECKED]);
    bytes.advance(8);
    let format = bytes.get_u32_le();
    let (cluster, replica) = (ClusterId(bytes.get_u128_le()), bytes.get_u64_le());
    let (first, size) = (bytes.get_u64_le(), bytes.get_u64_le());
    if bytes.get_u32_le() != crc {
        return if format > FORMAT { Ok(Err(format)) } else { Err("the header's checksum does not match") };
    }
    if format != FORMAT {
        return Ok(Err(format));
    }
    let replica = ReplicaId::new(replica).ok_or("the replica id is 0")?;
    Ok(Ok(Header { owner: Identity { cluster, replica }, first, size }))
}

/// Appends a record.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    place: Place,
    state: &State,
    snapshot: Option<&SnapshotWrite>,
    entries: &[LogEntry],
) {
    let start = out.len();
    out.put_u64_le(0);
    out.put_u64_le(place.sequence);
    write_state(out, state);
    match snapshot {
        None => out.put_u8(0),
        Some(SnapshotWrite::Recorded(meta)) => {
            out.put_u8(1);
            write_snapshot(out, meta);
        }
        Some(SnapshotWrite::Installed(meta)) => {
            out.put_u8(2);
            write_snapshot(out, meta);
        }
    }
    out.put_u32_le(length(entries.len()));
    out.put_u64_le(entries.first().map_or(0, |entry| entry.index));
    for entry in entries {
        out.put_u64_le(entry.term);
        out.put_u8(kind_byte(entry.kind));
        out.put_u32_le(length(entry.bytes.len()));
        out.put_slice(&entry.bytes);
    }
    let body = start + RECORD_HEAD;
    let crc = record_crc(place, &out[body..]);
    let body_length = length(out.len() - body);
    out[start..start + 4].copy_from_slice(&body_length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + (out.len() - start).next_multiple_of(8), 0);
}

/// How long a record of these entries is at most, whatever its snapshot says of a group of usual size.
pub(crate) fn record_bound(entries: &[LogEntry]) -> usize {
    let payload: usize = entries.iter().map(|entry| ENTRY_HEAD + entry.bytes.len()).sum();
    payload + 4_096
}

/// Looks for the record of a place.
pub(crate) fn read_record(bytes: &[u8], place: Place) -> Found {
    let mut head = bytes;
    let (Ok(body_length), Ok(crc), Ok(sequence)) =
        (head.try_get_u32_le(), head.try_get_u32_le(), head.try_get_u64_le())
    else {
        return Found::Nothing;
    };
    if body_length == 0 && crc == 0 && sequence == 0 {
        return Found::Nothing;
    }
    let Some(body) = head.get(..body_length as usize) else {
        return Found::Damage("the record is longer than the file");
    };
    if sequence != place.sequence {
        return Found::Damage("another record is in its place");
    }
    if crc != record_crc(place, body) {
        return Found::Damage("the record's checksum does not match");
    }
    match read_body(body) {
        Ok(record) => Found::Record(record, (RECORD_HEAD + body.len()).next_multiple_of(8)),
        Err(damage) => Found::Damage(damage),
    }
}

/// Whether a record of this segment that is newer than `after` begins here. For telling a torn end from damage.
pub(crate) fn is_later_record(bytes: &[u8], segment: u64, after: u64) -> bool {
    let Some(sequence) = bytes.get(8..16).map(|mut number| number.get_u64_le()) else { return false };
    sequence > after && matches!(read_record(bytes, Place { segment, sequence }), Found::Record(..))
}

fn write_state(out: &mut Vec<u8>, state: &State) {
    let State { hard_state, compacted, last_index, starts } = state;
    let numbers = [
        hard_state.term,
        hard_state.vote,
        hard_state.commit,
        compacted.index,
        compacted.term,
        *last_index,
        *starts,
    ];
    numbers.into_iter().for_each(|number| out.put_u64_le(number));
}

fn read_body(mut body: &[u8]) -> Result<Record, Damage> {
    const CUT_OFF: Damage = "the record is cut off";
    let mut numbers = [0; 7];
    for number in &mut numbers {
        *number = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
    }
    let [term, vote, commit, index, compacted_term, last_index, starts] = numbers;
    let state = State {
        hard_state: HardState { term, vote, commit },
        compacted: LogPosition { index, term: compacted_term },
        last_index,
        starts,
    };
    let snapshot = match body.try_get_u8().map_err(|_| CUT_OFF)? {
        0 => None,
        1 => Some(SnapshotWrite::Recorded(take_snapshot(&mut body)?)),
        2 => Some(SnapshotWrite::Installed(take_snapshot(&mut body)?)),
        _ => return Err("the record's snapshot is of an unknown sort"),
    };
    let count = body.try_get_u32_le().map_err(|_| CUT_OFF)?;
    let first = body.try_get_u64_le().map_err(|_| CUT_OFF)?;
    let mut entries = Vec::new();
    for index in (first..).take(count as usize) {
        entries.push(take_entry(&mut body, index)?);
    }
    if !body.is_empty() {
        return Err("the record is too long");
    }
    Ok(Record { state, snapshot, entries })
}

fn take_entry(body: &mut &[u8], index: u64) -> Result<LogEntry, Damage> {
    if body.len() < ENTRY_HEAD {
        return Err("the entry is cut off");
    }
    let term = body.get_u64_le();
    let kind = match body.get_u8() {
        0 => EntryKind::Normal,
        1 => EntryKind::Membership,
        _ => return Err("the entry's kind is unknown"),
    };
    let length = body.get_u32_le() as usize;
    let payload = body.get(..length).ok_or("the entry is cut off")?;
    // A copy: a slice would keep the whole segment in memory as long as one of its entries.
    let bytes = Bytes::copy_from_slice(payload);
    body.advance(length);
    Ok(LogEntry { index, term, kind, bytes })
}

fn write_snapshot(body: &mut Vec<u8>, meta: &SnapshotMeta) {
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

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("a batch is bounded far below 4 GiB")
}

fn record_crc(place: Place, body: &[u8]) -> u32 {
    let head =
        crc32c::crc32c_append(crc32c::crc32c(&place.segment.to_le_bytes()), &place.sequence.to_le_bytes());
    crc32c::crc32c_append(head, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { segment: 5, sequence: 6 }
    }

    fn record() -> Record {
        let content = SnapshotContent { hash: ContentHash([5; 32]), size_bytes: 77 };
        let membership = Membership::of_voters((1..=3).filter_map(ReplicaId::new));
        let meta = SnapshotMeta { index: 9, term: 2, membership, content: Some(content) };
        let entry =
            |index| LogEntry { index, term: 3, kind: EntryKind::Normal, bytes: Bytes::from_static(b"job") };
        let state = State {
            hard_state: HardState { term: 3, vote: 2, commit: 9 },
            compacted: LogPosition { index: 9, term: 2 },
            last_index: 11,
            starts: 4,
        };
        Record { state, snapshot: Some(SnapshotWrite::Recorded(meta)), entries: vec![entry(10), entry(11)] }
    }

    fn bytes_of(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_record(&mut bytes, place(), &record.state, record.snapshot.as_ref(), &record.entries);
        bytes
    }

    /// The durable format: these bytes must never change for format 2.
    #[test]
    fn golden_bytes() {
        let owner = Identity { cluster: ClusterId(7), replica: ReplicaId::new(2).expect("not 0") };
        let header = write_header(&Header { owner, first: 5, size: 8 << 20 });
        expect_test::expect!["6d7374726c6f6700020000000700000000000000000000000000000002000000000000000500000000000000000080000000000066cdcf470000000000000000"].assert_eq(&hex(&header));
        expect_test::expect!["be000000c97f01eb0600000000000000030000000000000002000000000000000900000000000000090000000000000002000000000000000b00000000000000040000000000000001090000000000000002000000000000000105050505050505050505050505050505050505050505050505050505050505054d000000000000000300000001000000000000000200000000000000030000000000000000000000020000000a00000000000000030000000000000000030000006a6f62030000000000000000030000006a6f620000"].assert_eq(&hex(&bytes_of(&record())));
    }

    #[test]
    fn a_record_is_found_in_its_place_only_and_flipped_bits_are_found() {
        let bytes = bytes_of(&record());
        let found = read_record(&bytes, place());
        assert!(
            matches!(&found, Found::Record(found, length) if *found == record() && *length == bytes.len()),
            "{found:?}"
        );
        for other in [Place { segment: 1, ..place() }, Place { sequence: 7, ..place() }] {
            assert!(matches!(read_record(&bytes, other), Found::Damage(_)));
        }
        let body = RECORD_HEAD + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        for bit in 0..body * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read_record(&flipped, place()), Found::Damage(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_header_survives_and_flipped_bits_are_found() {
        let owner = Identity { cluster: ClusterId(7), replica: ReplicaId::new(2).expect("not 0") };
        let header = Header { owner, first: 5, size: 640 };
        let bytes = write_header(&header);
        assert_eq!(read_header(&bytes), Ok(Ok(header)));
        for bit in 0..(HEADER_CHECKED + 4) * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(read_header(&flipped), Ok(Ok(_))), "bit {bit}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
