//! What members report of attempts: one entry under way per session, everything that arrives meanwhile goes into the next.
//! A member is told that a report was taken only once it is committed.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::State;
use muster_model::{AttemptReport, Epoch, Key, ReportedState};

use crate::input::SessionId;

/// Attempts whose reports may wait at most; beyond that the member has to send again.
const MAX_WAITING: usize = 10_000;

/// Reports of one session.
#[derive(Clone, Debug, Default)]
pub struct ReportDesk {
    waiting: Batch,
    under_way: Option<Batch>,
}

/// Reports that go into one entry, the newest of each attempt, and the messages that brought them.
#[derive(Clone, Debug, Default)]
struct Batch {
    reports: BTreeMap<(Key, Epoch), AttemptReport>,
    messages: BTreeSet<(SessionId, u64)>,
}

impl ReportDesk {
    /// A message with reports arrived. One that is known already changes nothing but its content.
    pub fn arrived(&mut self, session: SessionId, seq: u64, reports: Vec<AttemptReport>) {
        if self.waiting.reports.len() + reports.len() > MAX_WAITING {
            return;
        }
        for report in reports {
            self.waiting.take(report);
        }
        self.waiting.messages.insert((session, seq));
    }

    /// Reports to be proposed, if none are under way. Those of attempts that the hub does not know are passed over: it
    /// has applied all that was committed before the session's hello was acknowledged, so they are of the past.
    pub fn next(&mut self, state: &State) -> Option<Vec<AttemptReport>> {
        if self.under_way.is_some() || self.waiting.messages.is_empty() {
            return None;
        }
        self.waiting.reports.retain(|_, report| is_live(state, report));
        let batch = std::mem::take(&mut self.waiting);
        let reports = batch.reports.values().cloned().collect();
        self.under_way = Some(batch);
        Some(reports)
    }

    /// The entry was applied: the messages that are taken.
    pub fn taken(&mut self) -> BTreeSet<(SessionId, u64)> {
        self.under_way.take().map(|batch| batch.messages).unwrap_or_default()
    }

    /// The entry came to nothing: its reports wait again, behind newer ones of the same attempts.
    pub fn failed(&mut self) {
        let Some(failed) = self.under_way.take() else { return };
        let newer = std::mem::replace(&mut self.waiting, failed);
        self.waiting.messages.extend(newer.messages);
        newer.reports.into_values().for_each(|report| self.waiting.take(report));
    }
}

impl Batch {
    /// The newest report of an attempt holds; but nothing comes after an end.
    fn take(&mut self, report: AttemptReport) {
        let slot = (report.job.clone(), report.epoch);
        let ended =
            self.reports.get(&slot).is_some_and(|known| matches!(known.state, ReportedState::Ended { .. }));
        if !ended {
            self.reports.insert(slot, report);
        }
    }
}

fn is_live(state: &State, report: &AttemptReport) -> bool {
    let object = state.get(&report.job).filter(|object| object.meta.uid == report.uid);
    let attempt = object.and_then(|object| object.job()?.attempt.as_deref());
    attempt.is_some_and(|attempt| attempt.epoch == report.epoch)
}
