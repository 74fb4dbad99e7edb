//! Identifiers. Each is its own type, so that two of them cannot be mixed up.

use std::fmt;
use std::str::FromStr;

/// A point in the history of the state: one more per changed object, in apply order. It is the `resourceVersion` of the
/// API. Independent of the raft index, since one entry may change many objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// The fencing number of one grant: hub generation (16 bits) and the revision of the grant (48 bits). Unique over all
/// jobs and growing. Whoever receives two epochs of one job obeys the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Bits that hold the revision.
    const REVISION_BITS: u32 = 48;

    /// The epoch of a grant made at `revision` in a hub of this `generation`.
    pub fn new(generation: u16, revision: Revision) -> Epoch {
        assert!(revision.0 < 1 << Self::REVISION_BITS, "a revision fits 48 bits");
        Epoch((u64::from(generation) << Self::REVISION_BITS) | revision.0)
    }

    /// The hub generation; a restore or a forced recovery raises it.
    pub fn generation(self) -> u16 {
        (self.0 >> Self::REVISION_BITS) as u16
    }
}

/// A universally unique id of an object, made by the replica that proposed its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u128);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (x >> 96) as u32,
            (x >> 80) as u16,
            (x >> 64) as u16,
            (x >> 48) as u16,
            x & 0xffff_ffff_ffff
        )
    }
}

/// The text is not a UUID of 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct ParseUidError;

impl FromStr for Uid {
    type Err = ParseUidError;

    fn from_str(text: &str) -> Result<Uid, ParseUidError> {
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if hex.len() != 32 {
            return Err(ParseUidError);
        }
        u128::from_str_radix(&hex, 16).map(Uid).map_err(|_| ParseUidError)
    }
}

/// 128 bits that identify a request under an idempotency key, or a document by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentHash(pub u128);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub std::sync::Arc<str>);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<std::sync::Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_id;

text_id! {
    /// The name of a member: a cluster of the federation.
    MemberName
}
text_id! {
    /// Who asked: a user name, or `system:member:NAME`, or `system:hub`.
    Principal
}
