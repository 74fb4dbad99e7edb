//! Whose turn it is in a cycle: the oldest of the first jobs of open classes, of classes that a gain may be for, of the
//! classes that just had a job placed, and of those that wait so long that Nodes may be reserved for them. Looked up as the cycle goes, so that classes it does not come to cost nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::order::{ClassId, Lane, Position, Queue};

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
    /// Nowhere, its class found no place. Nodes may be reserved for it.
    Nowhere,
}

/// Whose turn it is.
pub struct Turns {
    /// The next open class, and those that had a job placed.
    heads: BTreeSet<Head>,
    /// How far open classes were taken.
    open_until: Option<Position>,
    /// Lanes by their next class; those that nothing is left for are gone.
    lanes: BTreeMap<(Position, ClassId), Lane>,
    /// Those that wait for long.
    long: VecDeque<(Position, ClassId)>,
    /// Classes that had a turn.
    seen: BTreeSet<ClassId>,
}

impl Turns {
    /// Of a queue, and those of it that wait for long, oldest first.
    pub fn new(queue: &Queue, long: impl Iterator<Item = (Position, ClassId)>) -> Turns {
        let first = |lane: Lane| Some((queue.next_in_lane(&lane, None)?, lane));
        let lanes = queue.gained_lanes().filter_map(first).collect();
        let (heads, seen) = (BTreeSet::new(), BTreeSet::new());
        let mut turns = Turns { heads, open_until: None, lanes, long: long.collect(), seen };
        turns.next_open(queue);
        turns
    }

    /// The next one. A lane is given up once nothing is left for those at a position and behind.
    pub fn next(
        &mut self,
        queue: &Queue,
        mut may_hold: impl FnMut(&Lane, &Position) -> bool,
    ) -> Option<Head> {
        loop {
            let found = self.next_found();
            // Of equal ones a look at places goes first.
            let from_long = match (self.long.front(), &found) {
                (Some((position, _)), Some(found)) => position < found,
                (long, None) => long.is_some(),
                (None, Some(_)) => false,
            };
            let head = if from_long {
                let (position, class) = self.long.pop_front()?;
                Some(Head { position, class, scope: Scope::Nowhere })
            } else if self.is_from_lane() {
                self.next_of_lane(queue, &mut may_hold)
            } else {
                return self.next_head(queue);
            };
            if let Some(head) = head.filter(|head| self.seen.insert(head.class)) {
                return Some(head);
            }
        }
    }

    /// The position of the next one that may find a place.
    fn next_found(&self) -> Option<Position> {
        let lane = self.lanes.keys().next().map(|(position, _)| position);
        let head = self.heads.first().map(|head| &head.position);
        lane.into_iter().chain(head).min().cloned()
    }

    fn is_from_lane(&self) -> bool {
        match (self.lanes.keys().next(), self.heads.first()) {
            (Some((position, _)), Some(head)) => *position < head.position,
            (lane, _) => lane.is_some(),
        }
    }

    /// A job of a class was placed; this is its next one.
    pub fn placed(&mut self, next: Option<Head>) {
        self.heads.extend(next);
    }

    fn next_head(&mut self, queue: &Queue) -> Option<Head> {
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

    fn next_of_lane(
        &mut self,
        queue: &Queue,
        may_hold: &mut impl FnMut(&Lane, &Position) -> bool,
    ) -> Option<Head> {
        let ((position, class), lane) = self.lanes.pop_first()?;
        if !may_hold(&lane, &position) || muster_model::mutant!(lane_given_up_at_once) {
            return None;
        }
        if let Some(next) = queue.next_in_lane(&lane, Some(&position)) {
            self.lanes.insert(next, lane);
        }
        Some(Head { position, class, scope: Scope::Gained })
    }
}
