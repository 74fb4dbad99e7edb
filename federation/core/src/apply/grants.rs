//! Attempts that are over without their member's word: fenced by their deadline, or declared lost. Apply compares no times
//! here: whoever proposed it did the waiting.

use muster_model::{
    Answer, AttemptOutcome, AuditVerb, Epoch, FenceReason, Key, MemberName, PartitionPolicy, Principal,
    Rejection,
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

    /// An operator says that nothing of this member is alive.
    pub(super) fn declare_lost(
        &mut self,
        member: &MemberName,
        principal: &Principal,
    ) -> Result<Answer, Rejection> {
        let key = Key::cluster(member.as_str());
        let found = self.find(&key);
        let cluster = self.audit(principal, AuditVerb::DeclareLost, &key, found)?;
        let jobs: Vec<Key> = self.state.jobs_on(member).cloned().collect();
        for job in jobs {
            if let Some(object) = self.state.get(&job).cloned() {
                self.release_reservation(&object);
            }
            self.end_without_word(member, &job, None, None, &AttemptOutcome::Lost);
        }
        Ok(Answer::Stored(self.state.get(&key).cloned().unwrap_or(cluster)))
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
