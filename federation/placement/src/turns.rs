//! Whose turn it is in a cycle: the oldest of the first jobs of open classes, of classes that a gain may be for, and of the
//! classes that just had a job placed. Looked up as the cycle goes, so that classes it does not come to cost nothing.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::Resources;

use crate::order::{ClassId, Position, Queue};

/// A job whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// Where it stands in the queue.
    pub position: Position,
    /// What it asks for.
    pub class: ClassId,
    /// Where it may find a place.
    pub scope: Scope,
}

/// Where a job may find a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Its class was not looked at yet.
    Everywhere,
    /// Its class found no place before: only where room was gained.
    Gained,
}

/// Whose turn it is.
pub struct Turns {
    /// The next open class, and those that had a job placed.
    heads: BTreeSet<Head>,
    /// How far open classes were taken.
    open_until: Option<Position>,
    /// Lanes by their next class; those that nothing is left for are gone.
    lanes: BTreeMap<(Position, ClassId), Resources>,
    /// The lane that the last one was from, and that lane's next class.
    last: Option<(Resources, Option<(Position, ClassId)>)>,
    /// Classes that had a turn.
    seen: BTreeSet<ClassId>,
}

impl Turns {
    /// Of a queue.
    pub fn new(queue: &Queue) -> Turns {
        let first = |lane: Resources| Some((queue.next_in_lane(&lane, None)?, lane));
        let lanes = queue.gained_lanes().filter_map(first).collect();
        let (heads, seen) = (BTreeSet::new(), BTreeSet::new());
        let mut turns = Turns { heads, open_until: None, lanes, last: None, seen };
        turns.next_open(queue);
        turns
    }

    /// The next one.
    pub fn next(&mut self, queue: &Queue) -> Option<Head> {
        loop {
            let gained = self.lanes.keys().next().cloned();
            let from_lane = match (&gained, self.heads.first()) {
                (Some((position, _)), Some(head)) => *position < head.position,
                (gained, _) => gained.is_some(),
            };
            let Some(slot) = gained.filter(|_| from_lane) else { return self.next_head(queue) };
            let head = self.next_of_lane(slot, queue)?;
            if self.seen.insert(head.class) {
                return Some(head);
            }
        }
    }

    /// A job of a class was placed; this is its next one.
    pub fn placed(&mut self, next: Option<Head>) {
        self.heads.extend(next);
    }

    /// A job found no place. Its lane is given up with it if nothing is left for any in it.
    pub fn gave_up(&mut self, may_still_hold: impl FnOnce(&Resources) -> bool) {
        if let Some((lane, Some(next))) = self.last.take()
            && (!may_still_hold(&lane) || muster_model::mutant!(lane_given_up_at_once))
        {
            self.lanes.remove(&next);
        }
    }

    fn next_head(&mut self, queue: &Queue) -> Option<Head> {
        self.last = None;
        let head = self.heads.pop_first()?;
        self.seen.insert(head.class);
        if self.open_until.as_ref() == Some(&head.position) {
            self.next_open(queue);
        }
        Some(head)
    }

    /// Takes the open class after the last one in.
    fn next_open(&mut self, queue: &Queue) {
        let Some((position, class)) = queue.next_open(self.open_until.as_ref()) else { return };
        self.open_until = Some(position.clone());
        self.heads.insert(Head { position, class, scope: Scope::Everywhere });
    }

    fn next_of_lane(&mut self, slot: (Position, ClassId), queue: &Queue) -> Option<Head> {
        let lane = self.lanes.remove(&slot)?;
        let (position, class) = slot;
        let next = queue.next_in_lane(&lane, Some(&position));
        if let Some(next) = next.clone() {
            self.lanes.insert(next, lane);
        }
        self.last = Some((lane, next));
        Some(Head { position, class, scope: Scope::Gained })
    }
}
