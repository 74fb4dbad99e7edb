//! The session with the hub: heartbeats, what they renew, and when contact is lost.

use std::collections::BTreeMap;

use muster_model::{Epoch, Hello, ToHub, mutant};

use crate::action::{Action, Out};
use crate::attempt::{Attempt, Fence, Phase, Standing};
use crate::clock::Clock;
use crate::machine::{Life, Machine};
use crate::pod::PodId;
use crate::{HEARTBEAT_MS, LEASE_MS, SESSION_TIMEOUT_MS};

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its number.
    pub(crate) id: u64,
    /// When each heartbeat that is not acknowledged was sent. The hello is number 0.
    sent: BTreeMap<u64, Clock>,
    /// The number of the next heartbeat.
    next_seq: u64,
    /// When the last one was sent.
    last_sent: Clock,
    /// When the last acknowledgement came, or the session was opened.
    last_heard: Clock,
    /// When the latest acknowledged heartbeat was sent; none before the hello was acknowledged.
    pub(crate) acked: Option<Clock>,
    /// Whether the full desired set came.
    pub(crate) full: bool,
}

impl Machine {
    pub(crate) fn open_session(&mut self, id: u64, now: Clock, out: &mut Out) {
        let session = Session {
            id,
            sent: BTreeMap::from([(0, now)]),
            next_seq: 1,
            last_sent: now,
            last_heard: now,
            acked: None,
            full: false,
        };
        self.session = Some(session);
        self.outbox.in_flight = None;
        if self.life != Life::Recovering {
            self.send_hello(id, out);
        }
    }

    /// Says hello: all attempts but those whose end was taken.
    pub(crate) fn send_hello(&mut self, session: u64, out: &mut Out) {
        let attempts = self.attempts.values().filter(|attempt| !attempt.end_taken());
        let hello = Hello {
            incarnation: self.capacity.incarnation.clone(),
            capacity: self.capacity.clone(),
            attempts: attempts.filter_map(|attempt| attempt.report.clone()).collect(),
        };
        out.act(Action::Send { session, message: ToHub::Hello(hello) });
    }

    /// The number of the open session, once its hello was acknowledged.
    pub(crate) fn confirmed_session(&self) -> Option<u64> {
        self.session.as_ref().filter(|session| session.acked.is_some()).map(|session| session.id)
    }

    /// Sends a heartbeat when it is time, and gives a silent session up.
    pub(crate) fn keep_contact(&mut self, now: Clock, out: &mut Out) {
        let Some(session) = self.session.as_mut().filter(|_| self.life != Life::Recovering) else { return };
        let id = session.id;
        if now.since(session.last_heard) >= SESSION_TIMEOUT_MS {
            self.session = None;
            return out.act(Action::Reconnect { session: id });
        }
        if now.since(session.last_sent) >= HEARTBEAT_MS {
            let seq = session.next_seq;
            session.next_seq += 1;
            session.last_sent = now;
            session.sent.insert(seq, now);
            out.act(Action::Send { session: id, message: ToHub::Heartbeat { seq } });
        }
    }

    /// A heartbeat was acknowledged: the lease and these grants count from when it was *sent*.
    pub(crate) fn acknowledged(&mut self, seq: u64, epochs: &[Epoch], now: Clock, out: &mut Out) {
        let Some(session) = &mut self.session else { return };
        let Some(sent) = session.sent.get(&seq).copied() else { return };
        session.sent.retain(|other, _| *other > seq);
        session.last_heard = now;
        session.acked = Some(sent);
        if session.full {
            self.authority = Some(sent);
        }
        let base = if mutant!(deadline_from_receipt) { now } else { sent };
        for epoch in epochs {
            self.renew(*epoch, base, out);
        }
    }

    /// Moves the deadline of one attempt, unless it is fenced or ending: that is final.
    fn renew(&mut self, epoch: Epoch, base: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        if attempt.phase != Phase::Active || attempt.fence == Fence::Never {
            return;
        }
        attempt.fence = Fence::From(base);
        self.dirty.insert(epoch);
        renew_pods(attempt, base, out);
    }

    /// The lease: so long after the last acknowledged heartbeat nothing is started any more, and session and desired set
    /// are dropped. What runs goes on.
    pub(crate) fn check_lease(&mut self, now: Clock, out: &mut Out) {
        if self.authority.is_none_or(|base| now.since(base) < LEASE_MS) {
            return;
        }
        self.authority = None;
        for attempt in self.attempts.values_mut().filter(|a| a.standing == Standing::Wanted) {
            attempt.standing = Standing::Unconfirmed;
        }
        if let Some(session) = self.session.take_if(|session| session.full) {
            out.act(Action::Reconnect { session: session.id });
        }
    }
}

/// Renewals reach a shim only when they are worth a message: a hundredth of the deadline later than the last.
fn renew_pods(attempt: &mut Attempt, base: Clock, out: &mut Out) {
    let fence_after = attempt.desired.policy.fence_after;
    let epoch = attempt.desired.epoch;
    for pod in attempt.pods.values_mut().filter(|pod| pod.is_live()) {
        if pod.renewed.is_none_or(|last| base.since(last) >= fence_after.0 / 100) {
            pod.renewed = Some(base);
            let pod = PodId { epoch, serial: pod.serial };
            out.act(Action::RenewDeadline { pod, base, fence_after });
        }
    }
}
