//! What one state shows by itself: S7 (GPUs are conserved), S8 (no partial gang), S12 (legal phases), S6 (epochs are
//! unique), S13 (indexes and digest are those of the objects). The state machine brings the check along.

use muster_core::{State, check_invariants};

use super::{Violation, note};

/// The whole state is looked at once in so many entries.
const EVERY: u64 = 8;

/// Looks at states.
#[derive(Debug, Default)]
pub struct StateChecks {
    looked: u64,
}

impl StateChecks {
    /// The state after the entry at this index.
    pub fn after(&mut self, index: u64, state: &State, found: &mut Vec<Violation>) {
        if index.is_multiple_of(EVERY) {
            self.look(state, found);
        }
    }

    /// Looks at a state now.
    pub fn look(&mut self, state: &State, found: &mut Vec<Violation>) {
        self.looked += 1;
        for violation in check_invariants(state) {
            note(found, violation.promise, violation.seen);
        }
    }
}
