//! How peers talk: one kind byte, then the body. The transport carries these bytes and never looks inside.
//!
//! ```text
//! 1 raft     | protobuf of the raft library's message
//! 2 request  | hash (32) | offset (8)                  follower: "send me the snapshot from here"
//! 3 chunk    | hash (32) | offset (8) | crc32c (4) | bytes
//! 4 gone     | hash (32)                               leader: "I no longer have it"
//! ```
//!
//! Numbers are little endian. A kind this version does not know is refused and counted, so a newer peer may add one.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protobuf::Message as _;
use raft::eraftpb::Message;

use crate::replica::PeerError;
use crate::snapshot::ContentHash;

const RAFT: u8 = 1;
const CHUNK_REQUEST: u8 = 2;
const CHUNK: u8 = 3;
const GONE: u8 = 4;

/// A message between two replicas, split by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerMessage {
    /// For the replica, still encoded.
    Raft(Bytes),
    /// A follower asks for the next part of a snapshot.
    ChunkRequest { hash: ContentHash, offset: u64 },
    /// A part of a snapshot.
    Chunk { hash: ContentHash, offset: u64, bytes: Bytes },
    /// The snapshot is not there any more.
    Gone { hash: ContentHash },
}

impl PeerMessage {
    /// Split what a peer sent.
    pub(crate) fn decode(mut frame: Bytes) -> Result<Self, PeerError> {
        let kind = frame.try_get_u8().map_err(|_| PeerError::Undecodable("the message is empty"))?;
        match kind {
            RAFT => Ok(Self::Raft(frame)),
            CHUNK_REQUEST => {
                let (hash, offset) = (take_hash(&mut frame)?, take_u64(&mut frame)?);
                Ok(Self::ChunkRequest { hash, offset })
            }
            CHUNK => decode_chunk(frame),
            GONE => Ok(Self::Gone { hash: take_hash(&mut frame)? }),
            kind => Err(PeerError::UnknownKind(kind)),
        }
    }

    /// The bytes for the transport.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        match self {
            Self::Raft(body) => {
                out.put_u8(RAFT);
                out.put_slice(body);
            }
            Self::ChunkRequest { hash, offset } => {
                out.put_u8(CHUNK_REQUEST);
                out.put_slice(&hash.0);
                out.put_u64_le(*offset);
            }
            Self::Chunk { hash, offset, bytes } => {
                out.put_u8(CHUNK);
                out.put_slice(&hash.0);
                out.put_u64_le(*offset);
                out.put_u32_le(crc32c::crc32c(bytes));
                out.put_slice(bytes);
            }
            Self::Gone { hash } => {
                out.put_u8(GONE);
                out.put_slice(&hash.0);
            }
        }
        out.freeze()
    }
}

/// Encode a raft message straight into its frame: the hot path, without a second copy of the entries.
pub(crate) fn encode_raft(message: &Message) -> Bytes {
    let mut out = Vec::with_capacity(message.compute_size() as usize + 1);
    out.push(RAFT);
    message.write_to_vec(&mut out).expect("writing to memory does not fail and no field is required");
    Bytes::from(out)
}

/// Decode a raft message without copying its entries.
pub(crate) fn decode_raft(body: &Bytes) -> Result<Message, PeerError> {
    refuse_groups(body, Shape::Message)?;
    Message::parse_from_carllerche_bytes(body).map_err(|_| PeerError::Undecodable("not a raft message"))
}

fn decode_chunk(mut frame: Bytes) -> Result<PeerMessage, PeerError> {
    let (hash, offset) = (take_hash(&mut frame)?, take_u64(&mut frame)?);
    let crc = frame.try_get_u32_le().map_err(|_| PeerError::Undecodable("the chunk is cut off"))?;
    if crc32c::crc32c(&frame) != crc {
        return Err(PeerError::Undecodable("the chunk's checksum does not match"));
    }
    Ok(PeerMessage::Chunk { hash, offset, bytes: frame })
}

fn take_hash(frame: &mut Bytes) -> Result<ContentHash, PeerError> {
    let mut hash = [0; 32];
    frame.try_copy_to_slice(&mut hash).map_err(|_| PeerError::Undecodable("the hash is cut off"))?;
    Ok(ContentHash(hash))
}

fn take_u64(frame: &mut Bytes) -> Result<u64, PeerError> {
    frame.try_get_u64_le().map_err(|_| PeerError::Undecodable("the offset is cut off"))
}

/// The nested messages of the raft library's format, by the fields that hold them.
#[derive(Clone, Copy)]
enum Shape {
    Message,
    Snapshot,
    Metadata,
    Leaf,
}

impl Shape {
    fn child(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Message, 7) | (Self::Metadata, 1) => Some(Self::Leaf),
            (Self::Message, 9) => Some(Self::Snapshot),
            (Self::Snapshot, 2) => Some(Self::Metadata),
            _ => None,
        }
    }
}

/// Refuse protobuf groups before the decoder sees them: protobuf 2 skips them by recursion without a bound
/// (CVE-2025-53605), and the raft format has none. The depth here is bounded by `Shape`.
fn refuse_groups(mut body: &[u8], shape: Shape) -> Result<(), PeerError> {
    const CUT_OFF: PeerError = PeerError::Undecodable("a field is cut off");
    while !body.is_empty() {
        let tag = take_varint(&mut body)?;
        let skip = match tag & 7 {
            0 => {
                take_varint(&mut body)?;
                0
            }
            1 => 8,
            2 => usize::try_from(take_varint(&mut body)?).map_err(|_| CUT_OFF)?,
            5 => 4,
            _ => return Err(PeerError::Undecodable("a field has a group or unknown wire type")),
        };
        let (field, rest) = body.split_at_checked(skip).ok_or(CUT_OFF)?;
        if let (2, Some(child)) = (tag & 7, shape.child(tag >> 3)) {
            refuse_groups(field, child)?;
        }
        body = rest;
    }
    Ok(())
}

fn take_varint(body: &mut &[u8]) -> Result<u64, PeerError> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = body.try_get_u8().map_err(|_| PeerError::Undecodable("a number is cut off"))?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(PeerError::Undecodable("a number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        let hash = ContentHash([7; 32]);
        for message in [
            PeerMessage::Raft(Bytes::from_static(b"abc")),
            PeerMessage::ChunkRequest { hash, offset: 5 },
            PeerMessage::Chunk { hash, offset: 9, bytes: Bytes::from_static(b"part") },
            PeerMessage::Gone { hash },
        ] {
            assert_eq!(PeerMessage::decode(message.encode()).unwrap(), message);
        }
    }

    #[test]
    fn a_chunk_with_a_flipped_bit_is_refused() {
        let chunk =
            PeerMessage::Chunk { hash: ContentHash([1; 32]), offset: 0, bytes: Bytes::from_static(b"x") };
        let mut bytes = chunk.encode().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(PeerMessage::decode(bytes.into()).is_err());
    }

    /// Deep nesting of groups makes the protobuf decoder overflow its stack; it must never see them.
    #[test]
    fn nested_groups_are_refused_before_the_decoder() {
        let deep = Bytes::from(vec![0x63; 1 << 20]);
        assert!(decode_raft(&deep).is_err());
        let mut inside_an_entry = vec![0x3a, 0x80, 0x80, 0x40];
        inside_an_entry.extend(vec![0x63; 1 << 20]);
        assert!(decode_raft(&inside_an_entry.into()).is_err());
    }
}
