//! What must hold, one promise per file; numbers are those of the list of guarantees.
//!
//! ```text
//!  world --- committed entries, pods that start, answers to clients ---> Checks ---> found violations
//! ```
//!
//! A check sees only what happened; it changes nothing and decides nothing. The first violation ends the run.

mod l01_service_returns;
mod l02_hub_gone;
mod l03_jobs_end;
mod l04_granted_again;
mod l07_replicas_level;
mod ledger;
mod one_state;
mod registry;
mod s01_acknowledged_writes;
mod s02_no_double_submit;
mod s03_linearizable;
mod s04_one_live_attempt;
mod s05_fence_before_grant;
mod s06_stale_epochs;
mod s07_gpus_conserved;
mod s08_whole_gangs;
mod s12_legal_transitions;
mod s13_same_bytes;
mod s14_raft;
mod s15_snapshots;
mod s17_audit_chain;
mod s19_own_word;
mod s21_allowed_places;

#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod tests;

pub use l01_service_returns::{LEADER_MS, SERVICE_MS};
pub use l02_hub_gone::{EndedAlone, check_ended_alone};
pub use l03_jobs_end::{unfinished_jobs, unready_members};
pub use l04_granted_again::{GrantedAgain, check_granted_again};
pub use l07_replicas_level::{LEVEL_MS, MAX_TERMS_AFTER_HEALING};
pub use ledger::Ledger;
pub use one_state::StateChecks;
pub use registry::{Check, PROMISES, Promise, table as promise_table};
pub use s01_acknowledged_writes::AcknowledgedWrites;
pub use s02_no_double_submit::NoDoubleSubmit;
pub use s03_linearizable::{Cursor, Delivered, Linearizable, check_read};
pub use s04_one_live_attempt::check_one_live_attempt;
pub use s05_fence_before_grant::FenceBeforeGrant;
pub use s06_stale_epochs::StaleEpochs;
pub use s07_gpus_conserved::{GpusConserved, check_own_gpus};
pub use s08_whole_gangs::WholeGangs;
pub use s13_same_bytes::SameBytes;
pub use s14_raft::{Raft, Standing};
pub use s15_snapshots::{Replay, RestoredSnapshot, check_replay, check_restored};
pub use s17_audit_chain::AuditChain;
pub use s19_own_word::OwnWord;

use muster_core::State;
use muster_member_machine::PodId;
use muster_model::{Command, Event, Job, Key, Object, PartitionPolicy, Uid};

use s12_legal_transitions::check_transition;
use s21_allowed_places::check_place;

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
    /// On which Node.
    pub node: u32,
    /// With which of its GPUs.
    pub gpus: Vec<u32>,
}

/// All checks of one run with what they remember.
#[derive(Debug, Default)]
pub struct Checks {
    /// What was found.
    pub found: Vec<Violation>,
    /// S1.
    pub acknowledged: AcknowledgedWrites,
    /// S2.
    pub submits: NoDoubleSubmit,
    /// S3.
    pub histories: Linearizable,
    /// S5.
    pub fences: FenceBeforeGrant,
    /// S6.
    pub epochs: StaleEpochs,
    /// S7.
    pub gpus: GpusConserved,
    /// S8.
    pub gangs: WholeGangs,
    /// S13.
    pub same_bytes: SameBytes,
    /// S14.
    pub raft: Raft,
    /// S17.
    pub audit: AuditChain,
    /// S19.
    pub own_word: OwnWord,
    /// Bookings.
    pub ledger: Ledger,
    /// What one state shows by itself.
    pub state: StateChecks,
}

/// An entry that was applied for the first time.
#[derive(Clone, Copy, Debug)]
pub struct AppliedEntry<'a> {
    /// Where in the log.
    pub index: u64,
    /// What it says.
    pub command: &'a Command,
    /// What followed.
    pub events: &'a [Event],
    /// The state after it.
    pub after: &'a State,
    /// Pods that run, if the entry ended or granted an attempt.
    pub live: &'a [LivePod],
}

impl Checks {
    /// What is looked at once per entry. Costs what the entry changed.
    pub fn applied(&mut self, entry: &AppliedEntry<'_>) {
        let AppliedEntry { index, command, events, after, live } = *entry;
        let found = &mut self.found;
        // What shows in the world comes before what shows in the books: the first violation is the one that is told.
        for change in events.iter().filter_map(job_change) {
            self.fences.changed(change, live, found);
            self.submits.changed(change, found);
            self.acknowledged.changed(change, after.time(), found);
            self.epochs.changed(change, after, found);
            self.gangs.changed(change, found);
            self.own_word.changed(command, change, found);
            check_place(change, after, found);
            check_transition(change, found);
        }
        self.gangs.after(command, after, found);
        self.histories.after(events, found);
        self.gpus.after(events, after, found);
        self.audit.after(command, events, after, found);
        self.ledger.after(events, after, found);
        self.state.after(index, after, found);
    }

    /// A pod begins to run, or runs on after its host stood still, beside all that run.
    pub fn runs(&mut self, pod: &LivePod, live: &[LivePod], is_new: bool) {
        check_one_live_attempt(pod, live, &mut self.found);
        if is_new {
            check_own_gpus(pod, live, &mut self.found);
            self.fences.started(pod, &mut self.found);
            self.epochs.started(pod, &mut self.found);
        }
    }

    /// Notes a violation.
    pub fn fail(&mut self, promise: &str, seen: String) {
        note(&mut self.found, promise, seen);
    }
}

pub(crate) fn note(found: &mut Vec<Violation>, promise: &str, seen: String) {
    found.push(Violation { promise: promise.to_owned(), seen });
}

/// A change of a job, as an event tells it.
pub(crate) fn job_change(event: &Event) -> Option<JobChange<'_>> {
    let Event::Changed { key, old, new, .. } = event else { return None };
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

/// Whether an entry ended or granted an attempt.
pub(crate) fn moves_attempts(event: &Event) -> bool {
    let epoch = |job: Option<&Job>| job?.attempt.as_ref().map(|attempt| attempt.epoch);
    job_change(event).is_some_and(|change| epoch(change.old_job()) != epoch(change.new_job()))
}

impl JobChange<'_> {
    pub(crate) fn old_job(&self) -> Option<&Job> {
        self.old.and_then(Object::job)
    }

    pub(crate) fn new_job(&self) -> Option<&Job> {
        self.new.and_then(Object::job)
    }

    /// Whether an attempt lives after it.
    pub(crate) fn has_attempt(&self) -> bool {
        self.new_job().is_some_and(Job::is_live)
    }
}
