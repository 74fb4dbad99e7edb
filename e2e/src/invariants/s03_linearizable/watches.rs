//! Watches: ordered, gap-free, resumable. What a watcher was given, piece by piece and from whichever replica, is what the
//! log has of that kind after the revision at which it began; nothing twice, nothing left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{Key, Kind, Object, Revision};

use super::super::{Violation, note};

/// The changes of each kind, as entries made them.
#[derive(Debug, Default)]
pub struct Watches(BTreeMap<Kind, Vec<Logged>>);

#[derive(Debug)]
struct Logged {
    revision: Revision,
    key: Key,
    new: Option<Arc<Object>>,
}

/// How far a watcher is in the changes of its kind.
#[derive(Clone, Debug)]
pub struct Cursor {
    kind: Kind,
    next: usize,
}

/// A change as a watcher was given it.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// The watcher's name.
    pub watcher: usize,
    /// Which object.
    pub key: &'a Key,
    /// As it is now.
    pub new: Option<&'a Arc<Object>>,
    /// When.
    pub revision: Revision,
}

impl Watches {
    pub(super) fn logged(&mut self, key: &Key, new: Option<&Arc<Object>>, revision: Revision) {
        let logged = Logged { revision, key: key.clone(), new: new.cloned() };
        match self.0.get_mut(&key.kind) {
            Some(changes) => changes.push(logged),
            None => drop(self.0.insert(key.kind.clone(), vec![logged])),
        }
    }

    /// A watcher begins after this revision: it has listed what was there.
    pub fn begin(&self, kind: &Kind, after: Revision) -> Cursor {
        let changes = self.0.get(kind).map_or(&[][..], Vec::as_slice);
        Cursor { kind: kind.clone(), next: changes.partition_point(|change| change.revision <= after) }
    }

    /// A watcher was given a change.
    pub fn delivered(&self, cursor: &mut Cursor, change: Delivered<'_>, found: &mut Vec<Violation>) {
        let expected = self.0.get(&cursor.kind).and_then(|changes| changes.get(cursor.next));
        cursor.next += 1;
        let same = expected.is_some_and(|expected| {
            expected.revision == change.revision
                && expected.key == *change.key
                && expected.new.as_ref().map(|object| object.meta.revision)
                    == change.new.map(|object| object.meta.revision)
        });
        if !same {
            let expected = expected.map(|expected| (expected.revision.0, expected.key.to_string()));
            let seen = format!(
                "watcher {} was given {} at revision {}; the log has {expected:?} next",
                change.watcher, change.key, change.revision.0
            );
            note(found, "S3", seen);
        }
    }

    /// How many changes a watcher has not been given.
    pub fn missing(&self, cursor: &Cursor) -> usize {
        self.0.get(&cursor.kind).map_or(0, Vec::len).saturating_sub(cursor.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watches(revisions: &[u64]) -> (Watches, Key) {
        let key = Key::new("configmaps", "default", "x");
        let mut watches = Watches::default();
        revisions.iter().for_each(|revision| watches.logged(&key, None, Revision(*revision)));
        (watches, key)
    }

    #[test]
    fn a_watcher_that_misses_or_repeats_a_change_is_found() {
        let (watches, key) = watches(&[3, 4, 8]);
        let give = |cursor: &mut Cursor, revision: u64| {
            let mut found = Vec::new();
            let change = Delivered { watcher: 1, key: &key, new: None, revision: Revision(revision) };
            watches.delivered(cursor, change, &mut found);
            found.len()
        };
        let mut whole = watches.begin(&key.kind, Revision(3));
        assert_eq!((give(&mut whole, 4), give(&mut whole, 8), watches.missing(&whole)), (0, 0, 0));
        assert_eq!(give(&mut whole, 9), 1, "the log has no more");
        let mut gap = watches.begin(&key.kind, Revision(0));
        assert_eq!((watches.missing(&gap), give(&mut gap, 3), give(&mut gap, 8)), (3, 0, 1));
        let mut twice = watches.begin(&key.kind, Revision(3));
        assert_eq!((give(&mut twice, 4), give(&mut twice, 4)), (0, 1));
    }
}
