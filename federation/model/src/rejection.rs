//! A business "no": recorded, not an error of the log.

use std::sync::Arc;

use crate::{Key, Revision, Uid};

/// Why apply did not do what a command asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such object.
    #[error("{0} not found")]
    NotFound(Key),
    /// An object of this name is there.
    #[error("{0} already exists")]
    AlreadyExists(Key),
    /// The object changed since the client read it.
    #[error("{key} is at revision {}, not {}", found.0, expected.0)]
    Conflict {
        /// The object.
        key: Key,
        /// What the client had read.
        expected: Revision,
        /// What it is at.
        found: Revision,
    },
    /// Another object has this name now.
    #[error("{key} has uid {found}, not {expected}")]
    UidChanged {
        /// The object.
        key: Key,
        /// What the client meant.
        expected: Uid,
        /// What is there.
        found: Uid,
    },
    /// The namespace is not there.
    #[error("namespace {0:?} not found")]
    NamespaceMissing(Arc<str>),
    /// The namespace is being deleted.
    #[error("namespace {0:?} is being terminated")]
    NamespaceTerminating(Arc<str>),
    /// Not allowed for this object, whatever the principal.
    #[error("{0}: {1}")]
    Forbidden(Key, &'static str),
    /// A field's value is not possible in the present state.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Why.
        reason: Arc<str>,
    },
    /// The join token is unknown, used, expired, or for another member.
    #[error("join token refused: {0}")]
    TokenRefused(&'static str),
    /// The reporting incarnation is not the one that holds the member's lease.
    #[error("another incarnation holds the member")]
    OtherIncarnation,
    /// An object or request would be beyond a limit.
    #[error("{what}: at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}
