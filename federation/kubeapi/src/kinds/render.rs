//! An object as JSON text, by concatenation: the document's two fragments are copied, the rest is a few short fields.
//!
//! ```text
//! {"apiVersion":..,"kind":..,"metadata":{ <from Meta>, <document.metadata> }, <document.body> <show: ,"status":{..}> }
//! ```

use muster_model::{NAME_MARK, Object, Owner, Revision, Status, UID_MARK};
use serde_json::Value;

use super::json::{Fields, push_display, push_text, push_time};
use super::kind::{Live, StoredKind};

const NAME: u8 = NAME_MARK as u8;
const UID: u8 = UID_MARK as u8;

/// Appends the object.
pub fn object_into(out: &mut String, kind: &StoredKind, object: &Object, live: &Live<'_>) {
    whole(out, kind, object, (object.meta.revision, live));
}

/// The object as text.
pub fn object(kind: &StoredKind, object: &Object, live: &Live<'_>) -> String {
    let mut out = String::with_capacity(768 + object.document.metadata.len() + object.document.body.len());
    object_into(&mut out, kind, object, live);
    out
}

/// An object that is gone, as it last was, at the revision of its end: what a watch sends.
pub fn removed(kind: &StoredKind, object: &Object, revision: Revision) -> String {
    let mut out = String::with_capacity(768 + object.document.metadata.len() + object.document.body.len());
    whole(&mut out, kind, object, (revision, &Live::default()));
    out
}

/// Appends the object's `metadata`, braces included: what a Table row carries.
pub fn metadata_into(out: &mut String, kind: &StoredKind, object: &Object) {
    metadata(out, kind, object, (object.meta.revision, &object.meta.uid.to_string()));
}

/// The object as a tree, for patches and updates.
pub fn value(kind: &StoredKind, object: &Object) -> Value {
    let text = self::object(kind, object, &Live::default());
    serde_json::from_str(&text).expect("what the hub stores and shows is JSON")
}

fn whole(out: &mut String, kind: &StoredKind, object: &Object, (revision, live): (Revision, &Live<'_>)) {
    out.push('{');
    kind.push_identity(out);
    out.push_str(",\"metadata\":");
    let uid = object.meta.uid.to_string();
    metadata(out, kind, object, (revision, &uid));
    // What apply makes itself is shown from its typed state alone, whatever a client sent back of it.
    let is_typed = matches!(object.status, Status::Event(_) | Status::Run(_));
    if !is_typed && !object.document.body.is_empty() {
        out.push(',');
        fragment(out, &object.document.body, (&object.key.name, &uid));
    }
    (kind.show)(object, live, out);
    out.push('}');
}

fn metadata(out: &mut String, kind: &StoredKind, object: &Object, (revision, uid): (Revision, &str)) {
    let meta = &object.meta;
    let mut fields = Fields::open(out);
    fields.text("name", &object.key.name);
    fields.filled("namespace", &object.key.namespace);
    fields.text("uid", uid);
    fields.plain("resourceVersion", &revision.0);
    // Kinds of the core group that are served here have no generation.
    if meta.generation > 0 && !kind.resource.group.is_empty() {
        fields.literal("generation", &meta.generation);
    }
    fields.time("creationTimestamp", meta.created);
    if let Some(deletion) = meta.deletion {
        fields.time("deletionTimestamp", deletion.at);
        fields.literal("deletionGracePeriodSeconds", &deletion.grace_s);
    }
    if !meta.finalizers.is_empty() {
        fields.list("finalizers", &meta.finalizers, |out, text| push_text(out, text));
    }
    if !meta.owners.is_empty() {
        fields.list("ownerReferences", &meta.owners, owner);
    }
    let out = fields.unclosed();
    if !object.document.metadata.is_empty() {
        out.push(',');
        fragment(out, &object.document.metadata, (&object.key.name, uid));
    }
    out.push('}');
}

fn owner(out: &mut String, owner: &Owner) {
    let mut fields = Fields::open(out);
    fields.text("apiVersion", &owner.api_version);
    fields.text("kind", &owner.kind);
    fields.text("name", &owner.name);
    fields.plain("uid", &owner.uid);
    if owner.controller {
        fields.literal("controller", &true);
    }
    if owner.block_deletion {
        fields.literal("blockOwnerDeletion", &true);
    }
    fields.close();
}

/// Appends a fragment of a document with name and uid put back.
pub(super) fn fragment(out: &mut String, text: &str, (name, uid): (&str, &str)) {
    let (bytes, mut from) = (text.as_bytes(), 0);
    for at in memchr::memchr2_iter(NAME, UID, bytes) {
        out.push_str(&text[from..at]);
        out.push_str(if bytes[at] == NAME { name } else { uid });
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

/// One condition of a status.
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'a str,
    pub(super) since: muster_model::TimeMs,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// Appends a condition with the fields that `metav1.Condition` and `JobCondition` share.
pub(super) fn condition(out: &mut String, condition: &Condition<'_>) {
    out.push_str("{\"type\":\"");
    out.push_str(condition.kind);
    out.push_str("\",\"status\":\"");
    out.push_str(condition.status);
    out.push_str("\",\"lastTransitionTime\":");
    push_time(out, condition.since);
    out.push_str(",\"reason\":");
    push_text(out, condition.reason);
    out.push_str(",\"message\":");
    push_text(out, condition.message);
    out.push('}');
}

/// Appends `,"NAME":` for [`StoredKind::show`].
pub(super) fn show_field<'a>(out: &'a mut String, name: &str) -> &'a mut String {
    push_display(out, &format_args!(",\"{name}\":"));
    out
}
