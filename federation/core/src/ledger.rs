//! The ledger: every attempt is booked once, when it is over, with what it cost. Each booking is bound to the one before by
//! its hash, as audit records are, so that a book that misses one, holds one twice or was changed can be told from the
//! state's head alone. What live attempts have cost so far is no booking: it is computed when someone asks.

use muster_model::{
    Attempt, AttemptState, Booking, CostKind, CostLine, DurationMs, MicroUsd, Revision, Run, RunPhase, TimeMs,
};
use sha2::{Digest, Sha256};

use crate::audit::ChainHead;

/// What an attempt costs up to a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Its lines, compute first.
    pub lines: Vec<CostLine>,
    /// GPU-milliseconds that the compute line pays for.
    pub gpu_ms: u64,
}

impl Bill {
    /// The bill of an attempt that ended, or that is looked at, at this time. Compute counts from the start that its
    /// member reported; one-off lines count from the grant.
    pub fn of(attempt: &Attempt, at: TimeMs) -> Bill {
        let started = match attempt.state {
            AttemptState::Granted => None,
            AttemptState::Running { since } => Some(since),
            AttemptState::Stopping { started, .. } => started,
        };
        let ran = started.map_or(DurationMs(0), |since| at.since(since));
        let gpus_milli: u64 =
            crate::apply::claimed(&attempt.assignment).map(|(_, amount)| amount.gpu_milli).sum();
        let amount = attempt.assignment.hourly.for_duration(ran);
        let compute = CostLine { kind: CostKind::Compute, amount };
        let lines = std::iter::once(compute).chain(attempt.assignment.one_off.iter().cloned()).collect();
        Bill { lines, gpu_ms: ran.0.saturating_mul(gpus_milli) / 1000 }
    }

    /// The sum of its lines.
    pub fn total(&self) -> MicroUsd {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

/// Books an attempt that is over.
pub fn book(head: &mut ChainHead, run: Run, gpu_ms: u64, (time, revision): (TimeMs, Revision)) -> Booking {
    head.sequence += 1;
    let mut booking = Booking { sequence: head.sequence, time, revision, run, gpu_ms, chain: head.hash };
    booking.chain = booking_link(&booking, head.hash);
    head.hash = booking.chain;
    booking
}

/// The hash that a booking must have behind this one: SHA-256 over the previous hash and the fields in order, each text
/// preceded by its length.
pub fn booking_link(booking: &Booking, previous: [u8; 32]) -> [u8; 32] {
    let run = &booking.run;
    let mut hash = Sha256::new();
    hash.update(previous);
    let numbers = [booking.sequence, booking.time.0, booking.revision.0, booking.gpu_ms, run.epoch.0];
    let times = [run.start.0, run.end.map_or(0, |end| end.0), run.lost_gpu_ms, phase_number(run.phase)];
    let exit_code = run.exit_code.map_or(u64::MAX, |code| u64::from(code.cast_unsigned()));
    for number in numbers.into_iter().chain(times).chain([exit_code]) {
        hash.update(number.to_be_bytes());
    }
    hash.update(run.job_uid.0.to_be_bytes());
    for text in [&*run.job.namespace, &*run.job.name, run.cluster.as_str()] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    for line in &run.cost {
        hash.update([line.kind as u8]);
        hash.update(line.amount.0.to_be_bytes());
    }
    hash.finalize().into()
}

fn phase_number(phase: RunPhase) -> u64 {
    phase as u64
}
