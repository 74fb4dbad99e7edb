//! Strategic merge patch: a merge patch whose lists know their merge keys.
//!
//! The rules are those of the Kubernetes API conventions ("Strategic Merge Patch") as the 1.34 server applies them; golden
//! files recorded from it are the specification. `current` and `patch` are consumed: nothing is cloned on the way.

use serde_json::{Map, Value};

use super::order::{Identity, follows, order};
use crate::quote::go_value;
use crate::schema::{Field, Schemas, Type};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Why a strategic merge patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// `$retainKeys` is no list, or lacks a field the patch sets.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` is no list.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// `$deleteFromPrimitiveList` is no list.
    #[error("invalid patch format of primitive list")]
    DeleteFromList,
    /// An item of a merged list does not say which one it is.
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The item.
        item: String,
        /// The field it lacks.
        key: String,
    },
    /// A `$patch` nobody knows.
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive {
        /// What it says.
        directive: String,
        /// Where it stands.
        map: String,
    },
    /// `$patch: merge` in a list.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirective,
    /// Objects and scalars in one list.
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    /// Order was asked for a list that has no items on either side.
    #[error("no elements in any of the given slices")]
    EmptyList,
    /// A list of objects is merged and the schema names no merge key.
    #[error("cannot merge lists without merge key")]
    NoKeyInSchema,
    /// The patch's items stand in another order than `$setElementOrder` says.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// Items of the patch.
        patch: String,
        /// Order it asks for.
        order: String,
    },
}

impl PatchError {
    pub(super) fn no_merge_key(item: &Value, key: &str) -> Self {
        PatchError::NoMergeKey { item: go_value(item), key: key.to_owned() }
    }

    fn directive(directive: &Value, map: &Map<String, Value>) -> Self {
        PatchError::Directive { directive: go_value(directive), map: go_value(&Value::Object(map.clone())) }
    }
}

/// Merges `patch` into `current`, an object of `definition`.
///
/// # Errors
/// See [`PatchError`]; nothing is half applied, since `current` is consumed.
pub fn merge(
    schemas: &Schemas,
    definition: &str,
    current: Value,
    patch: Map<String, Value>,
) -> Result<Value, PatchError> {
    let root = Type::Reference(definition.to_owned());
    let merger = Merger { schemas };
    let current = match current {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    merger.map(Some(&root), current, patch).map(Value::Object)
}

#[derive(Clone, Copy)]
struct Merger<'a> {
    schemas: &'a Schemas,
}

/// What the schema says about one field.
#[derive(Clone, Copy)]
struct Place<'a> {
    ty: Option<&'a Type>,
    strategy: &'a str,
    merge_key: &'a str,
}

impl<'a> Place<'a> {
    fn item(self) -> Option<&'a Type> {
        match self.ty {
            Some(Type::List(inner)) => Some(inner),
            _ => None,
        }
    }

    fn identity(self) -> Identity<'a> {
        if self.merge_key.is_empty() { Identity::Value } else { Identity::Key(self.merge_key) }
    }
}

impl<'a> Merger<'a> {
    fn place(self, ty: Option<&'a Type>, key: &str) -> Place<'a> {
        let unknown = Place { ty: None, strategy: "", merge_key: "" };
        match ty {
            Some(Type::Map(inner)) => Place { ty: Some(inner), ..unknown },
            Some(ty) => match self.schemas.fields_of(ty).and_then(|(_, _, fields)| fields.get(key)) {
                Some(field) => known(field),
                None => unknown,
            },
            None => unknown,
        }
    }

    fn map(
        self,
        ty: Option<&'a Type>,
        mut current: Map<String, Value>,
        mut patch: Map<String, Value>,
    ) -> Result<Map<String, Value>, PatchError> {
        if let Some(directive) = patch.get(PATCH) {
            match directive.as_str() {
                Some("replace") => return Ok(taken_map(patch)),
                Some("delete") => return Ok(Map::new()),
                _ => return Err(PatchError::directive(directive, &patch)),
            }
        }
        retain_keys(&mut current, &mut patch)?;
        self.ordered_lists(ty, &mut current, &mut patch)?;
        for (key, value) in patch {
            match key.strip_prefix(DELETE_FROM) {
                Some(list) => delete_from_list(&mut current, list, value)?,
                None => self.field(ty, &mut current, key, value)?,
            }
        }
        Ok(current)
    }

    fn field(
        self,
        ty: Option<&'a Type>,
        current: &mut Map<String, Value>,
        key: String,
        value: Value,
    ) -> Result<(), PatchError> {
        let place = self.place(ty, &key);
        let merged = match (current.remove(&key), value) {
            (_, Value::Null) => return Ok(()),
            (Some(Value::Object(_)), Value::Object(patch)) if place.strategy == "replace" => {
                Some(Value::Object(taken_map(patch)))
            }
            (Some(Value::Object(old)), Value::Object(patch)) => {
                Some(Value::Object(self.map(place.ty, old, patch)?))
            }
            (Some(Value::Array(old)), Value::Array(patch)) => {
                Some(Value::Array(self.list(place, old, patch)?))
            }
            (_, value) => fresh(value),
        };
        if let Some(merged) = merged {
            current.insert(key, merged);
        }
        Ok(())
    }

    fn list(self, place: Place<'a>, old: Vec<Value>, patch: Vec<Value>) -> Result<Vec<Value>, PatchError> {
        if place.strategy != "merge" {
            return Ok(patch.into_iter().map(taken).collect());
        }
        if old.is_empty() && patch.is_empty() {
            return Ok(old);
        }
        if holds_objects(&old, &patch)? {
            if place.merge_key.is_empty() {
                return Err(PatchError::NoKeyInSchema);
            }
            return self.keyed_list(place, old, patch);
        }
        let mut merged: Vec<Value> = Vec::with_capacity(old.len() + patch.len());
        for item in old.iter().chain(&patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        order(merged, &patch, &old, Identity::Value)
    }

    fn keyed_list(
        self,
        place: Place<'a>,
        old: Vec<Value>,
        patch: Vec<Value>,
    ) -> Result<Vec<Value>, PatchError> {
        let identity = place.identity();
        let Directed { live, patch } = directives(old, patch, place.merge_key)?;
        let mut merged = live.clone();
        for item in patch.iter().cloned() {
            identity.check(std::slice::from_ref(&item))?;
            let found = merged.iter().position(|other| identity.of(other) == identity.of(&item));
            match (found, item) {
                (Some(index), Value::Object(fields)) => {
                    let Value::Object(old) = std::mem::take(&mut merged[index]) else { continue };
                    merged[index] = Value::Object(self.map(place.item(), old, fields)?);
                }
                (_, item) => merged.push(taken(item)),
            }
        }
        order(merged, &patch, &live, identity)
    }

    /// Lists with `$setElementOrder/NAME` are merged here, and leave nothing of themselves in the patch.
    fn ordered_lists(
        self,
        ty: Option<&'a Type>,
        current: &mut Map<String, Value>,
        patch: &mut Map<String, Value>,
    ) -> Result<(), PatchError> {
        let lists: Vec<String> =
            patch.keys().filter_map(|key| key.strip_prefix(SET_ORDER).map(str::to_owned)).collect();
        for name in lists {
            let Some(Value::Array(wanted)) = patch.remove(&format!("{SET_ORDER}{name}")) else {
                return Err(PatchError::SetElementOrder);
            };
            let place = self.place(ty, &name);
            let old = take_list(current, &name)?;
            let new = take_list(patch, &name)?;
            if let Some(merged) = self.ordered_list(place, old, new, &wanted)? {
                current.insert(name, Value::Array(merged));
            }
        }
        Ok(())
    }

    fn ordered_list(
        self,
        place: Place<'a>,
        old: Option<Vec<Value>>,
        new: Option<Vec<Value>>,
        wanted: &[Value],
    ) -> Result<Option<Vec<Value>>, PatchError> {
        let identity = place.identity();
        let patched = new.as_deref().unwrap_or_default();
        if !follows(patched, wanted, identity)? {
            return Err(PatchError::Order { patch: go_list(patched), order: go_list(wanted) });
        }
        let live = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => return Ok(None),
            (Some(old), None) => old,
            (None, Some(new)) => match fresh(Value::Array(new)) {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            },
            (Some(old), Some(new)) => self.list(place, old, new)?,
        };
        if merged.is_empty() && live.is_empty() {
            return Err(PatchError::EmptyList);
        }
        order(merged, wanted, &live, identity).map(Some)
    }
}

fn known(field: &Field) -> Place<'_> {
    Place { ty: Some(&field.ty), strategy: field.merge_strategy(), merge_key: &field.merge_key }
}

fn take_list(map: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(PatchError::SetElementOrder),
    }
}

/// Fields that `$retainKeys` does not list go away; the patch may set only listed ones.
fn retain_keys(current: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let keep = match patch.remove(RETAIN_KEYS) {
        None => return Ok(()),
        Some(Value::Array(keep)) => keep,
        Some(_) => return Err(PatchError::RetainKeys),
    };
    let listed = |key: &str| keep.iter().any(|kept| kept == key);
    let directive = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !directive(key) && !listed(key)) {
        return Err(PatchError::RetainKeys);
    }
    current.retain(|key, _| listed(key));
    Ok(())
}

fn delete_from_list(current: &mut Map<String, Value>, list: &str, items: Value) -> Result<(), PatchError> {
    let Value::Array(items) = items else { return Err(PatchError::DeleteFromList) };
    if let Some(Value::Array(old)) = current.get_mut(list) {
        old.retain(|item| !items.contains(item));
    }
    Ok(())
}

struct Directed {
    live: Vec<Value>,
    patch: Vec<Value>,
}

/// Carries out `$patch: delete` and `$patch: replace` of list items; what is left is merged.
fn directives(old: Vec<Value>, patch: Vec<Value>, merge_key: &str) -> Result<Directed, PatchError> {
    let identity = Identity::Key(merge_key);
    let (mut live, mut rest, mut replace) = (old, Vec::new(), false);
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                identity.check(std::slice::from_ref(&item))?;
                live.retain(|other| identity.of(other) != identity.of(&item));
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(PatchError::MergeDirective),
            _ => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(PatchError::directive(directive, &map));
            }
        }
    }
    if replace {
        return Ok(Directed { live: rest.into_iter().map(taken).collect(), patch: Vec::new() });
    }
    Ok(Directed { live, patch: rest })
}

/// Whether a merged list holds objects; all items must agree.
fn holds_objects(old: &[Value], patch: &[Value]) -> Result<bool, PatchError> {
    let objects = old.iter().chain(patch).filter(|item| item.is_object()).count();
    match objects {
        0 => Ok(false),
        all if all == old.len() + patch.len() => Ok(true),
        _ => Err(PatchError::MixedList(format!("[{} {}]", go_list(old), go_list(patch)))),
    }
}

fn go_list(items: &[Value]) -> String {
    format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" "))
}

/// A value for a field that did not exist: what carries a `$patch` is dropped, nulls and directives are not data.
fn fresh(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let fields = map.into_iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
            Some(Value::Object(fields.filter_map(|(key, value)| Some((key, fresh(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(fresh).collect())),
        scalar => Some(scalar),
    }
}

/// A value that replaces another: directives inside mean nothing there and are dropped, what carries them stays.
fn taken(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(taken_map(map)),
        Value::Array(items) => Value::Array(items.into_iter().map(taken).collect()),
        scalar => scalar,
    }
}

fn taken_map(map: Map<String, Value>) -> Map<String, Value> {
    let fields = map.into_iter().filter(|(key, value)| !is_directive(key) && !value.is_null());
    fields.map(|(key, value)| (key, taken(value))).collect()
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || key.starts_with(SET_ORDER) || key.starts_with(DELETE_FROM)
}
