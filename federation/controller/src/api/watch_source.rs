//! Where a watch learns what changed: the ring of a kind, or the mirrors of Pods of one leadership.

use std::sync::Arc;

use muster_consensus::RuntimeStatus;
use muster_kubeapi::kinds::StoredKind;
use muster_model::{Kind, Object, Revision};
use tokio::sync::watch;

use super::items::Item;
use crate::agents::Mirrors;
use crate::hub::Hub;
use crate::machine::View;

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
    /// The source does not reach back so far, or is of another leadership.
    Gone,
}

/// What one watch reads.
pub enum Source {
    /// Objects of the state.
    Stored {
        /// The hub.
        hub: Hub,
        /// Which kind.
        kind: &'static StoredKind,
        /// How the model names it.
        model_kind: Kind,
        /// Moves when something was applied.
        view: watch::Receiver<View>,
        /// Says when this replica goes.
        status: watch::Receiver<RuntimeStatus>,
    },
    /// Mirrors of Pods.
    Pods {
        /// The hub.
        hub: Hub,
        /// The mirrors.
        mirrors: Arc<Mirrors>,
        /// The term that they are of.
        term: u64,
        /// Moves when a mirror did.
        version: watch::Receiver<u64>,
        /// Says when this replica leads no more.
        status: watch::Receiver<RuntimeStatus>,
    },
}

impl Source {
    /// The changes of a kind.
    pub fn stored(hub: &Hub, kind: &'static StoredKind) -> Source {
        Source::Stored {
            hub: hub.clone(),
            kind,
            model_kind: kind.model_kind(),
            view: hub.view(),
            status: hub.status(),
        }
    }

    /// The changes of Pods; `None` if this replica does not lead.
    pub fn pods(hub: &Hub, mirrors: &Arc<Mirrors>) -> Option<Source> {
        let term = hub.leads()?;
        let (version, status) = (mirrors.version(), hub.status());
        Some(Source::Pods { hub: hub.clone(), mirrors: Arc::clone(mirrors), term, version, status })
    }

    /// Changes after a revision.
    pub fn look(&mut self, after: u64) -> Found {
        match self {
            Source::Stored { hub, kind, model_kind, view, .. } => {
                // The view is looked at first: whatever it shows is in the ring by then.
                let seen = view.borrow_and_update().state.revision().0;
                let changes = match hub.changes(model_kind, Revision(after), BATCH) {
                    Err(_) => return Found::Gone,
                    Ok(changes) if changes.is_empty() => return Found::NothingUpTo(seen.max(after)),
                    Ok(changes) => changes,
                };
                let item = |object: &Arc<Object>| Item::Stored(kind, Arc::clone(object));
                let moved = changes.iter().map(|change| Moved {
                    old: change.old.as_ref().map(item),
                    new: change.new.as_ref().map(item),
                    revision: change.revision.0,
                });
                Found::Changes(moved.collect())
            }
            Source::Pods { hub, mirrors, term, version, .. } => {
                if hub.leads() != Some(*term) {
                    return Found::Gone;
                }
                version.borrow_and_update();
                let changes = match mirrors.changes(after, BATCH) {
                    Err(_) => return Found::Gone,
                    Ok(changes) if changes.is_empty() => return Found::NothingUpTo(after),
                    Ok(changes) => changes,
                };
                let moved = changes.into_iter().map(|change| Moved {
                    old: change.old.map(Item::Pod),
                    new: change.new.map(Item::Pod),
                    revision: change.version,
                });
                Found::Changes(moved.collect())
            }
        }
    }

    /// Waits until another look may find something. False when the replica is being shut down.
    pub async fn moved(&mut self) -> bool {
        match self {
            Source::Stored { view, status, .. } => tokio::select! {
                changed = view.changed() => changed.is_ok(),
                _ = status.wait_for(|status| !status.running) => false,
            },
            Source::Pods { hub, term, version, status, .. } => {
                let leads_no_more = |status: &RuntimeStatus| !status.running || status.replica.term != *term;
                tokio::select! {
                    changed = version.changed() => changed.is_ok(),
                    _ = status.wait_for(leads_no_more) => hub.status().borrow().running,
                }
            }
        }
    }
}
