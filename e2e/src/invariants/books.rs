//! S17 and the ledger: every entry emits the audit records and bookings that follow from it, once each, linked to those
//! before; every attempt that ends is booked in the entry that ends it, and the state's heads are where the records end.

use std::collections::BTreeSet;

use muster_core::{ChainHead, State, audit_link, booking_link};
use muster_model::{Epoch, Event, Uid};

use super::{Violation, job_change, note};

/// Where the chains are, and what was booked.
#[derive(Debug, Default)]
pub struct Books {
    audit: ChainHead,
    ledger: ChainHead,
    booked: BTreeSet<(Uid, Epoch)>,
}

impl Books {
    /// An entry brought these events about, and gave this state.
    pub fn after(&mut self, events: &[Event], after: &State, found: &mut Vec<Violation>) {
        let (mut ended, mut booked) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            match event {
                Event::Audited(record) => {
                    if (record.sequence, record.chain)
                        != (self.audit.sequence + 1, audit_link(record, self.audit.hash))
                    {
                        note(found, "S17", format!("audit record {} does not follow", record.sequence));
                    }
                    self.audit = ChainHead { sequence: record.sequence, hash: record.chain };
                }
                Event::Booked(booking) => {
                    if (booking.sequence, booking.chain)
                        != (self.ledger.sequence + 1, booking_link(booking, self.ledger.hash))
                    {
                        note(found, "ledger", format!("booking {} does not follow", booking.sequence));
                    }
                    self.ledger = ChainHead { sequence: booking.sequence, hash: booking.chain };
                    booked.insert((booking.run.job_uid, booking.run.epoch));
                }
                Event::Changed { .. } => ended.extend(ended_attempt(event)),
            }
        }
        if ended != booked || !self.booked.is_disjoint(&booked) {
            note(found, "ledger", format!("ended {ended:?}, booked {booked:?}"));
        }
        self.booked.extend(booked);
        if (self.audit, self.ledger) != (after.audit(), after.ledger()) {
            note(found, "S17", "the state's heads are not where the records end".to_owned());
        }
    }
}

/// The attempt that a change of a job ends.
fn ended_attempt(event: &Event) -> Option<(Uid, Epoch)> {
    let change = job_change(event)?;
    let epoch = |job: Option<&muster_model::Job>| job?.attempt.as_ref().map(|attempt| attempt.epoch);
    let (before, after) = (epoch(change.old_job())?, epoch(change.new_job()));
    (after != Some(before)).then_some((change.old?.meta.uid, before))
}
