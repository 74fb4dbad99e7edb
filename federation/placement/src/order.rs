//! Who is next: jobs that wait, oldest first, grouped by what they ask for.
//!
//! Jobs of one namespace with the same spec form a *class*: where one finds no place, none does, until something is
//! gained. So a cycle looks at one job per class, however many wait, and not at all at a class that was looked at since
//! the last gain. Priority and fair share will go into [`Position`].

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use muster_model::{JobSpec, Key, MemberName, TimeMs, Uid};
use siphasher::sip128::{Hasher128, SipHasher13};

/// A job's place in the order: the lesser goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When it entered the queue.
    pub queued_at: TimeMs,
    /// Its name, among those of the same moment.
    pub job: Key,
}

/// A class, by a hash of namespace and spec under a fixed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(u128);

/// Jobs that ask for the same.
#[derive(Clone, Debug)]
pub struct Class {
    /// Their namespace.
    pub namespace: Arc<str>,
    /// What they ask for.
    pub spec: Arc<JobSpec>,
    /// The jobs.
    pub jobs: BTreeMap<Position, Uid>,
    /// The gain after which no place was found for them; 0: not looked at.
    looked_at: u64,
}

/// A job that waits.
#[derive(Clone, Debug)]
struct Waiting {
    position: Position,
    class: Slot,
}

/// Where a waiting job waits.
#[derive(Clone, Debug)]
enum Slot {
    /// Among those that ask for the same.
    Class(ClassId),
    /// Nowhere: its last attempt may be alive on this member. It gets no second place before that one has ended.
    Held(MemberName),
}

/// All jobs that wait.
#[derive(Clone, Debug)]
pub struct Queue {
    waiting: BTreeMap<Key, Waiting>,
    order: std::collections::BTreeSet<Position>,
    classes: BTreeMap<ClassId, Class>,
    /// Counts what was gained: capacity, readiness, prices, options.
    gains: u64,
    /// Where the last cycle stopped when it had looked at as many as it may.
    resume: Option<Position>,
    /// Something came or was gained since the last cycle, or that one had more to look at. Saves looking through all
    /// classes to learn that none is open.
    is_dirty: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            waiting: BTreeMap::new(),
            order: std::collections::BTreeSet::new(),
            classes: BTreeMap::new(),
            gains: 1,
            resume: None,
            is_dirty: false,
        }
    }
}

impl Queue {
    /// Takes a job in, in place of what was there under its name.
    pub fn insert(
        &mut self,
        key: &Key,
        uid: Uid,
        queued_at: TimeMs,
        spec: &Arc<JobSpec>,
        held_by: Option<&MemberName>,
    ) {
        self.remove(key);
        let position = Position { queued_at, job: key.clone() };
        let class = held_by
            .map_or_else(|| Slot::Class(self.enter_class(&position, uid, spec)), |m| Slot::Held(m.clone()));
        self.order.insert(position.clone());
        self.waiting.insert(key.clone(), Waiting { position, class });
    }

    fn enter_class(&mut self, position: &Position, uid: Uid, spec: &Arc<JobSpec>) -> ClassId {
        let namespace = &position.job.namespace;
        let id = class_of(namespace, spec);
        let class = self.classes.entry(id).or_insert_with(|| Class {
            namespace: Arc::clone(namespace),
            spec: Arc::clone(spec),
            jobs: BTreeMap::new(),
            looked_at: 0,
        });
        class.jobs.insert(position.clone(), uid);
        self.is_dirty |= class.looked_at < self.gains;
        id
    }

    /// Takes a job out, if it is there.
    pub fn remove(&mut self, key: &Key) {
        let Some(Waiting { position, class }) = self.waiting.remove(key) else { return };
        self.order.remove(&position);
        let Slot::Class(id) = class else { return };
        let Some(class) = self.classes.get_mut(&id) else { return };
        class.jobs.remove(&position);
        if class.jobs.is_empty() {
            self.classes.remove(&id);
        }
    }

    /// Something was gained: classes that found no place may find one now.
    pub fn gain(&mut self) {
        self.gains += 1;
        self.is_dirty = true;
    }

    /// A class was looked at and found no place.
    pub fn settle(&mut self, id: ClassId) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.looked_at = self.gains;
        }
    }

    /// The class that a job waits in.
    pub fn class_of_job(&self, key: &Key) -> Option<ClassId> {
        match self.waiting.get(key)?.class {
            Slot::Class(id) => Some(id),
            Slot::Held(_) => None,
        }
    }

    /// The member on which a waiting job's last attempt may be alive.
    pub fn held_by(&self, key: &Key) -> Option<&MemberName> {
        match &self.waiting.get(key)?.class {
            Slot::Class(_) => None,
            Slot::Held(member) => Some(member),
        }
    }

    /// A cycle is over; the next one goes on there.
    pub fn cycle_done(&mut self, resume: Option<Position>) {
        self.is_dirty = resume.is_some();
        self.resume = resume;
    }

    /// Whether a cycle would look at anything.
    pub fn has_open_class(&self) -> bool {
        self.is_dirty && self.open_classes().next().is_some()
    }

    /// Classes to be looked at.
    pub fn open_classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.classes.iter().filter(|(_, class)| class.looked_at < self.gains).map(|(id, class)| (*id, class))
    }

    /// All classes with jobs that wait.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values()
    }

    /// Whether a position comes before where the last cycle stopped, so that it has had its turn.
    pub fn had_its_turn(&self, position: &Position) -> bool {
        self.resume.as_ref().is_some_and(|resume| position < resume)
    }

    /// The class of this id.
    pub fn class(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// The jobs, the next one first.
    pub fn in_order(&self) -> impl Iterator<Item = &Key> {
        self.order.iter().map(|position| &position.job)
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A job's number in the queue, from 1. O(jobs ahead).
    pub fn number(&self, key: &Key) -> Option<u64> {
        let waiting = self.waiting.get(key)?;
        Some(self.order.range(..&waiting.position).count() as u64 + 1)
    }
}

/// The class of jobs of this namespace with this spec.
fn class_of(namespace: &Arc<str>, spec: &Arc<JobSpec>) -> ClassId {
    let mut hasher = SipHasher13::new_with_keys(0x7175_6575, 0x0000_0001);
    (namespace, spec).hash(&mut hasher);
    // `finish` of the trait is not meant for 128 bits; the value below is the whole hash.
    let _ = hasher.finish();
    ClassId(hasher.finish128().as_u128())
}
