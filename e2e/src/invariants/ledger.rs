//! The ledger, beside the numbered promises: every attempt that ends is booked in the entry that ends it, once, and the
//! bookings are a chain without gaps.

use std::collections::BTreeSet;

use muster_core::{ChainHead, State, booking_link};
use muster_model::{Epoch, Event, Uid};

use super::{Violation, job_change, note};

/// Where the chain is, and what was booked.
#[derive(Debug, Default)]
pub struct Ledger {
    head: ChainHead,
    booked: BTreeSet<(Uid, Epoch)>,
}

impl Ledger {
    /// An entry brought these events about, and gave this state.
    pub fn after(&mut self, events: &[Event], after: &State, found: &mut Vec<Violation>) {
        let (mut ended, mut booked) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            match event {
                Event::Audited(_) => {}
                Event::Booked(booking) => {
                    let follows = (self.head.sequence + 1, booking_link(booking, self.head.hash));
                    if (booking.sequence, booking.chain) != follows {
                        note(found, "ledger", format!("booking {} does not follow", booking.sequence));
                    }
                    self.head = ChainHead { sequence: booking.sequence, hash: booking.chain };
                    booked.insert((booking.run.job_uid, booking.run.epoch));
                }
                Event::Changed { .. } => ended.extend(ended_attempt(event)),
            }
        }
        if ended != booked || !self.booked.is_disjoint(&booked) {
            note(found, "ledger", format!("ended {ended:?}, booked {booked:?}"));
        }
        self.booked.extend(booked);
        if self.head != after.ledger() {
            note(found, "ledger", "the chain's head in the state is not where the bookings end".to_owned());
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
