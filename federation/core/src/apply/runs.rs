//! The `Run` of each attempt: opened at the grant, closed at the end, with what it cost.

use std::sync::Arc;

use muster_model::{
    Attempt, AttemptOutcome, Document, Epoch, Event, Key, Meta, Object, Owner, Revision, Run, RunPhase,
    Status, TimeMs, Uid, kinds,
};

use super::Step;
use super::attempts::Ending;
use crate::digest::hash128;
use crate::ledger::{self, Bill};

/// Runs kept per job, the newest.
const RUNS_MAX: usize = 32;

/// How a run ended.
pub(super) struct RunEnd {
    phase: RunPhase,
    exit_code: Option<i32>,
    at: TimeMs,
}

impl RunEnd {
    /// The end as the books see it: never after now.
    pub(super) fn of(ending: &Ending, now: TimeMs) -> RunEnd {
        let phase = match ending.outcome {
            AttemptOutcome::Succeeded => RunPhase::Succeeded,
            AttemptOutcome::Failed(_) => RunPhase::Failed,
            AttemptOutcome::Stopped => RunPhase::Stopped,
            AttemptOutcome::Fenced => RunPhase::Fenced,
            AttemptOutcome::Lost => RunPhase::Lost,
        };
        RunEnd { phase, exit_code: ending.exit_code, at: ending.at.min(now) }
    }
}

fn run_key(job: &Key, epoch: Epoch) -> Key {
    Key::new(kinds::RUN, &job.namespace, &format!("{}-{:x}", job.name, epoch.0))
}

impl Step<'_> {
    /// Opens the run of the attempt the job has.
    pub(super) fn open_run(&mut self, object: &Arc<Object>) {
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        let key = run_key(&object.key, attempt.epoch);
        let run = Run {
            job: object.key.clone(),
            job_uid: object.meta.uid,
            epoch: attempt.epoch,
            cluster: attempt.assignment.member.clone(),
            phase: RunPhase::Granted,
            start: attempt.granted_at,
            end: None,
            exit_code: None,
            cost: attempt.assignment.one_off.clone(),
            lost_gpu_ms: 0,
        };
        let meta = self.run_meta(object, attempt.epoch);
        self.store(Object { key, meta, document: Document::default(), status: Status::Run(Box::new(run)) });
        self.bound_runs(object);
    }

    fn run_meta(&self, job: &Object, epoch: Epoch) -> Meta {
        let owner = Owner {
            api_version: "batch/v1".into(),
            kind: "Job".into(),
            name: Arc::clone(&job.key.name),
            uid: job.meta.uid,
            controller: true,
            block_deletion: false,
        };
        Meta {
            uid: Uid(hash128(&(job.meta.uid, epoch))),
            created: self.time,
            generation: 0,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: vec![owner],
            idempotency: None,
        }
    }

    /// The run's attempt was reported as running.
    pub(super) fn mark_run_running(&mut self, object: &Object) {
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        self.change_run(&run_key(&object.key, attempt.epoch), |run| run.phase = RunPhase::Running);
    }

    /// Closes the run of an attempt that ended, and books it. The `Run` may be gone already: a namespace, or a job in
    /// foreground deletion, takes its runs along while the attempt still ends. It is booked all the same.
    pub(super) fn close_run(&mut self, object: &Object, attempt: &Attempt, end: &RunEnd) {
        let bill = Bill::of(attempt, end.at);
        let cut = !matches!(end.phase, RunPhase::Succeeded | RunPhase::Failed);
        let run = Run {
            job: object.key.clone(),
            job_uid: object.meta.uid,
            epoch: attempt.epoch,
            cluster: attempt.assignment.member.clone(),
            phase: end.phase,
            start: attempt.granted_at,
            end: Some(end.at.max(attempt.granted_at)),
            exit_code: end.exit_code,
            cost: bill.lines,
            lost_gpu_ms: if cut { bill.gpu_ms } else { 0 },
        };
        let stored = run.clone();
        self.change_run(&run_key(&object.key, attempt.epoch), |there| *there = stored);
        if cut && muster_model::mutant!(cut_attempts_not_booked) {
            return;
        }
        let at = (self.time, self.state.revision);
        let booking = ledger::book(&mut self.state.ledger, run, bill.gpu_ms, at);
        self.events.push(Event::Booked(Box::new(booking)));
    }

    fn change_run(&mut self, key: &Key, change: impl FnOnce(&mut Run)) {
        let Some(there) = self.state.get(key).cloned() else { return };
        let mut object = Object::clone(&there);
        let Status::Run(run) = &mut object.status else { return };
        change(run);
        self.store(object);
    }

    /// Old runs of a job that runs again and again go.
    fn bound_runs(&mut self, job: &Object) {
        let start = (job.meta.uid, Key::new(kinds::RUN, "", ""));
        let runs =
            self.state.indexes.dependents.range(start..).take_while(|(owner, _)| *owner == job.meta.uid);
        let mut runs: Vec<Key> =
            runs.filter(|(_, key)| key.is(kinds::RUN)).map(|(_, key)| key.clone()).collect();
        runs.sort_by_key(|key| self.state.get(key).map(|object| object.meta.created));
        for key in runs.iter().rev().skip(RUNS_MAX) {
            self.remove(key);
        }
    }
}
