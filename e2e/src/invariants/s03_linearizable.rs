//! S3: reads and writes are linearizable per object.
//!
//! ```text
//!  log:     versions of an object by revision, as entries made them
//!  clients: what each op was told, and when it began
//! ```
//!
//! Each version has a revision of its own, so an order exists if no op was told a version that is older than what anybody
//! had been told of the object before the op began, and if every version that was told is in the log as it was told. An op
//! whose outcome is unknown was told nothing: its version may or may not be there. Watches are beside this, in `watches`.

mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_model::{Event, Key, Object, Revision, kinds};

pub use self::watches::{Cursor, Delivered, Watches};
use super::{Violation, note};

/// Histories of jobs.
#[derive(Debug, Default)]
pub struct Linearizable {
    objects: BTreeMap<Key, History>,
    last: Revision,
    /// Watch histories.
    pub watches: Watches,
}

#[derive(Debug, Default)]
struct History {
    /// As the log has it; `None`: removed.
    versions: Vec<(Revision, Option<Arc<Object>>)>,
    /// The newest version that somebody was told.
    floor: Revision,
}

impl Linearizable {
    /// What an entry changed.
    pub fn after(&mut self, events: &[Event], found: &mut Vec<Violation>) {
        for event in events {
            let Event::Changed { key, new, revision, .. } = event else { continue };
            if revision.0 != self.last.0 + 1 {
                let seen = format!("{key} got revision {} after {}", revision.0, self.last.0);
                note(found, "S3", seen);
            }
            self.last = *revision;
            if &*key.kind.0 == kinds::JOB {
                let history = self.objects.entry(key.clone()).or_default();
                history.versions.push((*revision, new.clone()));
            }
            self.watches.logged(key, new.as_ref(), *revision);
        }
    }

    /// The version that an op on this object must not be older than if it begins now.
    pub fn floor(&self, key: &Key) -> Revision {
        self.objects.get(key).map_or(Revision::default(), |history| history.floor)
    }

    /// An op that began at `floor` was told this version.
    pub fn told(&mut self, floor: Revision, object: &Object, found: &mut Vec<Violation>) {
        let (key, revision) = (&object.key, object.meta.revision);
        if revision < floor {
            let seen = format!(
                "{key} was told as of revision {}, but {} had been told before that op began",
                revision.0, floor.0
            );
            note(found, "S3", seen);
        }
        let history = self.objects.entry(key.clone()).or_default();
        let at = history.versions.binary_search_by_key(&revision, |(at, _)| *at);
        let logged = at.ok().and_then(|at| history.versions[at].1.as_deref());
        if logged != Some(object) {
            note(found, "S3", format!("{key} at revision {} was told as the log never had it", revision.0));
        }
        history.floor = history.floor.max(revision);
    }

    /// An op that began at `floor` was told that the object is not there.
    pub fn told_absent(&mut self, key: &Key, floor: Revision, found: &mut Vec<Violation>) {
        let Some(history) = self.objects.get_mut(key) else { return };
        match history.absent_since(floor) {
            Some(since) => history.floor = history.floor.max(since),
            None => {
                let seen =
                    format!("{key} was told as gone, but it is there since before revision {}", floor.0);
                note(found, "S3", seen);
            }
        }
    }
}

impl History {
    /// Since when the object was absent at some time from `floor` on, if it was.
    fn absent_since(&self, floor: Revision) -> Option<Revision> {
        let mut since = Some(Revision::default());
        for (revision, version) in &self.versions {
            match (since, version) {
                (Some(absent), Some(_)) if *revision > floor => return Some(absent),
                (_, Some(_)) => since = None,
                (None, None) => since = Some(*revision),
                (Some(_), None) => {}
            }
        }
        since
    }
}

/// A read on a replica ended with the state of this revision: it shows at least what the same client was told before.
pub fn check_read(replica: usize, known: Revision, seen: Revision, found: &mut Vec<Violation>) {
    if seen < known {
        let seen = format!("replica {replica} read revision {}, the client knows {}", seen.0, known.0);
        note(found, "S3", seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(versions: &[(u64, bool)]) -> History {
        let object = |revision: u64| {
            let mut object = crate::invariants::tests::object("job-1");
            object.meta.revision = Revision(revision);
            Arc::new(object)
        };
        let version =
            |(revision, there): &(u64, bool)| (Revision(*revision), there.then(|| object(*revision)));
        History { versions: versions.iter().map(version).collect(), floor: Revision(0) }
    }

    #[test]
    fn absence_is_believed_only_where_the_log_has_it() {
        /// Revisions with whether the object was there, the floor, and since when it was absent.
        type Row = (&'static [(u64, bool)], u64, Option<u64>);
        let table: &[Row] = &[
            (&[], 5, Some(0)),
            (&[(3, true)], 2, Some(0)),
            (&[(3, true)], 3, None),
            (&[(3, true), (7, false)], 3, Some(7)),
            (&[(3, true), (7, false), (9, true)], 8, Some(7)),
            (&[(3, true), (7, false), (9, true)], 9, None),
        ];
        for (versions, floor, since) in table {
            let got = history(versions).absent_since(Revision(*floor));
            assert_eq!(got, since.map(Revision), "{versions:?} from {floor}");
        }
    }

    #[test]
    fn an_older_version_than_anybody_was_told_before_is_found() {
        let mut checks = Linearizable::default();
        checks.objects.insert(Key::job("default", "job-1"), history(&[(3, true), (5, true)]));
        let version = |checks: &Linearizable, at: usize| {
            let history = &checks.objects[&Key::job("default", "job-1")];
            Arc::clone(history.versions[at].1.as_ref().unwrap())
        };
        let (older, newer) = (version(&checks, 0), version(&checks, 1));
        let mut found = Vec::new();
        checks.told(Revision(0), &newer, &mut found);
        checks.told(Revision(0), &older, &mut found);
        assert!(found.is_empty(), "an op that began before may be told the older one: {found:?}");
        checks.told(checks.floor(&older.key), &older, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
        let mut forged = Object::clone(&newer);
        forged.meta.generation += 1;
        checks.told(Revision(0), &forged, &mut found);
        assert_eq!(found.len(), 2, "a version that the log never had: {found:?}");
    }
}
