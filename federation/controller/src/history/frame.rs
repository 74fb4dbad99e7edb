//! Records in a file, one after the other.
//!
//! ```text
//!  frame := length:u32le crc32c:u32le key:u64le time_ms:u64le payload      the checksum is of all but itself
//! ```
//!
//! A reader that meets damage says where, and goes on at the next frame that is whole.

/// Bytes before the payload.
pub const HEAD_BYTES: usize = 24;
/// The longest payload; a length above it is damage.
pub const PAYLOAD_MAX_BYTES: usize = 8 << 20;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Rises from record to record.
    pub key: u64,
    /// When it happened, by the log's clock.
    pub time_ms: u64,
    /// What happened.
    pub payload: &'a [u8],
}

/// What stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record.
    Record(Record<'a>),
    /// Bytes that are no record, with more records behind them.
    Damage,
    /// Bytes that are no record, up to the end: the last write was cut off, or the end is damaged.
    Torn,
}

/// Appends a record.
pub fn push(out: &mut Vec<u8>, record: &Record<'_>) {
    let length = u32::try_from(record.payload.len()).expect("payloads are below PAYLOAD_MAX_BYTES");
    let start = out.len();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&record.key.to_le_bytes());
    out.extend_from_slice(&record.time_ms.to_le_bytes());
    out.extend_from_slice(record.payload);
    let crc = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Everything in these bytes, with its offset.
pub fn scan(bytes: &[u8]) -> impl Iterator<Item = (u64, Found<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let offset = at;
        if let Some((record, length)) = record_at(bytes, at) {
            at += length;
            return Some((offset as u64, Found::Record(record)));
        }
        let next = (offset + 1..bytes.len()).find(|next| record_at(bytes, *next).is_some());
        at = next.unwrap_or(bytes.len());
        Some((offset as u64, if next.is_some() { Found::Damage } else { Found::Torn }))
    })
}

/// The records in these bytes, without what is damaged.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    scan(bytes).filter_map(|(_, found)| match found {
        Found::Record(record) => Some(record),
        Found::Damage | Found::Torn => None,
    })
}

/// The whole record at this offset, and its bytes.
fn record_at(bytes: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let rest = &bytes[at..];
    let number = |from: usize| Some(u64::from_le_bytes(rest.get(from..from + 8)?.try_into().ok()?));
    let short = |from: usize| Some(u32::from_le_bytes(rest.get(from..from + 4)?.try_into().ok()?));
    let length = usize::try_from(short(0)?).ok().filter(|length| *length <= PAYLOAD_MAX_BYTES)?;
    let whole = rest.get(..HEAD_BYTES + length)?;
    let (key, time_ms) = (number(8)?, number(16)?);
    let is_whole = checksum(whole) == short(4)?;
    is_whole.then_some((Record { key, time_ms, payload: &whole[HEAD_BYTES..] }, whole.len()))
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut bytes = Vec::new();
        for key in 1..=3 {
            push(&mut bytes, &Record { key, time_ms: key * 10, payload: &[b'x'; 5] });
        }
        bytes
    }

    fn keys(bytes: &[u8]) -> Vec<String> {
        let text = |(at, found)| match found {
            Found::Record(record) => record.key.to_string(),
            Found::Damage => format!("damage at {at}"),
            Found::Torn => format!("torn at {at}"),
        };
        scan(bytes).map(text).collect()
    }

    #[test]
    fn every_flipped_byte_is_found_and_costs_one_record() {
        let whole = three();
        assert_eq!(keys(&whole), ["1", "2", "3"]);
        let frame = whole.len() / 3;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let want: &[&str] = match at / frame {
                0 => &["damage at 0", "2", "3"],
                1 => &["1", "damage at 29", "3"],
                _ => &["1", "2", "torn at 58"],
            };
            assert_eq!(keys(&bytes), want, "byte {at}");
        }
    }

    #[test]
    fn a_cut_at_each_byte_keeps_what_was_whole() {
        let whole = three();
        for end in 0..whole.len() {
            assert_eq!(records(&whole[..end]).count(), end / (whole.len() / 3), "{end} bytes");
        }
    }
}
