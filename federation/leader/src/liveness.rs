//! What silence leads to: not ready, lease lapsed, attempts counted as over.

use muster_model::{Command, Epoch, FenceReason, MemberName, PartitionPolicy, Readiness};

use crate::grants::Grant;
use crate::leader::Leader;
use crate::outbox::Purpose;

impl Leader {
    /// A member was heard.
    pub(crate) fn heard(&mut self, member: &MemberName) {
        if let Some(lease) = self.leases.get_mut(member) {
            lease.heard = lease.heard.max(self.now);
        }
        self.breaker.joins(member);
    }

    /// Looks at all clocks. O(members + attempts due + attempts under `DuplicateOk`).
    pub(crate) fn watch(&mut self) {
        self.watch_leases();
        self.breaker.judge(self.now, &self.config);
        self.fence_due();
        if !self.breaker.is_open() {
            self.replace_duplicates();
        }
        let silent = self.now.0.saturating_sub(self.config.hello_timeout.0);
        for id in self.sessions.silent_since(muster_model::TimeMs(silent)) {
            self.close(id, "no hello arrived in time");
        }
    }

    fn watch_leases(&mut self) {
        for member in self.members.clone() {
            let lease = self.leases.get(&member);
            let is_lapsed = lease.is_none_or(|lease| lease.is_lapsed(self.now, &self.config));
            let is_suspect = lease.is_none_or(|lease| lease.is_suspect(self.now, &self.config));
            if is_suspect {
                self.fell_silent(&member);
            }
            if is_lapsed {
                self.lease_lapsed(&member);
            }
        }
    }

    fn fell_silent(&mut self, member: &MemberName) {
        let ready = self.cluster(member).map(|cluster| cluster.status.ready);
        self.breaker.fell_silent(member, self.now);
        if matches!(ready, Some(Readiness::Ready { .. })) {
            self.propose_ready(member, false);
        }
    }

    /// The member's own count ran out before: it has dropped the session, and starts nothing without a new hello.
    fn lease_lapsed(&mut self, member: &MemberName) {
        if self.leases.remove(member).is_none() {
            return;
        }
        if let Some(id) = self.sessions.of_member(member) {
            self.close(id, "the lease lapsed: say hello again");
        }
    }

    /// Attempts under `Fence` whose deadline passed long enough ago that no process of them is left.
    fn fence_due(&mut self) {
        for (member, epochs) in self.grants.take_due(self.now) {
            self.propose_fence(&member, &epochs, FenceReason::DeadlinePassed);
        }
        let retries = self.fences.split_off_due(self.now);
        for (member, epochs) in retries {
            let reason = self.reason_of(&member, &epochs);
            self.propose_fence(&member, &epochs, reason);
        }
    }

    /// Attempts under `DuplicateOk` whose incarnation holds no lease.
    fn replace_duplicates(&mut self) {
        for (member, epochs) in self.grants.replaceable() {
            let holder = self.leases.get(&member).map(|lease| lease.incarnation.clone());
            let is_lost = |grant: &Grant| match &holder {
                None => true,
                Some(None) => false,
                Some(Some(holder)) => !grant.is_for(holder),
            };
            let lost = |epoch: &Epoch| {
                self.grants.get(&member, *epoch).is_some_and(|g| !g.is_lapsing() && is_lost(g))
            };
            let lost: Vec<Epoch> = epochs.into_iter().filter(lost).collect();
            self.propose_fence(&member, &lost, FenceReason::DuplicateOk);
        }
    }

    fn reason_of(&self, member: &MemberName, epochs: &[Epoch]) -> FenceReason {
        let grant = epochs.iter().find_map(|epoch| self.grants.get(member, *epoch));
        match grant.map(|grant| grant.policy.partition) {
            Some(PartitionPolicy::DuplicateOk) => FenceReason::DuplicateOk,
            _ => FenceReason::DeadlinePassed,
        }
    }

    /// From here on no acknowledgement names these attempts.
    fn propose_fence(&mut self, member: &MemberName, epochs: &[Epoch], reason: FenceReason) {
        let attempts: Vec<_> =
            epochs.iter().filter_map(|epoch| Some((self.grants.lapse(member, *epoch)?, *epoch))).collect();
        if attempts.is_empty() {
            return;
        }
        let epochs = attempts.iter().map(|(_, epoch)| *epoch).collect();
        let command = Command::FenceAttempts { member: member.clone(), attempts, reason };
        self.out.propose(Purpose::Fence(member.clone(), epochs), command);
    }

    /// One change of readiness under way per member.
    pub(crate) fn propose_ready(&mut self, member: &MemberName, ready: bool) {
        let may = self.readiness.get(member).is_none_or(|gate| gate.is_some_and(|at| at <= self.now));
        if may {
            self.readiness.insert(member.clone(), None);
            let command = Command::SetReady { member: member.clone(), ready };
            self.out.propose(Purpose::Ready(member.clone()), command);
        }
    }
}
