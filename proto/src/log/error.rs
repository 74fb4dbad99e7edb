//! Why bytes are not an entry or an object.

use prost::Message;

use super::FieldError;

/// Why bytes are not an entry or an object that this version can take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are damaged, or of something else.
    #[error("not a message of the durable format")]
    Malformed(#[source] prost::DecodeError),
    /// Another format of the envelope.
    #[error(
        "format version {found} is not known here; this replica knows version {known}: upgrade it",
        known = super::FORMAT_VERSION
    )]
    UnknownFormat {
        /// The version it says.
        found: u32,
    },
    /// The entry needs a replica that can do more.
    #[error(
        "the entry needs feature level {found}; this replica has {known}: upgrade it",
        known = super::FEATURE_LEVEL
    )]
    UnknownFeature {
        /// The level it needs.
        found: u32,
    },
    /// A command that this version does not know. The replica must stop: to pass it over would make it differ.
    #[error("command {number} is not known here: upgrade this replica")]
    UnknownCommand {
        /// Its field number in `Entry`.
        number: u32,
    },
    /// Fields that this version does not know, or an encoding that nobody here writes.
    #[error("{excess_bytes} bytes are of fields that are not known here: upgrade this replica")]
    UnknownContent {
        /// How much of it.
        excess_bytes: usize,
    },
    /// A field is missing, or not a value of this version.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl DecodeError {
    /// Whether a newer version may know what this is.
    pub(super) fn is_unknown(&self) -> bool {
        match self {
            DecodeError::UnknownFeature { .. }
            | DecodeError::UnknownCommand { .. }
            | DecodeError::UnknownContent { .. } => true,
            DecodeError::Malformed(_) | DecodeError::UnknownFormat { .. } | DecodeError::Field(_) => false,
        }
    }
}

/// A message of which this version knows every byte.
pub(super) fn decode_known<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    let message = M::decode(bytes).map_err(DecodeError::Malformed)?;
    check_known(&message, bytes)?;
    Ok(message)
}

/// Refuses bytes that the decoder dropped. It keeps what it knows in the only encoding that is written here, so that
/// the lengths differ if and only if something was dropped.
pub(super) fn check_known<M: Message>(message: &M, bytes: &[u8]) -> Result<(), DecodeError> {
    match bytes.len().saturating_sub(message.encoded_len()) {
        0 => Ok(()),
        excess_bytes => Err(DecodeError::UnknownContent { excess_bytes }),
    }
}
