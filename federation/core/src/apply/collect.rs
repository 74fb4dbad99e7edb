//! What goes by time, and what goes with something else. Bounded: each command removes at most its limit.

use std::sync::Arc;

use muster_model::{Answer, Key, Kind, Object, Propagation, Status, Uid};

use super::Step;
use crate::by_key::ByKey;
use crate::index::{FOREGROUND, is_in_foreground_deletion};
use crate::state::Garbage;

impl Step<'_> {
    /// Removes what has expired, and drops reservations that have.
    pub(super) fn expire(&mut self, limit: u32) -> Answer {
        for _ in 0..limit {
            let Some((at, ByKey(object))) = self.state.indexes.expiry.get_min().cloned() else { break };
            if at > self.time {
                break;
            }
            self.expire_one(&object.key);
        }
        Answer::Done
    }

    fn expire_one(&mut self, key: &Key) {
        let Some(object) = self.state.get(key).cloned() else { return };
        match &object.status {
            Status::Job(job) if !job.is_finished() => self.release_reservation(&object),
            Status::Job(_) => {
                self.start_deletion(&object, Propagation::Background, None);
            }
            // Over already: every entry ends those whose time is up before anything else.
            Status::Fault(fault) if fault.is_open() => {}
            _ => {
                self.remove(key);
            }
        }
    }

    /// Removes what hangs on deleted owners and namespaces.
    pub(super) fn collect(&mut self, limit: u32) -> Answer {
        let mut left = limit as usize;
        while left > 0 {
            let Some(garbage) = self.state.garbage.get_min().cloned() else { break };
            let found = self.hangers(&garbage, left);
            if found.len() < left {
                self.state.garbage.remove(&garbage);
            }
            left -= found.len();
            for key in found {
                self.collect_one(&garbage, &key);
            }
            self.finish_owner(&garbage);
        }
        Answer::Done
    }

    /// At most `limit` objects that hang on it and are not yet going.
    fn hangers(&self, garbage: &Garbage, limit: usize) -> Vec<Key> {
        let stays = |key: &&Key| self.state.get(key).is_some_and(|object| object.meta.deletion.is_none());
        match garbage {
            Garbage::Namespace(name) => {
                let kinds: Vec<Kind> = self.state.indexes.counts.keys().cloned().collect();
                let listed = kinds.iter().flat_map(|kind| self.state.list(kind, Some(name), None));
                let live = listed.filter(|object| !name.is_empty() && object.meta.deletion.is_none());
                live.take(limit).map(|object| object.key.clone()).collect()
            }
            Garbage::Dependents(uid) => self.dependents(*uid).filter(stays).take(limit).cloned().collect(),
            Garbage::Orphans(uid) => self.dependents(*uid).take(limit).cloned().collect(),
        }
    }

    fn collect_one(&mut self, garbage: &Garbage, key: &Key) {
        let Some(object) = self.state.get(key).cloned() else { return };
        match garbage {
            Garbage::Namespace(_) => {
                self.start_deletion(&object, Propagation::Background, None);
            }
            Garbage::Dependents(uid) if object.meta.owners.iter().all(|owner| owner.uid == *uid) => {
                self.start_deletion(&object, Propagation::Background, None);
            }
            Garbage::Dependents(uid) | Garbage::Orphans(uid) => self.disown(&object, *uid),
        }
    }

    fn disown(&mut self, object: &Object, uid: Uid) {
        let mut object = object.clone();
        object.meta.owners.retain(|owner| owner.uid != uid);
        self.store(object);
    }

    /// The owner itself, if nothing hangs on it any more.
    fn finish_owner(&mut self, garbage: &Garbage) {
        match garbage {
            Garbage::Namespace(name) => {
                let key = Key::namespace(name);
                if self.state.get(&key).is_some() && !self.namespace_holds(name) {
                    self.remove(&key);
                }
            }
            Garbage::Dependents(uid) | Garbage::Orphans(uid) => self.finish_foreground(*uid),
        }
    }

    fn finish_foreground(&mut self, uid: Uid) {
        let Some(key) = self.state.indexes.foreground.get(&uid).cloned() else { return };
        if self.has_blocking_dependents(uid) {
            return;
        }
        let Some(there) = self.state.get(&key).cloned() else { return };
        let mut object = Object::clone(&there);
        object.meta.finalizers.retain(|f| &**f != FOREGROUND);
        self.store(object);
        self.remove_if_free(&key);
    }

    /// After an object went: its dependents, its waiting owner, its emptying namespace.
    pub(super) fn wake_collection(&mut self, gone: &Object) {
        if self.has_dependents(gone.meta.uid)
            && !self.state.garbage.contains(&Garbage::Orphans(gone.meta.uid))
        {
            self.state.garbage.insert(Garbage::Dependents(gone.meta.uid));
        }
        for owner in &gone.meta.owners {
            if self.state.indexes.foreground.contains_key(&owner.uid) {
                self.state.garbage.insert(Garbage::Dependents(owner.uid));
            }
        }
        let namespace = &gone.key.namespace;
        let terminating =
            self.state.get(&Key::namespace(namespace)).is_some_and(|n| n.meta.deletion.is_some());
        if !namespace.is_empty() && terminating {
            self.state.garbage.insert(Garbage::Namespace(Arc::clone(namespace)));
        }
    }

    fn dependents(&self, uid: Uid) -> impl Iterator<Item = &Key> {
        let start = (uid, Key::new("", "", ""));
        self.state
            .indexes
            .dependents
            .range(start..)
            .take_while(move |(owner, _)| *owner == uid)
            .map(|(_, key)| key)
    }

    pub(super) fn has_dependents(&self, uid: Uid) -> bool {
        self.dependents(uid).next().is_some()
    }

    pub(super) fn has_blocking_dependents(&self, uid: Uid) -> bool {
        let blocks = |object: &Arc<Object>| {
            object.meta.owners.iter().any(|owner| owner.uid == uid && owner.block_deletion)
                && !is_in_foreground_deletion(object)
        };
        self.dependents(uid).any(|key| self.state.get(key).is_some_and(blocks))
    }

    pub(super) fn namespace_holds(&self, name: &Arc<str>) -> bool {
        let kinds: Vec<Kind> = self.state.indexes.counts.keys().cloned().collect();
        kinds.iter().any(|kind| self.state.list(kind, Some(name), None).next().is_some())
    }
}
