//! Who is next: jobs that wait, oldest first, grouped by what they ask for.
//!
//! Jobs of one namespace with the same spec form a *class*: where one finds no place, none does, until something is
//! gained. So a cycle looks at one job per class, however many wait. A class is *open* until it was looked at; after that
//! only a gain brings it up again, and a gain of room at a member only where a Node's room holds one of its pods: classes
//! lie in *lanes* by the least that one of their pods asks for. So what a change costs does not depend on how many wait.
//! Priority and fair share will go into [`Position`].

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use muster_model::{
    DurationMs, GpuChoices, GpuModel, JobSpec, Key, MemberName, PlacementChoice, Resources, TimeMs, Uid,
};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Nothing says that it ends.
const NEVER: DurationMs = DurationMs(u64::MAX);
/// A bound beyond this counts as none.
const LONGEST: DurationMs = DurationMs::from_secs(1 << 30);

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
    /// What may be said of all that ask for about the same.
    pub lane: Lane,
    is_open: bool,
}

/// What decides, short of a look, whether a job may find room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The least that one of its pods asks for.
    pub least: Resources,
    /// The GPU model that all its pods insist on.
    pub model: Option<GpuModel>,
    /// It has ended this long after its start, rounded up, so that lanes are few. The most there is if nothing bounds it.
    pub ends_within: DurationMs,
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
#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Key, Waiting>,
    order: BTreeSet<Position>,
    classes: BTreeMap<ClassId, Class>,
    /// The first job of each class that is to be looked at.
    open: BTreeMap<Position, ClassId>,
    /// The first job of each class, by lane.
    lanes: BTreeMap<Lane, BTreeMap<Position, ClassId>>,
    /// The first job of each class that some member could hold, or that was not looked at for that.
    firsts: BTreeMap<Position, ClassId>,
    /// Classes that no member could hold, were it empty.
    hopeless: BTreeSet<ClassId>,
    /// The most room on one Node that was gained, by member.
    gains: BTreeMap<MemberName, Resources>,
    /// Where the last cycle stopped looking at what the gains may be for.
    resume: Option<Position>,
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
        self.change(id, |class| {
            let mut class = class.unwrap_or_else(|| Class {
                namespace: Arc::clone(namespace),
                spec: Arc::clone(spec),
                jobs: BTreeMap::new(),
                lane: Lane::of(spec),
                is_open: true,
            });
            class.jobs.insert(position.clone(), uid);
            Some(class)
        });
        id
    }

    /// Takes a job out, if it is there.
    pub fn remove(&mut self, key: &Key) {
        let Some(Waiting { position, class }) = self.waiting.remove(key) else { return };
        self.order.remove(&position);
        let Slot::Class(id) = class else { return };
        self.change(id, |class| {
            let mut class = class?;
            class.jobs.remove(&position);
            (!class.jobs.is_empty()).then_some(class)
        });
    }

    /// Changes a class, and keeps the indexes of first jobs in step.
    fn change(&mut self, id: ClassId, change: impl FnOnce(Option<Class>) -> Option<Class>) {
        let old = self.classes.remove(&id);
        let was_first = old.as_ref().and_then(|class| class.first().cloned());
        if let Some((class, first)) = old.as_ref().and_then(|class| Some((class, class.first()?.clone()))) {
            self.open.remove(&first);
            self.firsts.remove(&first);
            if let Some(lane) = self.lanes.get_mut(&class.lane) {
                lane.remove(&first);
                if lane.is_empty() {
                    self.lanes.remove(&class.lane);
                }
            }
        }
        let Some(mut class) = change(old) else {
            self.hopeless.remove(&id);
            return;
        };
        if let Some(first) = class.first().cloned() {
            // An older job may use Nodes that are reserved for one between the two.
            class.is_open |= was_first.is_some_and(|was| first < was);
            if !self.hopeless.contains(&id) {
                self.firsts.insert(first.clone(), id);
            }
            if class.is_open {
                self.open.insert(first.clone(), id);
            }
            self.lanes.entry(class.lane.clone()).or_default().insert(first, id);
        }
        self.classes.insert(id, class);
    }

    /// Something was gained that may be for any job: prices, options, data. O(classes)
    pub fn gain(&mut self) {
        self.hope();
        for (id, class) in &mut self.classes {
            class.is_open = true;
            if let Some(first) = class.first() {
                self.open.insert(first.clone(), *id);
            }
        }
    }

    /// A member has gained room; on one Node at most so much.
    pub fn gain_room(&mut self, member: &MemberName, most: Resources) {
        if self.classes.is_empty() {
            return;
        }
        let known = self.gains.entry(member.clone()).or_default();
        *known = Resources {
            gpu_milli: known.gpu_milli.max(most.gpu_milli),
            cpu_milli: known.cpu_milli.max(most.cpu_milli),
            memory_bytes: known.memory_bytes.max(most.memory_bytes),
        };
        // Those that had their turn come up again for this.
        self.resume = None;
    }

    /// No member could hold this class, were it empty.
    pub fn give_up_hope(&mut self, id: ClassId) {
        if let Some(first) = self.classes.get(&id).and_then(Class::first) {
            self.firsts.remove(first);
            self.hopeless.insert(id);
        }
    }

    /// What members could hold may have changed. O(classes without hope)
    pub fn hope(&mut self) {
        for id in std::mem::take(&mut self.hopeless) {
            if let Some(first) = self.classes.get(&id).and_then(Class::first) {
                self.firsts.insert(first.clone(), id);
            }
        }
    }

    /// The first jobs of classes for which there is hope, oldest first.
    pub fn firsts(&self) -> impl Iterator<Item = (&Position, ClassId)> {
        self.firsts.iter().map(|(position, id)| (position, *id))
    }

    /// Where a waiting job stands.
    pub fn position(&self, key: &Key) -> Option<&Position> {
        self.waiting.get(key).map(|waiting| &waiting.position)
    }

    /// A class was looked at and found no place.
    pub fn settle(&mut self, id: ClassId) {
        self.change(id, |class| Some(Class { is_open: false, ..class? }));
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

    /// A cycle is over; the next one goes on there with what the gains may be for.
    pub fn cycle_done(&mut self, resume: Option<Position>) {
        if resume.is_none() {
            self.gains.clear();
        }
        self.resume = resume;
    }

    /// Whether a cycle would look at anything.
    pub fn wants_cycle(&self) -> bool {
        !self.open.is_empty() || (!self.gains.is_empty() && !self.classes.is_empty())
    }

    /// The first open class after this position.
    pub fn next_open(&self, after: Option<&Position>) -> Option<(Position, ClassId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let (position, id) = self.open.range((after.map_or(Unbounded, Excluded), Unbounded)).next()?;
        Some((position.clone(), *id))
    }

    /// All classes with jobs that wait.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.values()
    }

    /// Members that gained room, and the most on one Node.
    pub fn gains(&self) -> &BTreeMap<MemberName, Resources> {
        &self.gains
    }

    /// Lanes of which a pod may fit what was gained. O(lanes with no more GPUs than were gained)
    pub fn gained_lanes(&self) -> impl Iterator<Item = Lane> {
        let most = self.gains.values().map(|room| room.gpu_milli).max().unwrap_or_default();
        let least = Resources { gpu_milli: most, cpu_milli: u64::MAX, memory_bytes: u64::MAX };
        let beyond = Lane { least, model: None, ends_within: NEVER };
        let lanes = self.lanes.range(..beyond).map(|(lane, _)| lane.clone());
        lanes.filter(|lane| self.gains.values().any(|room| room.holds(&lane.least)))
    }

    /// The first class of a lane after this position; without one, where the last cycle stopped.
    pub fn next_in_lane(&self, lane: &Lane, after: Option<&Position>) -> Option<(Position, ClassId)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match (after, &self.resume) {
            (Some(after), _) => Excluded(after),
            (None, Some(resume)) => Included(resume),
            (None, None) => Unbounded,
        };
        let (position, id) = self.lanes.get(lane)?.range((from, Unbounded)).next()?;
        Some((position.clone(), *id))
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

impl Lane {
    /// Of jobs with this spec. They end within the active deadline and the grace for stopping, rounded up to one, or one and a
    /// half, times a power of two of seconds.
    pub fn of(spec: &JobSpec) -> Lane {
        let rounded = |seconds: u64| {
            let power = seconds.max(2).next_power_of_two();
            DurationMs::from_secs(if seconds <= power / 4 * 3 { power / 4 * 3 } else { power })
        };
        let bound = spec.active_deadline.map(|deadline| deadline.0.saturating_add(spec.grace.0));
        let bound = bound.filter(|bound| *bound <= LONGEST.0);
        let ends_within = bound.map_or(NEVER, |bound| rounded(bound.div_ceil(1000)));
        let least = least_request(spec);
        let model = spec.gpu_model.clone().filter(|_| least.gpu_milli > 0);
        Lane { least, model, ends_within }
    }
}

impl Class {
    /// The next of its jobs.
    fn first(&self) -> Option<&Position> {
        self.jobs.keys().next()
    }
}

/// The least of each that one pod asks for. Options may give GPUs that the pods do not ask for, or less.
fn least_request(spec: &JobSpec) -> Resources {
    let is_as_asked = match &spec.placement {
        PlacementChoice::Default => true,
        PlacementChoice::Named(_) => false,
        PlacementChoice::Inline(options) => match &options.gpus {
            GpuChoices::Any => true,
            GpuChoices::AnyOf(choices) | GpuChoices::Ordered(choices) => {
                choices.iter().all(|choice| choice.count.is_none())
            }
        },
    };
    let requests = spec.pod_sets.iter().filter(|set| set.count > 0).map(|set| set.request);
    let least = requests.reduce(|one, other| Resources {
        gpu_milli: one.gpu_milli.min(other.gpu_milli),
        cpu_milli: one.cpu_milli.min(other.cpu_milli),
        memory_bytes: one.memory_bytes.min(other.memory_bytes),
    });
    let least = least.unwrap_or_default();
    Resources { gpu_milli: if is_as_asked { least.gpu_milli } else { 0 }, ..least }
}

/// The class of jobs of this namespace with this spec.
fn class_of(namespace: &Arc<str>, spec: &Arc<JobSpec>) -> ClassId {
    let mut hasher = SipHasher13::new_with_keys(0x7175_6575, 0x0000_0001);
    (namespace, spec).hash(&mut hasher);
    // `finish` of the trait is not meant for 128 bits; the value below is the whole hash.
    let _ = hasher.finish();
    ClassId(hasher.finish128().as_u128())
}
