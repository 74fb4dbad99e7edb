//! From what a request names to what the state holds.

use std::sync::Arc;

use muster_core::State;
use muster_kubeapi::kinds::StoredKind;
use muster_kubeapi::path::Request;
use muster_kubeapi::resource::Resource;
use muster_kubeapi::status::Status;
use muster_model::{Key, Kind, Object};

use super::items::Item;
use super::refusal;
use crate::secrets::Vault;

/// The stored kind that a request is about.
///
/// # Errors
/// 404 for mirrors, which have answers of their own.
pub fn kind_of(resource: &Resource) -> Result<&'static StoredKind, Status> {
    StoredKind::of_resource(resource).ok_or_else(Status::path_not_found)
}

/// The key of the object that a request names.
pub fn key_of(request: &Request) -> Key {
    Key {
        kind: Kind::new(request.resource.qualified()),
        namespace: request.namespace.as_deref().unwrap_or_default().into(),
        name: request.name.as_deref().unwrap_or_default().into(),
    }
}

/// How the API serves a kind of the model; `None` for kinds that are never served.
pub fn resource_of(kind: &Kind) -> Option<&'static Resource> {
    StoredKind::of(kind).map(|kind| &kind.resource)
}

/// The object that a request names, as it is stored.
///
/// # Errors
/// 404.
pub fn find(state: &State, request: &Request) -> Result<Arc<Object>, Status> {
    let key = key_of(request);
    state.get(&key).cloned().ok_or_else(|| Status::not_found(request.resource, &key.name))
}

/// The object as an item of its kind, opened if it is stored sealed.
///
/// # Errors
/// 404 for mirrors, 500 for what cannot be opened.
pub fn item(vault: &Vault, resource: &Resource, object: &Arc<Object>) -> Result<Item, Status> {
    Ok(Item::stored(kind_of(resource)?, open(vault, object)?))
}

/// The object with its document opened if it is stored sealed.
///
/// # Errors
/// 500 that names the key.
pub fn open(vault: &Vault, object: &Arc<Object>) -> Result<Arc<Object>, Status> {
    vault.open_object(object).map_err(|error| refusal::of_seal(&error))
}
