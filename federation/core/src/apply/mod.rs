//! One entry, applied. Every change goes through a [`Step`]: it gives the revision, moves the indexes and tells the event.

mod attempts;
mod burst;
mod collect;
mod connects;
mod denials;
mod faults;
mod game_days;
mod grants;
mod jobs;
mod members;
mod notes;
mod objects;
mod plan;
mod runs;
mod transfers;

pub(crate) use plan::claimed;

use std::sync::Arc;

use muster_model::{
    Answer, AuditVerb, Command, Entry, Event, Key, Object, Principal, Rejection, Revision, TimeMs, Uid,
};

use crate::audit::Request;
use crate::state::State;

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For the proposer.
    pub answer: Answer,
    /// For watches, the placement view, the leader and the history, in order.
    pub events: Vec<Event>,
}

impl State {
    /// Applies one entry. Costs what the entry changes; deletions of many objects are bounded by the `limit` in
    /// [`Command::Collect`] and [`Command::Expire`].
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        self.time = self.time.max(entry.time);
        let mut step = Step { time: self.time, state: self, events: Vec::new() };
        step.end_due_faults();
        let answer = step.dispatch(&entry.command).unwrap_or_else(Answer::Rejected);
        Applied { answer, events: step.events }
    }
}

/// One entry being applied.
pub(crate) struct Step<'a> {
    state: &'a mut State,
    time: TimeMs,
    events: Vec<Event>,
}

impl Step<'_> {
    fn dispatch(&mut self, command: &Command) -> Result<Answer, Rejection> {
        match command {
            Command::Tick => Ok(Answer::Done),
            Command::Put(put) => self.put(put),
            Command::Delete(delete) => self.delete_asked(delete),
            Command::CommitPlan(plan) => Ok(self.commit_plan(plan)),
            Command::ReportAttempts { member, incarnation, reports } => {
                Ok(self.report(member, incarnation, reports))
            }
            Command::FenceAttempts { member, attempts, reason } => Ok(self.fence(member, attempts, *reason)),
            Command::Join(join) => self.join(join),
            Command::ChangeCapacity(change) => self.change_capacity(change),
            Command::SetReady { member, ready } => self.set_ready(member, *ready),
            Command::Revoke { member, principal } => self.revoke(member, principal),
            Command::DeclareLost { member, principal } => self.declare_lost(member, principal),
            Command::Expire { limit } => Ok(self.expire(*limit)),
            Command::Collect { limit } => Ok(self.collect(*limit)),
            Command::Note { involved, reason, message, severity, source } => {
                self.note_object(involved, reason, message, *severity, source)
            }
            Command::Deny { denials } => Ok(self.deny(denials)),
            Command::Connect(connect) => Ok(self.connect(connect)),
            Command::Burst(command) => self.burst(command),
            Command::StartFault(start) => self.start_fault(start),
            Command::ReportFault(report) => self.report_fault(report),
            Command::AbortFaults(abort) => self.abort_faults(abort),
            Command::ResumeChaos(resume) => self.resume_chaos(&resume.principal),
            Command::Drain(drain) => self.drain(drain),
            Command::StartGameDay(start) => self.start_game_day(start),
            Command::ProbeGameDay(probe) => Ok(self.probe_game_day(probe)),
            Command::StopGameDay(stop) => self.stop_game_day(stop),
            Command::ApproveGameDay(approve) => self.approve_game_day(approve),
            Command::SkipGameDay(skip) => Ok(self.skip_game_day(skip)),
            Command::ReportData(report) => Ok(self.report_data(report)),
        }
    }

    /// The revision that the next changed object gets.
    fn next_revision(&self) -> Revision {
        Revision(self.state.revision.0 + 1)
    }

    /// Stores an object under a new revision and tells it.
    fn store(&mut self, mut object: Object) -> Arc<Object> {
        let revision = self.next_revision();
        self.state.revision = revision;
        object.meta.revision = revision;
        let object = Arc::new(self.state.shared(object));
        let old = self.state.insert(&object);
        self.events.push(Event::Changed {
            key: object.key.clone(),
            old,
            new: Some(Arc::clone(&object)),
            revision,
        });
        object
    }

    /// Removes an object under a new revision and tells it; then whatever waited for its going is collected.
    fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let old = self.state.take_out(key)?;
        let revision = self.next_revision();
        self.state.revision = revision;
        self.events.push(Event::Changed {
            key: key.clone(),
            old: Some(Arc::clone(&old)),
            new: None,
            revision,
        });
        self.wake_collection(&old);
        self.follow_dataset(key);
        self.forget_copies(key);
        Some(old)
    }

    /// An object by key, or the rejection that it is not there.
    fn find(&self, key: &Key) -> Result<Arc<Object>, Rejection> {
        self.state.get(key).cloned().ok_or_else(|| Rejection::NotFound(key.clone()))
    }

    /// Records a request of a principal in the audit chain, carried out or refused.
    fn audit<T>(
        &mut self,
        principal: &Principal,
        verb: AuditVerb,
        key: &Key,
        result: Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        let uid = self.uid_for_audit(key);
        let refused = result.as_ref().err().map(|rejection| rejection.to_string().into());
        let request = Request { principal, verb, key, uid, refused, denied: 0, detail: "".into() };
        let record = self.state.audit.append(request, self.time, self.state.revision);
        self.events.push(Event::Audited(record));
        result
    }

    /// The uid of the object a request was about: of the one that is there, or of the one it just removed.
    fn uid_for_audit(&self, key: &Key) -> Option<Uid> {
        let removed = || {
            self.events.iter().rev().find_map(|event| match event {
                Event::Changed { key: k, old: Some(old), .. } if k == key => Some(old.meta.uid),
                _ => None,
            })
        };
        self.state.get(key).map(|object| object.meta.uid).or_else(removed)
    }
}
