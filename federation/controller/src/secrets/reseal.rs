//! Seals anew what is sealed with another key than the current one: ordinary changes with the revision as precondition, so
//! that one that somebody else made first wins, and is sealed with the current key anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::State;
use muster_model::{Command, Key, Kind, Object, Precondition, Principal, Put, PutMode, Spec, Status, kinds};
use serde::Serialize;

use super::keyring::KeyId;
use super::vault::{SealError, Vault, choice, chosen_key, sealed_with};
use crate::agents::random_uid;
use crate::hub::{Hub, HubError};
use crate::terraform;

/// Objects sealed anew in one pass, before the state is looked at again.
const BATCH: usize = 256;
/// Changes under way at a time.
const CONCURRENT: usize = 16;
/// The version of what is read from these documents.
const TYPED_VERSION: u16 = 1;

/// How many objects are sealed with which key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The key that seals.
    pub current: Option<KeyId>,
    /// Objects by key.
    pub sealed_with: BTreeMap<KeyId, u64>,
}

impl Progress {
    /// As this state has it. Costs the number of sealed objects.
    pub fn of(vault: &Vault, state: &State) -> Progress {
        let mut sealed_with: BTreeMap<KeyId, u64> = BTreeMap::new();
        let states = state.list(&Kind::new(kinds::TERRAFORM_STATE), None, None);
        let ids = sealed(state).filter_map(|object| self::sealed_with(object));
        for id in ids.chain(states.filter_map(|object| terraform::sealed_with(object))) {
            *sealed_with.entry(id).or_default() += 1;
        }
        Progress { current: Some(vault.current(state)), sealed_with }
    }
}

fn sealed(state: &State) -> impl Iterator<Item = &Arc<Object>> {
    let kinds = [kinds::SECRET, kinds::AUTHORITY].map(Kind::new);
    kinds.into_iter().flat_map(|kind| state.list(&kind, None, None).collect::<Vec<_>>())
}

/// The hub's own name in the audit log.
pub(crate) fn hub_principal() -> Principal {
    Principal::new("system:hub")
}

/// A change of an object whose typed part stays.
pub(crate) fn put(key: Key, mode: PutMode, document: muster_model::Document, by: Principal) -> Put {
    Put {
        key,
        mode,
        spec: Spec::Opaque,
        typed_version: TYPED_VERSION,
        document,
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: by,
        idempotency: None,
    }
}

/// The command that makes `id` the key that seals.
pub(crate) fn choose(state: &State, id: KeyId, by: Principal) -> Command {
    let mode = match state.get(&chosen_key()) {
        Some(there) => PutMode::Replace(precondition(there)),
        None => PutMode::Create { uid: random_uid() },
    };
    Command::Put(Box::new(put(chosen_key(), mode, choice(id), by)))
}

/// That the object is as it was read.
pub(crate) fn precondition(object: &Object) -> Precondition {
    Precondition { revision: Some(object.meta.revision), uid: Some(object.meta.uid) }
}

/// Seals up to a batch of objects with the current key; gives how many are left, which is 0 at the end. What this replica
/// has no key for is left too, and told of.
///
/// # Errors
/// The hub's: nothing is lost, it is tried again.
pub(crate) async fn reseal(hub: &Hub, vault: &Vault) -> Result<usize, HubError> {
    let state = hub.stale();
    let current = vault.current(&state);
    let is_old = |object: &&Arc<Object>| sealed_with(object).is_some_and(|id| id != current);
    let old: Vec<Arc<Object>> = sealed(&state).filter(is_old).cloned().collect();
    // What needs a key that is not here must not stand in the way of the rest.
    let known = vault.ids();
    let (can, cannot): (Vec<_>, Vec<_>) =
        old.iter().partition(|object| sealed_with(object).is_some_and(|id| known.contains(&id)));
    if let Some(object) = cannot.first() {
        tracing::warn!(objects = cannot.len(), first = %object.key, "not sealed anew: the key they need is not here");
    }
    for together in can[..can.len().min(BATCH)].chunks(CONCURRENT) {
        let changes = together.iter().filter_map(|object| match sealed_anew(vault, current, object) {
            Ok(put) => Some(hub.propose(Command::Put(Box::new(put)))),
            Err(error) => {
                tracing::warn!(%error, "not sealed anew");
                None
            }
        });
        for done in futures::future::join_all(changes).await {
            done?;
        }
    }
    Ok(old.len())
}

fn sealed_anew(vault: &Vault, current: KeyId, object: &Object) -> Result<Put, SealError> {
    debug_assert!(matches!(object.status, Status::Opaque), "sealed kinds have no typed part");
    let (key, uid) = (&object.key, object.meta.uid);
    let opened = vault.open_document(key, uid, &object.document)?;
    let document = vault.seal(current, key, uid, &opened)?;
    let mode = PutMode::Replace(precondition(object));
    let put = put(key.clone(), mode, document, hub_principal());
    Ok(Put { finalizers: object.meta.finalizers.clone(), owners: object.meta.owners.clone(), ..put })
}
