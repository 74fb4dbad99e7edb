//! Messages that are too large for one frame: cut into parts, put together again.
//!
//! A full desired set or a hello of a large member may exceed [`MAX_FRAME_BYTES`]; nothing else does. The parts of one
//! message follow each other without another frame between them, so no number is needed to tell them apart.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::{MAX_FRAME_BYTES, pb};

/// Payload of one fragment; the rest of the frame is room for its own fields.
const PART_BYTES: usize = 1 << 20;
/// The largest message that is put together.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A frame of either direction.
pub trait Frame: Message + Default {
    /// A frame with a part of another one.
    fn of_fragment(fragment: pb::Fragment) -> Self;
    /// The part it carries, or the frame itself.
    fn into_fragment(self) -> Result<pb::Fragment, Self>;
}

macro_rules! frame {
    ($message:ident, $body:path) => {
        impl Frame for pb::$message {
            fn of_fragment(fragment: pb::Fragment) -> Self {
                Self { body: Some($body(fragment)) }
            }

            fn into_fragment(self) -> Result<pb::Fragment, Self> {
                match self.body {
                    Some($body(fragment)) => Ok(fragment),
                    body => Err(Self { body }),
                }
            }
        }
    };
}

frame!(MemberMessage, pb::member_message::Body::Fragment);
frame!(HubMessage, pb::hub_message::Body::Fragment);

/// The frames that carry `message`: itself if it is small enough.
pub fn frames<F: Frame>(message: F) -> Vec<F> {
    if message.encoded_len() <= MAX_FRAME_BYTES {
        return vec![message];
    }
    let mut rest = Bytes::from(message.encode_to_vec());
    let mut frames = Vec::with_capacity(rest.len() / PART_BYTES + 1);
    while !rest.is_empty() {
        let part = rest.split_to(PART_BYTES.min(rest.len()));
        frames.push(F::of_fragment(pb::Fragment { part, last: rest.is_empty() }));
    }
    frames
}

/// Why fragments do not make a message. The stream cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Another frame came between the parts of a message.
    #[error("fragment: the message was not finished")]
    Interrupted,
    /// More than 64 MiB.
    #[error("fragment: the message is larger than 64 MiB")]
    TooLarge,
    /// The parts are not an encoded message.
    #[error("fragment: the parts are not a message")]
    Malformed(#[source] prost::DecodeError),
}

/// Puts the frames of one stream together.
#[derive(Debug, Default)]
pub struct Assembler {
    parts: BytesMut,
}

impl Assembler {
    /// Takes the next frame; `None` while a message is not complete.
    pub fn push<F: Frame>(&mut self, frame: F) -> Result<Option<F>, FragmentError> {
        let fragment = match frame.into_fragment() {
            Ok(fragment) => fragment,
            Err(message) if self.parts.is_empty() => return Ok(Some(message)),
            Err(_) => return Err(FragmentError::Interrupted),
        };
        if self.parts.len() + fragment.part.len() > MAX_MESSAGE_BYTES {
            return Err(FragmentError::TooLarge);
        }
        self.parts.extend_from_slice(&fragment.part);
        if !fragment.last {
            return Ok(None);
        }
        F::decode(self.parts.split().freeze()).map(Some).map_err(FragmentError::Malformed)
    }
}
