//! What the hub wants: full set, deltas, epochs.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_model::{AttemptOutcome, DesiredAttempt, Epoch, PartitionPolicy, Uid, mutant};

use crate::action::Out;
use crate::attempt::{Attempt, Ended, Ending, Fence, Phase, Standing};
use crate::clock::Clock;
use crate::machine::Machine;
use crate::pod::PodStop;
use crate::record::{AttemptRecord, Record};

/// Jobs whose greatest epoch is remembered after nothing else of them is.
const MAX_REMEMBERED_JOBS: usize = 65_536;

impl Ending {
    /// Stopped at once on request.
    pub(crate) fn stopped() -> Ending {
        Ending { outcome: AttemptOutcome::Stopped, exit_code: None, stop: PodStop::Stopped, grace_ms: 0 }
    }
}

impl Machine {
    /// The full desired set. Only of a session whose hello was acknowledged: a deposed leader's would be old.
    pub(crate) fn full(&mut self, wanted: Vec<Arc<DesiredAttempt>>, now: Clock, out: &mut Out) {
        let Some(session) = self.session.as_mut().filter(|session| session.acked.is_some()) else { return };
        session.full = true;
        self.authority = session.acked;
        self.check_lease(now, out);
        if self.authority.is_none() {
            return;
        }
        let named: BTreeSet<Epoch> = wanted.iter().map(|desired| desired.epoch).collect();
        let gone: Vec<Epoch> = self.attempts.keys().filter(|e| !named.contains(e)).copied().collect();
        for epoch in gone {
            self.gone(epoch, now, out);
        }
        for desired in wanted {
            self.accept(desired, now, out);
        }
    }

    /// A change of the set. Without the full one before it, it says nothing.
    pub(crate) fn delta(
        &mut self,
        changed: Vec<Arc<DesiredAttempt>>,
        gone: &[Epoch],
        now: Clock,
        out: &mut Out,
    ) {
        if !self.session.as_ref().is_some_and(|session| session.full) {
            return;
        }
        for epoch in gone {
            self.gone(*epoch, now, out);
        }
        for desired in changed {
            self.accept(desired, now, out);
        }
    }

    /// An attempt is over for the hub: nobody waits for how it ends.
    pub(crate) fn gone(&mut self, epoch: Epoch, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&epoch) else { return };
        attempt.standing = Standing::Gone;
        let grace_ms = attempt.desired.spec.grace.0;
        self.dirty.insert(epoch);
        self.end(epoch, Ending { grace_ms, ..Ending::stopped() }, now, out);
    }

    fn accept(&mut self, desired: Arc<DesiredAttempt>, now: Clock, out: &mut Out) {
        let epoch = desired.epoch;
        self.dirty.insert(epoch);
        if self.attempts.contains_key(&epoch) {
            return self.change(&desired, now, out);
        }
        let newest = self.newest.get(&desired.uid).copied();
        if newest.is_some_and(|newest| epoch <= newest) && !mutant!(older_epoch_accepted) {
            return self.refuse(desired, now, out);
        }
        self.insert(desired, now, out);
    }

    /// An attempt that is new here. It counts from the last acknowledged heartbeat: the grant is younger than that.
    fn insert(&mut self, desired: Arc<DesiredAttempt>, now: Clock, out: &mut Out) {
        let (uid, epoch) = (desired.uid, desired.epoch);
        let fenced = desired.policy.partition == PartitionPolicy::Fence;
        // Without authority nothing is accepted; if it were, its deadline would have passed.
        let fence_base = fenced.then_some(self.authority.unwrap_or_default());
        out.persist(Record::Attempt(AttemptRecord {
            desired: without_body(&desired),
            received: now,
            fence_base,
        }));
        let attempt = Attempt { standing: Standing::Wanted, ..Attempt::new(desired, now, fence_base) };
        self.attempts.insert(epoch, attempt);
        self.remember(uid, epoch);
        self.end_older(uid, epoch, now, out);
    }

    /// A newer epoch says that the older attempts of the job are over.
    fn end_older(&mut self, uid: Uid, newest: Epoch, now: Clock, out: &mut Out) {
        let older: Vec<Epoch> = self
            .attempts
            .range(..newest)
            .filter(|(_, attempt)| attempt.desired.uid == uid)
            .map(|(epoch, _)| *epoch)
            .collect();
        for epoch in older {
            self.gone(epoch, now, out);
        }
    }

    /// An epoch that was forgotten, or is older than one seen: nothing of it is alive, and nothing will be.
    fn refuse(&mut self, desired: Arc<DesiredAttempt>, now: Clock, out: &mut Out) {
        let message = format!("epoch {} is not newer than the last one seen of this job", desired.epoch.0);
        self.warn(&desired, "EpochRefused", message, out);
        let epoch = desired.epoch;
        let mut attempt = Attempt::new(desired, now, None);
        attempt.phase =
            Phase::Ended(Ended { outcome: AttemptOutcome::Lost, exit_code: None, at: now.time() });
        self.attempts.insert(epoch, attempt);
    }

    /// The hub says again, or differently, what it wants of an attempt that is known.
    fn change(&mut self, desired: &DesiredAttempt, now: Clock, out: &mut Out) {
        let Some(attempt) = self.attempts.get_mut(&desired.epoch) else { return };
        attempt.standing = Standing::Wanted;
        if mutant!(fenced_epoch_revived) && attempt.phase != Phase::Active {
            attempt.phase = Phase::Active;
            attempt.fence = Fence::From(now);
        }
        if attempt.ended().is_some() {
            // The hub does not know of the end that it took: perhaps it lost it. It is said again.
            attempt.taken = None;
        }
        if let (Phase::Ending(ending), Some(_)) = (&mut attempt.phase, desired.stop) {
            ending.grace_ms = ending.grace_ms.min(desired.grace.0);
        }
        let mut desired = desired.clone();
        // What earlier attempts left is as it was told first: the hub's counts hold this attempt's own pods by now.
        desired.before = attempt.desired.before;
        desired.completed_indexes = Arc::clone(&attempt.desired.completed_indexes);
        desired.index_failures = attempt.desired.index_failures.clone();
        if attempt.desired.spec.active_deadline == desired.spec.active_deadline {
            desired.active_deadline_left = attempt.desired.active_deadline_left;
        } else {
            attempt.received = now;
        }
        let before = without_body(&attempt.desired);
        attempt.desired = Arc::new(desired);
        let after = without_body(&attempt.desired);
        if before != after {
            let received = attempt.received;
            out.persist(Record::Attempt(AttemptRecord { desired: after, received, fence_base: None }));
        }
    }

    pub(crate) fn remember(&mut self, uid: Uid, epoch: Epoch) {
        let newest = self.newest.entry(uid).or_insert(epoch);
        *newest = epoch.max(*newest);
        if self.newest.len() > MAX_REMEMBERED_JOBS {
            let live: BTreeSet<Uid> = self.attempts.values().map(|attempt| attempt.desired.uid).collect();
            let oldest = self.newest.iter().filter(|(uid, _)| !live.contains(uid)).min_by_key(|(_, e)| **e);
            if let Some(uid) = oldest.map(|(uid, _)| *uid) {
                self.newest.remove(&uid);
            }
        }
    }
}

/// What is written down of an attempt: the document comes again with the next full set.
fn without_body(desired: &DesiredAttempt) -> Arc<DesiredAttempt> {
    Arc::new(DesiredAttempt { body: "".into(), ..desired.clone() })
}
