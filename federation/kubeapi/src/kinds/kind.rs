//! A kind whose objects the hub stores: its [`Resource`], and the functions between documents and typed state.

use muster_model::{Kind, MemberName, Object, Spec, TimeMs};
use serde_json::Value;

use super::rows::Rows;
use super::{STORED, json};
use crate::field::FieldError;
use crate::resource::Resource;

/// One kind that the hub stores.
#[derive(Debug)]
pub struct StoredKind {
    /// Identity, shape, defaults and rules.
    pub resource: Resource,
    /// What the hub decides on, read from a document that is complete and follows the kind's rules.
    pub read: fn(&Value) -> Result<Reading, Vec<FieldError>>,
    /// Appends what is known of the object beside its document, each field as `,"name":value`.
    pub show: fn(&Object, &Live<'_>, &mut String),
    /// Cells of one row, one per column of the resource.
    pub cells: fn(&Object, &mut Rows) -> Vec<Value>,
}

/// What was read from a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the hub decides on.
    pub spec: Spec,
    /// One text per `Warning` header.
    pub warnings: Vec<String>,
}

impl Reading {
    /// A reading without warnings.
    pub fn of(spec: Spec) -> Reading {
        Reading { spec, warnings: Vec::new() }
    }
}

/// Gives a member's lease, if there is one.
pub type LeaseOf<'a> = &'a dyn Fn(&MemberName) -> Option<Lease>;

/// What the hub knows now and does not store, for what is shown of a member.
#[derive(Clone, Copy, Default)]
pub struct Live<'a> {
    /// A member's lease; `None`: nothing is known.
    pub lease: Option<LeaseOf<'a>>,
    /// The time; `None`: what costs by the hour is shown as of its last change.
    pub now: Option<TimeMs>,
}

impl std::fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("lease", &self.lease.is_some()).field("now", &self.now).finish()
    }
}

/// How long a member counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Last renewal.
    pub renewed_at: TimeMs,
    /// When it lapses unless it is renewed.
    pub expires_at: TimeMs,
}

impl StoredKind {
    /// The stored kind that the model names `jobs.batch`, `configmaps`, ...
    pub fn of(kind: &Kind) -> Option<&'static StoredKind> {
        let (plural, group) = kind.as_str().split_once('.').unwrap_or((kind.as_str(), ""));
        STORED
            .iter()
            .copied()
            .find(|stored| stored.resource.plural == plural && stored.resource.group == group)
    }

    /// The stored kind behind a resource; `None` for mirrors.
    pub fn of_resource(resource: &Resource) -> Option<&'static StoredKind> {
        STORED.iter().copied().find(|stored| {
            stored.resource.plural == resource.plural && stored.resource.group == resource.group
        })
    }

    /// How the model names the kind.
    pub fn model_kind(&self) -> Kind {
        Kind::new(self.resource.qualified())
    }

    /// Appends `"apiVersion":...,"kind":...`.
    pub(super) fn push_identity(&self, out: &mut String) {
        out.push_str("\"apiVersion\":");
        json::push_api_version(out, &self.resource);
        out.push_str(",\"kind\":\"");
        out.push_str(self.resource.kind);
        out.push('"');
    }
}
