//! What one state shows by itself: S7 (GPUs are conserved), S8 (no partial gang), S12 (legal phases), S6 (epochs are
//! unique), S13 (indexes and digest are those of the objects). The state machine brings the check along.

use muster_core::{State, check_invariants, check_job_invariants};

use super::{Violation, note};

/// Jobs and members are looked at once in so many entries: what breaks here does not heal by the next few.
const JOBS_EVERY: u64 = 4;
/// Everything is.
const ALL_EVERY: u64 = 40;

/// Looks at states.
#[derive(Debug, Default)]
pub struct StateChecks;

impl StateChecks {
    /// The state after the entry at this index.
    pub fn after(&self, index: u64, state: &State, found: &mut Vec<Violation>) {
        if index.is_multiple_of(ALL_EVERY) {
            self.look(state, found);
        } else if index.is_multiple_of(JOBS_EVERY) {
            take(check_job_invariants(state), found);
        }
    }

    /// Looks at a state now.
    pub fn look(&self, state: &State, found: &mut Vec<Violation>) {
        take(check_invariants(state), found);
    }
}

fn take(violations: Vec<muster_core::Violation>, found: &mut Vec<Violation>) {
    violations.into_iter().for_each(|violation| note(found, violation.promise, violation.seen));
}
