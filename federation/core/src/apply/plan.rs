//! A placement plan, checked assignment by assignment against the state as it is now. What no longer fits is rejected with a
//! reason and planned again.

use std::sync::Arc;

use muster_model::{
    Answer, Assignment, Attempt, AttemptState, Cluster, ClusterStatus, Epoch, EventSeverity, Eviction,
    Incarnation, Job, JobPhase, Key, MemberName, Object, PartitionPolicy, Plan, PlanAnswer, PodClaim,
    Readiness, Reservation, Resources, Status, StopReason, Uid,
};

use super::Step;

impl Step<'_> {
    /// Evicts, then grants or reserves what still fits.
    pub(super) fn commit_plan(&mut self, plan: &Plan) -> Answer {
        for eviction in &plan.evictions {
            self.evict(eviction);
        }
        let mut answer = PlanAnswer::default();
        for (key, uid, assignment) in &plan.assignments {
            match self.assign(key, *uid, assignment) {
                Ok(()) => answer.placed += 1,
                Err(reason) => answer.rejected.push((key.clone(), reason)),
            }
        }
        Answer::Planned(answer)
    }

    pub(super) fn evict(&mut self, eviction: &Eviction) {
        let Some(object) = self.state.get(&eviction.job).cloned() else { return };
        let Some(job) = object.job() else { return };
        if job.attempt.as_ref().is_none_or(|attempt| attempt.epoch != eviction.epoch) {
            return;
        }
        let now = self.time;
        let object = self.change_job(&object, |job| {
            stop(job, now);
            if job.phase == JobPhase::Active {
                job.phase = JobPhase::Queued;
                job.queued_at = now;
            }
        });
        self.note(&object, "Moved", &eviction.message, EventSeverity::Normal);
    }

    fn assign(&mut self, key: &Key, uid: Uid, assignment: &Assignment) -> Result<(), &'static str> {
        let object = self.state.get(key).cloned().ok_or("the job is gone")?;
        let job = object.job().ok_or("not a job")?;
        if object.meta.uid != uid {
            return Err("another job has this name now");
        }
        if object.meta.deletion.is_some() || job.phase != JobPhase::Queued {
            return Err("the job does not wait any more");
        }
        check_claims(job, assignment)?;
        self.check_member(assignment)?;
        self.check_data(key, assignment)?;
        let after = self.attempts_in_the_way(job, key, assignment);
        if after.is_empty() {
            self.take_claims(&assignment.member, assignment)?;
            self.grant(&object, assignment.clone());
            return Ok(());
        }
        let held = self.take_claims(&assignment.member, assignment).is_ok();
        let assignment = Assignment { after, ..assignment.clone() };
        let expires = self.time.plus(Plan::RESERVATION_TTL);
        self.change_job(&object, |job| {
            job.phase = JobPhase::Reserved(Box::new(Reservation { assignment, expires, held }))
        });
        Ok(())
    }

    fn check_member(&self, assignment: &Assignment) -> Result<(), &'static str> {
        let object = self.state.get(&Key::cluster(assignment.member.as_str())).ok_or("the member is gone")?;
        let cluster = object.cluster().ok_or("the member is gone")?;
        if cluster.is_cordoned() {
            return Err("the member is cordoned");
        }
        if !matches!(cluster.status.ready, Readiness::Ready { .. }) {
            return Err("the member is not ready");
        }
        if assignment.policy.partition == PartitionPolicy::Fence && !cluster.status.can_fence {
            return Err("the member cannot fence");
        }
        Ok(())
    }

    /// Attempts that must end first: those the plan named, and the job's own.
    fn attempts_in_the_way(&self, job: &Job, key: &Key, assignment: &Assignment) -> Vec<(Key, Epoch)> {
        let own = job.attempt.iter().filter(|_| !muster_model::mutant!(grant_while_live));
        let own = own.map(|attempt| (key.clone(), attempt.epoch));
        let mut after: Vec<_> = assignment.after.iter().cloned().chain(own).collect();
        after.retain(|(key, epoch)| self.is_live(key, *epoch));
        after.sort();
        after.dedup();
        after
    }

    pub(super) fn is_live(&self, key: &Key, epoch: Epoch) -> bool {
        let attempt = self.state.get(key).and_then(|object| object.job()?.attempt.as_deref());
        attempt.is_some_and(|attempt| attempt.epoch == epoch)
    }

    /// Gives a job whose claims are taken its grant under a new epoch.
    pub(super) fn grant(&mut self, object: &Object, mut assignment: Assignment) {
        let epoch = Epoch::new(self.state.generation, self.next_revision());
        let fetches = self.data_to_fetch(&object.key, &mut assignment);
        let now = self.time;
        let member = assignment.member.clone();
        let because = Arc::clone(&assignment.because);
        let holder = self.holder_of(&member);
        let object = self.change_job(object, |job| {
            assert!(
                job.attempt.is_none() || muster_model::mutant!(grant_while_live),
                "one live attempt of a job"
            );
            job.attempt = Some(Box::new(Attempt {
                epoch,
                assignment,
                granted_at: now,
                incarnation: holder,
                state: AttemptState::Granted,
            }));
            job.phase = JobPhase::Active;
            job.attempts += 1;
            job.start_time.get_or_insert(now);
        });
        self.open_run(&object);
        self.open_transfers(&object.key, epoch, fetches);
        self.note(&object, "Placed", &format!("Placed on {member}: {because}"), EventSeverity::Normal);
    }

    /// The incarnation that a grant on this member is made to. Only that one may run the attempt: a second incarnation
    /// cannot know whether the first has started it, reported or not.
    fn holder_of(&self, member: &MemberName) -> Option<Incarnation> {
        self.state.get(&Key::cluster(member.as_str()))?.cluster()?.status.incarnation.clone()
    }

    /// After an attempt ended: reservations that waited for nothing else are granted.
    pub(super) fn grant_reserved(&mut self) {
        let reserved: Vec<Key> = self.state.indexes.reserved.iter().cloned().collect();
        for key in reserved {
            self.grant_if_free(&key);
        }
    }

    fn grant_if_free(&mut self, key: &Key) {
        let Some(object) = self.state.get(key).cloned() else { return };
        let Some(Job { phase: JobPhase::Reserved(reservation), .. }) = object.job() else { return };
        if reservation.assignment.after.iter().any(|(key, epoch)| self.is_live(key, *epoch)) {
            return;
        }
        let assignment = Assignment { after: Vec::new(), ..reservation.assignment.clone() };
        let takes = self.check_member(&assignment).is_ok()
            && self.check_data(key, &assignment).is_ok()
            && (reservation.held || self.take_claims(&assignment.member, &assignment).is_ok());
        if takes {
            self.grant(&object, assignment);
        } else {
            self.release_reservation(&object);
        }
    }

    /// Drops a job's reservation, if it has one: the job waits again, and what it held is free.
    pub(super) fn release_reservation(&mut self, object: &Object) {
        let Some(object) = self.state.get(&object.key).cloned() else { return };
        let Some(Job { phase: JobPhase::Reserved(reservation), .. }) = object.job() else { return };
        let now = self.time;
        self.change_job(&object, |job| {
            job.phase = JobPhase::Queued;
            job.queued_at = now;
        });
        if reservation.held {
            self.give_claims(&reservation.assignment);
        }
    }

    fn take_claims(&mut self, member: &MemberName, assignment: &Assignment) -> Result<(), &'static str> {
        let mut fits = Ok(());
        self.change_member(member, |cluster| {
            let mut nodes = cluster.status.nodes.clone();
            for (node, amount) in claimed(assignment) {
                if !nodes.take(node, &amount) {
                    fits = Err("the claimed Node has not so much free any more");
                    return;
                }
            }
            cluster.status.nodes = nodes;
        });
        fits
    }

    /// Gives the claims of an attempt or reservation back, after the job let go of it.
    pub(super) fn give_claims(&mut self, assignment: &Assignment) {
        let overcommitted = self
            .state
            .get(&Key::cluster(assignment.member.as_str()))
            .is_some_and(|object| object.cluster().is_some_and(|cluster| cluster.status.overcommitted));
        let held = if overcommitted { self.held_on(&assignment.member) } else { Vec::new() };
        self.change_member(&assignment.member, |cluster| {
            if overcommitted {
                recount(&mut cluster.status, &held);
                return;
            }
            for (node, amount) in claimed(assignment) {
                cluster.status.nodes.give(node, &amount);
            }
        });
    }

    /// What the jobs on a member hold of which Node.
    pub(super) fn held_on(&self, member: &MemberName) -> Vec<(u32, Resources)> {
        let jobs = self.state.jobs_on(member).filter_map(|key| self.state.get(key)?.job());
        jobs.flat_map(|job| held_assignments(job, member).flat_map(claimed)).collect()
    }

    /// Stores a member changed by `change`, if it is there and the change changes it.
    pub(super) fn change_member(
        &mut self,
        member: &MemberName,
        change: impl FnOnce(&mut Cluster),
    ) -> Option<Arc<Object>> {
        let there = self.state.get(&Key::cluster(member.as_str())).cloned()?;
        let mut object = Object::clone(&there);
        let Status::Cluster(cluster) = &mut object.status else { return None };
        change(cluster);
        if object.status == there.status { Some(there) } else { Some(self.store(object)) }
    }
}

fn stop(job: &mut Job, now: muster_model::TimeMs) {
    super::jobs::stop(job, StopReason::Evicted, now);
}

/// The assignments of a job that hold claims on this member.
fn held_assignments<'a>(job: &'a Job, member: &'a MemberName) -> impl Iterator<Item = &'a Assignment> {
    let attempt = job.attempt.as_ref().map(|attempt| &attempt.assignment);
    let reserved = match &job.phase {
        JobPhase::Reserved(reservation) if reservation.held => Some(&reservation.assignment),
        _ => None,
    };
    attempt.into_iter().chain(reserved).filter(move |assignment| assignment.member == *member)
}

/// Nodes made anew from the shapes, less what is held; claims that no longer fit are passed over and remembered.
pub(super) fn recount(status: &mut ClusterStatus, held: &[(u32, Resources)]) {
    let mut nodes = muster_model::Nodes::new(status.nodes.shapes.clone());
    let mut missing = false;
    for (node, amount) in held {
        missing |= !nodes.take(*node, amount);
    }
    status.nodes = nodes;
    status.overcommitted = missing;
}

/// What an assignment takes from which Node.
pub(crate) fn claimed(assignment: &Assignment) -> impl Iterator<Item = (u32, Resources)> + '_ {
    let amount = |claim: &PodClaim| {
        let request = assignment.requests.get(usize::from(claim.pod_set)).copied().unwrap_or_default();
        (claim.node, request.times(u64::from(claim.pods)))
    };
    assignment.claims.iter().map(amount)
}

/// A gang is placed whole or not at all (S8): claims cover each pod set exactly.
fn check_claims(job: &Job, assignment: &Assignment) -> Result<(), &'static str> {
    if assignment.requests.len() != job.spec.pod_sets.len() {
        return Err("the assignment does not say what each pod takes");
    }
    for (i, set) in job.spec.pod_sets.iter().enumerate() {
        let claims = assignment.claims.iter().filter(|claim| usize::from(claim.pod_set) == i);
        if claims.map(|claim| u64::from(claim.pods)).sum::<u64>() != u64::from(set.count) {
            return Err("the claims do not cover all pods");
        }
    }
    if assignment.claims.iter().any(|claim| usize::from(claim.pod_set) >= job.spec.pod_sets.len()) {
        return Err("a claim names no pod set of the job");
    }
    Ok(())
}
