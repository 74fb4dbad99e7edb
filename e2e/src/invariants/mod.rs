//! What must hold, one promise per file; numbers are those of the list of guarantees.
//!
//! ```text
//!  world --- committed entries, pods that start, answers to clients ---> Checks ---> found violations
//! ```
//!
//! A check sees only what happened; it changes nothing and decides nothing. The first violation ends the run.

mod acknowledged_writes;
mod books;
mod fence_before_grant;
mod fresh_reads;
mod liveness;
mod no_double_submit;
mod one_live_attempt;
mod raft;
mod same_bytes;
mod stale_epochs;
mod state;

pub use acknowledged_writes::AcknowledgedWrites;
pub use books::Books;
pub use fence_before_grant::FenceBeforeGrant;
pub use fresh_reads::check_read;
pub use liveness::{unfinished_jobs, unready_members};
pub use no_double_submit::NoDoubleSubmit;
pub use one_live_attempt::check_one_live_attempt;
pub use raft::Raft;
pub use same_bytes::SameBytes;
pub use stale_epochs::StaleEpochs;
pub use state::StateChecks;

use muster_member_machine::PodId;
use muster_model::{Job, Key, Object, PartitionPolicy, Uid};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number.
    pub promise: String,
    /// What was seen.
    pub seen: String,
}

/// A pod whose processes run, by true time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePod {
    /// Where.
    pub member: usize,
    /// Which.
    pub id: PodId,
    /// Of which job.
    pub uid: Uid,
    /// Under which policy it was granted.
    pub policy: PartitionPolicy,
}

/// All checks of one run with what they remember.
#[derive(Debug, Default)]
pub struct Checks {
    /// What was found.
    pub found: Vec<Violation>,
    /// S1.
    pub acknowledged: AcknowledgedWrites,
    /// S17, and the ledger.
    pub books: Books,
    /// S2.
    pub submits: NoDoubleSubmit,
    /// S5.
    pub fences: FenceBeforeGrant,
    /// S6.
    pub epochs: StaleEpochs,
    /// S7, S8, S12 and what else one state shows.
    pub state: StateChecks,
    /// S13.
    pub same_bytes: SameBytes,
    /// S14.
    pub raft: Raft,
}

impl Checks {
    /// Notes a violation.
    pub fn fail(&mut self, promise: &str, seen: String) {
        note(&mut self.found, promise, seen);
    }
}

pub(crate) fn note(found: &mut Vec<Violation>, promise: &str, seen: String) {
    found.push(Violation { promise: promise.to_owned(), seen });
}

/// A change of a job, as an event tells it.
pub(crate) fn job_change(event: &muster_model::Event) -> Option<JobChange<'_>> {
    let muster_model::Event::Changed { key, old, new, .. } = event else { return None };
    let old = old.as_deref().filter(|object| object.job().is_some());
    let new = new.as_deref().filter(|object| object.job().is_some());
    (old.is_some() || new.is_some()).then_some(JobChange { key, old, new })
}

/// Before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobChange<'a> {
    pub(crate) key: &'a Key,
    pub(crate) old: Option<&'a Object>,
    pub(crate) new: Option<&'a Object>,
}

impl JobChange<'_> {
    pub(crate) fn old_job(&self) -> Option<&Job> {
        self.old.and_then(Object::job)
    }

    pub(crate) fn new_job(&self) -> Option<&Job> {
        self.new.and_then(Object::job)
    }
}
