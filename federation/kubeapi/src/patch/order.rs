//! The order of merged lists in strategic merge patch.
//!
//! ```text
//! items the patch names, in the patch's order  \
//!                                               > interleaved by their places in the live list
//! items only the server has, in the live order /
//! ```

use serde_json::Value;

use super::strategic::PatchError;

/// How items of a list are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity<'a> {
    /// By this field.
    Key(&'a str),
    /// By the value itself.
    Value,
}

impl Identity<'_> {
    /// What identifies `item`.
    pub(super) fn of(self, item: &Value) -> Option<&Value> {
        match self {
            Identity::Key(key) => item.as_object().and_then(|map| map.get(key)),
            Identity::Value => Some(item),
        }
    }

    fn position(self, list: &[Value], item: &Value) -> Option<usize> {
        let wanted = self.of(item);
        list.iter().position(|other| self.of(other) == wanted)
    }

    /// Every item must be identifiable.
    pub(super) fn check(self, list: &[Value]) -> Result<(), PatchError> {
        match (self, list.iter().find(|item| self.of(item).is_none())) {
            (Identity::Key(key), Some(item)) => Err(PatchError::no_merge_key(item, key)),
            _ => Ok(()),
        }
    }
}

/// Orders `merged`: what `patch_order` names follows it, the rest keeps its place of `live`.
pub(super) fn order(
    merged: Vec<Value>,
    patch_order: &[Value],
    live: &[Value],
    identity: Identity<'_>,
) -> Result<Vec<Value>, PatchError> {
    identity.check(&merged)?;
    identity.check(patch_order)?;
    identity.check(live)?;
    let (mut named, mut server_only): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|item| identity.position(patch_order, item).is_some());
    named.sort_by_key(|item| identity.position(patch_order, item));
    server_only.sort_by_key(|item| identity.position(live, item).unwrap_or(usize::MAX));
    Ok(interleave(server_only, named, live, identity))
}

/// Puts each server-only item before the first named item that stands behind it in the live list.
fn interleave(
    server_only: Vec<Value>,
    named: Vec<Value>,
    live: &[Value],
    identity: Identity<'_>,
) -> Vec<Value> {
    let mut out = Vec::with_capacity(server_only.len() + named.len());
    let mut left = server_only.into_iter().peekable();
    let mut right = named.into_iter().peekable();
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let places = (identity.position(live, l), identity.position(live, r));
        let take_left = matches!(places, (Some(l), Some(r)) if l < r);
        out.extend(if take_left { left.next() } else { right.next() });
    }
    out.extend(left);
    out.extend(right);
    out
}

/// The items of a patch list must stand in the order that `$setElementOrder` gives, and be among it.
pub(super) fn follows(patch: &[Value], wanted: &[Value], identity: Identity<'_>) -> Result<bool, PatchError> {
    if patch.is_empty() || wanted.is_empty() {
        return Ok(true);
    }
    let mut expected = wanted.iter();
    for item in patch.iter().filter(|item| item.get("$patch").is_none()) {
        identity.check(std::slice::from_ref(item))?;
        identity.check(wanted)?;
        let wanted_id = identity.of(item);
        if !expected.any(|other| identity.of(other) == wanted_id) {
            return Ok(false);
        }
    }
    Ok(true)
}
