//! What changed lately, by kind: each watch reads its own way through it. Older than the ring is 410 Gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use muster_model::{Event, Key, Kind, Object, Revision};
use parking_lot::RwLock;
use tokio::sync::watch;

/// Changes kept of each kind. A change holds two objects, most of whose text is shared.
const RING_MAX: usize = 8_192;

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object's name.
    pub key: Key,
    /// As it was.
    pub old: Option<Arc<Object>>,
    /// As it is.
    pub new: Option<Arc<Object>>,
    /// When.
    pub revision: Revision,
}

/// The ring does not reach back so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

struct Ring {
    changes: VecDeque<Arc<Change>>,
    /// Every change after this revision is in the ring.
    complete_after: Revision,
    /// The last change: what watches of this kind wait on, so that no other kind wakes them.
    moved: watch::Sender<Revision>,
}

impl Ring {
    fn new(complete_after: Revision) -> Ring {
        Ring { changes: VecDeque::new(), complete_after, moved: watch::channel(complete_after).0 }
    }
}

/// The rings of all kinds.
#[derive(Default)]
pub struct WatchCache {
    rings: RwLock<BTreeMap<Kind, Ring>>,
    /// Every change of a kind without a ring is after this.
    start: RwLock<Revision>,
}

impl WatchCache {
    /// Takes the changes of one batch of entries.
    pub fn push(&self, events: &[Event]) {
        let mut rings = self.rings.write();
        let start = *self.start.read();
        let mut last: BTreeMap<&Kind, Revision> = BTreeMap::new();
        for event in events {
            let Event::Changed { key, old, new, revision } = event else { continue };
            let change = Change { key: key.clone(), old: old.clone(), new: new.clone(), revision: *revision };
            let ring = rings.entry(key.kind.clone()).or_insert_with(|| Ring::new(start));
            ring.changes.push_back(Arc::new(change));
            if ring.changes.len() > RING_MAX {
                let dropped = ring.changes.pop_front().expect("it is not empty");
                ring.complete_after = dropped.revision;
            }
            last.insert(&key.kind, *revision);
        }
        for (kind, revision) in last {
            if let Some(ring) = rings.get(kind) {
                ring.moved.send_replace(revision);
            }
        }
    }

    /// Moves with each batch that changes this kind. It ends when everything is forgotten: look again, and ask anew.
    pub fn moved(&self, kind: &Kind) -> watch::Receiver<Revision> {
        if let Some(ring) = self.rings.read().get(kind) {
            return ring.moved.subscribe();
        }
        let start = *self.start.read();
        self.rings.write().entry(kind.clone()).or_insert_with(|| Ring::new(start)).moved.subscribe()
    }

    /// Forgets everything: the state was replaced by a snapshot of this revision.
    pub fn reset(&self, revision: Revision) {
        self.rings.write().clear();
        *self.start.write() = revision;
    }

    /// At most `limit` changes of a kind after a revision, oldest first.
    pub fn since(&self, kind: &Kind, after: Revision, limit: usize) -> Result<Vec<Arc<Change>>, Gone> {
        let rings = self.rings.read();
        let Some(ring) = rings.get(kind) else {
            return if after < *self.start.read() { Err(Gone) } else { Ok(Vec::new()) };
        };
        if after < ring.complete_after {
            return Err(Gone);
        }
        let first = ring.changes.partition_point(|change| change.revision <= after);
        Ok(ring.changes.range(first..).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, revision: u64) -> Event {
        Event::Changed { key: Key::new(kind, "", "x"), old: None, new: None, revision: Revision(revision) }
    }

    #[test]
    fn a_watch_resumes_where_it_was_or_hears_that_it_cannot() {
        let cache = WatchCache::default();
        cache.reset(Revision(10));
        let pods = Kind::new("pods");
        assert!(cache.since(&pods, Revision(9), 10).is_err());
        assert_eq!(cache.since(&pods, Revision(10), 10).map(|found| found.len()), Ok(0));
        cache.push(&[change("pods", 11), change("jobs", 12), change("pods", 13)]);
        let found = cache.since(&pods, Revision(11), 10).expect("in the ring");
        assert_eq!(found.iter().map(|change| change.revision.0).collect::<Vec<_>>(), [13]);
        let many: Vec<Event> = (0..RING_MAX as u64).map(|i| change("pods", 14 + i)).collect();
        cache.push(&many);
        assert!(cache.since(&pods, Revision(12), 10).is_err(), "13 was dropped, and perhaps more");
        assert!(cache.since(&pods, Revision(13), 10).is_ok());
    }
}
