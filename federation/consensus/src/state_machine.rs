//! What the log is for: the side that the caller implements.

use std::io::{self, Read, Write};

use bytes::Bytes;

/// Why a state machine cannot go on. The driver stops: another replica may know better.
pub type MachineError = Box<dyn std::error::Error + Send + Sync>;

/// A deterministic machine that follows the log.
///
/// The same log gives the same state on every replica: `apply` must use nothing but its arguments and the state.
pub trait StateMachine: 'static {
    /// What `apply` tells the proposer. A business "no" is an answer, not an error.
    type Answer: Send + 'static;
    /// A view of the state that another thread can serialise while this one goes on.
    type Frozen: FrozenState;

    /// Apply one entry. Called once per index, in order, never for empty entries or membership changes.
    ///
    /// # Errors
    /// An entry this version does not understand, or a broken invariant: the driver stops with this reason.
    fn apply(&mut self, index: u64, term: u64, bytes: &Bytes) -> Result<Self::Answer, MachineError>;

    /// All entries of one turn are applied: the time to publish a view. Called before any of their answers is given.
    fn applied_batch(&mut self, applied: u64) {
        let _ = applied;
    }

    /// A view of the state now. Must be cheap: it stalls the loop.
    fn freeze(&mut self) -> Self::Frozen;

    /// Replace the whole state by what `Frozen::write_to` wrote, on this or another replica. `index` is the last
    /// entry in it.
    ///
    /// # Errors
    /// The bytes do not make a state: the driver stops with this reason.
    fn restore(&mut self, index: u64, reader: &mut dyn Read) -> Result<(), MachineError>;
}

/// A frozen state that can be written out on any thread.
pub trait FrozenState: Send + 'static {
    /// Write everything. The same state must give the same bytes.
    ///
    /// # Errors
    /// Only what `out` returned.
    fn write_to(self, out: &mut dyn Write) -> io::Result<()>;
}
