//! The part of `metadata` that the hub decides on. Labels and annotations stay in the document.

use std::sync::Arc;

use crate::{DocumentHash, Revision, TimeMs, Uid};

/// What the hub knows about every object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Unique over all objects ever.
    pub uid: Uid,
    /// When it was created, by the leader's clock.
    pub created: TimeMs,
    /// Rises with each change of the spec.
    pub generation: u64,
    /// Rises with each change of the object: its `resourceVersion`.
    pub revision: Revision,
    /// Set when someone asked to delete it and something still holds it.
    pub deletion: Option<Deletion>,
    /// Who still holds it.
    pub finalizers: Vec<Arc<str>>,
    /// Objects without which it has no reason to be.
    pub owners: Vec<Owner>,
    /// The request that created it, if the client gave an idempotency key.
    pub idempotency: Option<DocumentHash>,
}

/// A deletion under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deletion {
    /// When it was asked for.
    pub at: TimeMs,
    /// How long its pods may take to end, in seconds.
    pub grace_s: u64,
}

/// An owner, by Kubernetes' rules for `ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `apiVersion` as the client wrote it.
    pub api_version: Arc<str>,
    /// `kind` as the client wrote it.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its uid: what counts.
    pub uid: Uid,
    /// Whether it manages the object.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for the object.
    pub block_deletion: bool,
}
