//! Attempts that are over without their member's word: fenced by their deadline, or declared lost. Apply compares no times
//! here: whoever proposed it did the waiting.

use muster_model::{
    Answer, AttemptOutcome, AuditVerb, ClusterStatus, Epoch, FenceReason, Incarnation, Key, MemberName,
    PartitionPolicy, Principal, Readiness, Rejection,
};

use super::Step;
use super::attempts::Ending;

impl Step<'_> {
    /// The leader waited long enough, or the job's policy needs no waiting.
    pub(super) fn fence(
        &mut self,
        member: &MemberName,
        attempts: &[(Key, Epoch)],
        reason: FenceReason,
    ) -> Answer {
        let (policy, outcome) = match reason {
            FenceReason::DeadlinePassed => (PartitionPolicy::Fence, AttemptOutcome::Fenced),
            FenceReason::DuplicateOk => (PartitionPolicy::DuplicateOk, AttemptOutcome::Lost),
        };
        for (key, epoch) in attempts {
            self.end_without_word(member, key, Some(*epoch), Some(policy), &outcome);
        }
        Answer::Done
    }

    /// An operator says that nothing of this member is alive. While it is in contact it can tell of itself: then only
    /// attempts of its earlier incarnations are over, such as those that a restart of its machine left behind.
    pub(super) fn declare_lost(
        &mut self,
        member: &MemberName,
        principal: &Principal,
    ) -> Result<Answer, Rejection> {
        let key = Key::cluster(member.as_str());
        let found = self.find(&key);
        let cluster = self.audit(principal, AuditVerb::DeclareLost, &key, found)?;
        let present = cluster.cluster().map(|cluster| &cluster.status).filter(|status| is_in_contact(status));
        let present = present.and_then(|status| status.incarnation.clone());
        let jobs: Vec<Key> = self.state.jobs_on(member).cloned().collect();
        for job in jobs {
            if present.as_ref().is_some_and(|present| !self.is_left_behind(&job, member, present)) {
                continue;
            }
            if let Some(object) = self.state.get(&job).cloned() {
                self.release_reservation(&object);
            }
            self.end_without_word(member, &job, None, None, &AttemptOutcome::Lost);
        }
        Ok(Answer::Stored(self.state.get(&key).cloned().unwrap_or(cluster)))
    }

    /// Whether a job's attempt was granted to another incarnation of this member than the present one.
    fn is_left_behind(&self, job: &Key, member: &MemberName, present: &Incarnation) -> bool {
        let attempt = self.state.get(job).and_then(|object| object.job()?.attempt.as_deref());
        let of_member = attempt.filter(|attempt| attempt.assignment.member == *member);
        of_member.is_some_and(|attempt| attempt.incarnation.as_ref() != Some(present))
    }

    fn end_without_word(
        &mut self,
        member: &MemberName,
        key: &Key,
        epoch: Option<Epoch>,
        policy: Option<PartitionPolicy>,
        outcome: &AttemptOutcome,
    ) {
        let Some(object) = self.state.get(key).cloned() else { return };
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_deref()) else { return };
        let meant = attempt.assignment.member == *member
            && epoch.is_none_or(|epoch| epoch == attempt.epoch)
            && policy.is_none_or(|policy| policy == attempt.assignment.policy.partition);
        if meant {
            self.end(&object, &Ending { outcome: outcome.clone(), exit_code: None, at: self.time });
        }
    }
}

fn is_in_contact(status: &ClusterStatus) -> bool {
    matches!(status.ready, Readiness::Ready { .. })
}
