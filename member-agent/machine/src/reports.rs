//! Reports of attempts: sent until the hub took them, one message at a time.

use std::collections::BTreeSet;

use muster_model::{AttemptReport, Epoch, ReportedState, ToHub};

use crate::action::{Action, Out};
use crate::clock::Clock;
use crate::machine::Machine;
use crate::record::Record;

/// A message that was not taken is sent again after so long, with what is true by then.
const SEND_AGAIN_MS: u64 = 5_000;
/// Reports in one message.
const MAX_REPORTS: usize = 500;

/// What has to be reported. One message at a time is on its way, so that changes gather while the hub is busy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outbox {
    next_seq: u64,
    pub(crate) in_flight: Option<InFlight>,
    /// Attempts whose report differs from the one taken last.
    pub(crate) unreported: BTreeSet<Epoch>,
}

/// A message that was not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    seq: u64,
    sent: Clock,
    reports: Vec<AttemptReport>,
}

impl Machine {
    /// Makes the report of an attempt anew.
    pub(crate) fn update_report(&mut self, epoch: Epoch) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        attempt.report = attempt.make_report();
        // A start that is only decided is not worth a commit; the hello tells of it.
        if attempt.is_known_to_run() && attempt.report != attempt.taken {
            self.outbox.unreported.insert(epoch);
        } else {
            self.outbox.unreported.remove(&epoch);
        }
    }

    pub(crate) fn send_reports(&mut self, now: Clock, out: &mut Out) {
        let Some(session) = self.confirmed_session() else { return };
        let waits = |in_flight: &InFlight| now.since(in_flight.sent) < SEND_AGAIN_MS;
        if self.outbox.unreported.is_empty() || self.outbox.in_flight.as_ref().is_some_and(waits) {
            return;
        }
        let epochs = self.outbox.unreported.iter().take(MAX_REPORTS);
        let reports: Vec<AttemptReport> =
            epochs.filter_map(|epoch| self.attempts.get(epoch)?.report.clone()).collect();
        self.outbox.next_seq += 1;
        let seq = self.outbox.next_seq;
        self.outbox.in_flight = Some(InFlight { seq, sent: now, reports: reports.clone() });
        out.act(Action::Send { session, message: ToHub::Reports { seq, reports } });
    }

    /// The hub committed a message of reports.
    pub(crate) fn reports_taken(&mut self, seq: u64, out: &mut Out) {
        let Some(taken) = self.outbox.in_flight.take_if(|in_flight| in_flight.seq == seq) else { return };
        for report in taken.reports {
            let epoch = report.epoch;
            let Some(attempt) = self.attempts.get_mut(&epoch) else { continue };
            if matches!(report.state, ReportedState::Ended { .. }) {
                out.persist(Record::Taken { epoch });
            }
            attempt.taken = Some(report);
            self.dirty.insert(epoch);
        }
    }
}
