//! Nodes that are reserved for jobs that have waited long: on one member for one job, and never for all that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{DurationMs, Key, MemberName, NodeShape, Resources, TimeMs};

use crate::demand::GpuUse;
use crate::order::{ClassId, Lane, Position};

/// A job has waited this long before Nodes are reserved for it.
pub const RESERVE_AFTER: DurationMs = DurationMs::from_secs(300);
/// Reservations at a time. Only the oldest jobs, as many of those that ask for different things, get one.
pub const MAX_RESERVATIONS: usize = 32;
/// What may come between a job's bound and the end of its last process.
const MARGIN: DurationMs = DurationMs::from_secs(60);

/// Nodes of a member that are reserved for a job: what comes free on them is for nobody behind it in the queue, except for
/// who has ended before it could start there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReservation {
    /// The job, and where it stands in the queue.
    pub position: Position,
    /// What it asks for.
    pub class: ClassId,
    /// The GPUs it would use there.
    pub gpus: GpuUse,
    /// The Nodes.
    pub nodes: BTreeSet<u32>,
    /// Since then.
    pub since: TimeMs,
    /// When what runs on them has ended at the latest. `None` if nothing bounds that.
    pub ends: Option<TimeMs>,
    /// When it is asked whether other Nodes come free sooner.
    pub look_at: TimeMs,
    /// The job would be too late from then on.
    pub lapses_at: Option<TimeMs>,
    /// The member's Nodes when these were chosen.
    pub shapes: Vec<NodeShape>,
}

impl NodeReservation {
    /// Whether it has to be looked at because of the time.
    pub fn is_due(&self, now: TimeMs) -> bool {
        self.lapses_at.is_some_and(|at| at <= now) || self.may_move(now)
    }

    /// Whether other Nodes may be asked for: nothing says when these come free, or they should have.
    pub fn may_move(&self, now: TimeMs) -> bool {
        self.look_at <= now && self.ends.is_none_or(|ends| ends < now)
    }

    /// Whether a job at this position may use these Nodes.
    pub fn admits(&self, position: &Position, lane: &Lane, now: TimeMs) -> bool {
        let over = now.plus(lane.ends_within).plus(MARGIN);
        *position <= self.position || self.ends.is_some_and(|ends| over <= ends)
    }

    /// Whether it leaves others at least what that one does.
    fn is_looser_than(&self, other: &NodeReservation) -> bool {
        let is_later = self.ends.is_some_and(|ends| other.ends.is_none_or(|before| ends > before));
        is_later || !self.nodes.is_superset(&other.nodes) || self.position > other.position
    }
}

/// All reservations, one per member at most.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    by_member: BTreeMap<MemberName, Arc<NodeReservation>>,
    /// Members where something changed that a reservation rests on.
    changed: BTreeSet<MemberName>,
    /// Up to here all that wait long were considered, and nothing has changed for them since.
    considered: Option<Position>,
}

impl Reservations {
    /// By member.
    pub fn by_member(&self) -> &BTreeMap<MemberName, Arc<NodeReservation>> {
        &self.by_member
    }

    /// The one for this job.
    pub fn of_job(&self, job: &Key) -> Option<(&MemberName, &Arc<NodeReservation>)> {
        self.by_member.iter().find(|(_, reservation)| reservation.position.job == *job)
    }

    /// Whether this class has one.
    pub fn has(&self, class: ClassId) -> bool {
        self.by_member.values().any(|reservation| reservation.class == class)
    }

    /// Up to which position jobs were considered.
    pub fn considered(&self) -> Option<&Position> {
        self.considered.as_ref()
    }

    /// Jobs up to here were considered.
    pub fn consider(&mut self, until: Option<Position>) {
        self.considered = self.considered.take().max(until);
    }

    /// All have to be considered anew.
    pub fn reconsider(&mut self) {
        self.considered = None;
    }

    /// Something that the reservation at this member rests on has changed.
    pub fn touch(&mut self, member: &MemberName) {
        if self.by_member.contains_key(member) {
            self.changed.insert(member.clone());
        }
    }

    /// Something that all of them rest on has changed.
    pub fn touch_all(&mut self) {
        self.changed.extend(self.by_member.keys().cloned());
        self.reconsider();
    }

    /// Whether this one has to be looked at.
    pub fn is_due(&self, member: &MemberName, now: TimeMs) -> bool {
        let due = |reservation: &Arc<NodeReservation>| reservation.is_due(now);
        self.changed.contains(member) || self.by_member.get(member).is_some_and(due)
    }

    /// Whether any of them has.
    pub fn any_due(&self, now: TimeMs) -> bool {
        !self.changed.is_empty() || self.by_member.values().any(|reservation| reservation.is_due(now))
    }

    /// Reserves, or releases. `true` if others may use Nodes that they might not before.
    pub fn set(&mut self, member: &MemberName, reservation: Option<Arc<NodeReservation>>) -> bool {
        self.changed.remove(member);
        if reservation.is_none() && muster_model::mutant!(reservation_never_released) {
            return false;
        }
        let old = self.by_member.remove(member);
        let Some(new) = reservation else {
            self.reconsider();
            return old.is_some();
        };
        let is_looser = old.is_some_and(|old| new.is_looser_than(&old));
        self.by_member.insert(member.clone(), new);
        is_looser
    }
}

/// What of a Node is taken.
pub fn taken(shape: &NodeShape, free: &Resources) -> Resources {
    let all = shape.allocatable;
    Resources {
        gpu_milli: all.gpu_milli.saturating_sub(free.gpu_milli),
        cpu_milli: all.cpu_milli.saturating_sub(free.cpu_milli),
        memory_bytes: all.memory_bytes.saturating_sub(free.memory_bytes),
    }
}
