//! Where a watch learns what changed: the ring of a kind, or the mirrors of Pods of one leadership.

use std::sync::Arc;

use muster_kubeapi::kinds::StoredKind;
use muster_kubeapi::status::Status;
use muster_model::{Kind, Object, Revision};
use tokio::sync::watch;

use super::items::Item;
use super::objects;
use super::router::Api;
use super::standing::Standing;
use super::templates::Templates;
use crate::agents::Mirrors;
use crate::hub::Hub;
use crate::secrets::Vault;

/// Changes looked at in one go.
const BATCH: usize = 256;

/// One change of one object.
pub struct Moved {
    /// As it was.
    pub old: Option<Item>,
    /// As it is.
    pub new: Option<Item>,
    /// When.
    pub revision: u64,
}

/// What a look at the source found.
pub enum Found {
    /// Changes, oldest first; perhaps more follow.
    Changes(Vec<Moved>),
    /// Nothing up to this revision.
    NothingUpTo(u64),
    /// A change cannot be shown.
    Failed(Status),
    /// The source does not reach back so far, or is of another leadership.
    Gone,
}

/// What one watch reads.
pub struct Source {
    hub: Hub,
    vault: Vault,
    standing: watch::Receiver<Standing>,
    of: Of,
}

/// Of what.
enum Of {
    /// Objects of the state: the kind, how the model names it, and what moves when one of them changes.
    Stored(&'static StoredKind, Kind, watch::Receiver<Revision>),
    /// Mirrors of Pods under one term, and what moves when one of them changes.
    Pods(Arc<Mirrors>, u64, watch::Receiver<u64>),
}

impl Source {
    /// The changes of a kind.
    pub fn stored(api: &Api, kind: &'static StoredKind) -> Source {
        let model_kind = kind.model_kind();
        let moved = api.hub.moved(&model_kind);
        Source {
            hub: api.hub.clone(),
            vault: api.vault.clone(),
            standing: api.standing.clone(),
            of: Of::Stored(kind, model_kind, moved),
        }
    }

    /// The changes of Pods; `None` if this replica does not lead.
    pub fn pods(api: &Api) -> Option<Source> {
        let term = api.hub.leads()?;
        let of = Of::Pods(Arc::clone(&api.mirrors), term, api.mirrors.version());
        Some(Source { hub: api.hub.clone(), vault: api.vault.clone(), standing: api.standing.clone(), of })
    }

    /// Changes after a revision.
    pub fn look(&mut self, after: u64, templates: &mut Templates) -> Found {
        match &mut self.of {
            Of::Stored(kind, model_kind, moved) => {
                moved.borrow_and_update();
                look_at_ring((&self.hub, &self.vault), (*kind, &*model_kind), after)
            }
            Of::Pods(mirrors, term, version) => {
                version.borrow_and_update();
                if self.hub.leads() != Some(*term) {
                    return Found::Gone;
                }
                look_at_mirrors(mirrors, after, templates)
            }
        }
    }

    /// Waits until another look may find something. False when the replica is being shut down.
    pub async fn moved(&mut self) -> bool {
        match &mut self.of {
            Of::Stored(_, kind, moved) => tokio::select! {
                changed = moved.changed() => {
                    if changed.is_err() {
                        *moved = self.hub.moved(kind);
                    }
                    true
                }
                _ = self.standing.wait_for(|standing| !standing.running) => false,
            },
            Of::Pods(_, term, version) => tokio::select! {
                changed = version.changed() => changed.is_ok(),
                standing = self.standing.wait_for(|standing| !standing.running || standing.leads != Some(*term)) => {
                    standing.is_ok_and(|standing| standing.running)
                }
            },
        }
    }
}

fn look_at_ring(
    (hub, vault): (&Hub, &Vault),
    (kind, model_kind): (&'static StoredKind, &Kind),
    after: u64,
) -> Found {
    // Before the ring: whatever this shows is in the ring by then.
    let seen = hub.view().borrow().state.revision().0;
    let item = |object: &Option<Arc<Object>>| {
        let opened = object.as_ref().map(|object| objects::open(vault, object)).transpose()?;
        Ok::<_, Status>(opened.map(|object| Item::stored(kind, object)))
    };
    match hub.changes(model_kind, Revision(after), BATCH) {
        Err(_) => Found::Gone,
        Ok(changes) if changes.is_empty() => Found::NothingUpTo(seen.max(after)),
        Ok(changes) => {
            let moved = changes.iter().map(|change| {
                Ok(Moved { old: item(&change.old)?, new: item(&change.new)?, revision: change.revision.0 })
            });
            moved.collect::<Result<_, Status>>().map_or_else(Found::Failed, Found::Changes)
        }
    }
}

fn look_at_mirrors(mirrors: &Mirrors, after: u64, templates: &mut Templates) -> Found {
    match mirrors.changes(after, BATCH) {
        Err(_) => Found::Gone,
        Ok(changes) if changes.is_empty() => Found::NothingUpTo(after),
        Ok(changes) => {
            let moved = changes.into_iter().map(|change| Moved {
                old: change.old.map(|pod| templates.item(pod)),
                new: change.new.map(|pod| templates.item(pod)),
                revision: change.version,
            });
            Found::Changes(moved.collect())
        }
    }
}
