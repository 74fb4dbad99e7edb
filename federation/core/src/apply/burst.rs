//! Burst pools: intents come, take their steps, and are booked. What is not a legal step is refused, whoever proposes it.

use std::sync::Arc;

use muster_model::{
    Answer, AuditVerb, BurstCommand, BurstPool, EventSeverity, Intent, IntentId, IntentPhase, IntentStep,
    Key, Kind, MemberName, MicroUsd, Object, PoolCondition, Principal, Propagation, Rejection, Status, Uid,
    kinds,
};

use super::Step;
use crate::digest::hash128;

/// Intents that are over and still shown.
const OVER_MAX: usize = 16;

impl Step<'_> {
    /// Does it.
    pub(super) fn burst(&mut self, command: &BurstCommand) -> Result<Answer, Rejection> {
        match command {
            BurstCommand::Request { pool, uid, hourly, because } => {
                self.request_member(pool, *uid, *hourly, because)
            }
            BurstCommand::Step(step) => self.step_intent(step),
            BurstCommand::Destroy { pool, member, principal } => {
                self.want_gone(pool, member.as_ref(), principal)
            }
            BurstCommand::Tell { pool, condition } => self.tell_pool(pool, condition),
        }
    }

    fn request_member(
        &mut self,
        key: &Key,
        uid: Uid,
        hourly: MicroUsd,
        because: &Arc<str>,
    ) -> Result<Answer, Rejection> {
        let (there, pool) = self.find_pool(key)?;
        if there.meta.uid != uid {
            return Err(Rejection::UidChanged { key: key.clone(), expected: uid, found: there.meta.uid });
        }
        if there.meta.deletion.is_some() {
            return Err(Rejection::Forbidden(key.clone(), "the pool is being deleted"));
        }
        if pool.active().count() >= pool.spec.max as usize && !muster_model::mutant!(burst_beyond_max) {
            return Err(Rejection::TooMany { what: "members of the pool", limit: pool.spec.max.into() });
        }
        let intent = self.new_intent(&there, hourly, because);
        let message = format!("Asked for {} at ${}/h: {because}", intent.member, intent.hourly);
        let object = self.change_pool(&there, |pool| pool.status.intents.push(intent));
        self.note(&object, "MemberRequested", &message, EventSeverity::Normal);
        Ok(Answer::Stored(object))
    }

    /// Numbered by the pool and the revision that makes it, so that every replica gives the same number and none comes twice.
    fn new_intent(&self, pool: &Object, hourly: MicroUsd, because: &Arc<str>) -> Intent {
        let id = IntentId(hash128(&(pool.meta.uid, self.next_revision())) as u64);
        Intent {
            id,
            member: MemberName::new(format!("{}-{}", pool.key.name, &id.to_string()[..8])),
            phase: IntentPhase::Requested,
            since: self.time,
            requested_at: self.time,
            billed_from: None,
            hourly,
            cost: MicroUsd(0),
            unwanted: false,
            failure: None,
            because: Arc::clone(because),
        }
    }

    fn step_intent(&mut self, step: &IntentStep) -> Result<Answer, Rejection> {
        let (there, pool) = self.find_pool(&step.pool)?;
        let intent = pool.intent(step.intent).ok_or_else(|| Rejection::NotFound(step.pool.clone()))?;
        let is_legal = intent.phase == step.from && step.from.may_become(step.to);
        if !is_legal && !muster_model::mutant!(burst_any_step) {
            let reason = format!(
                "{} is {}, so that it cannot become {} from {}",
                intent.member,
                intent.phase.as_str(),
                step.to.as_str(),
                step.from.as_str()
            );
            return Err(Rejection::Invalid { field: "phase", reason: reason.into() });
        }
        let failed = intent.failure.is_some() || step.failure.is_some();
        if step.to == IntentPhase::Gone && failed || step.to == IntentPhase::Failed && !failed {
            let reason = "an intent ends as Failed if it has a failure, and else as Gone";
            return Err(Rejection::Invalid { field: "phase", reason: reason.into() });
        }
        let member = intent.member.clone();
        if step.to == IntentPhase::Destroying && self.state.jobs_on(&member).next().is_some() {
            let reason = format!("{member} has jobs: it is removed when they are over");
            return Err(Rejection::Invalid { field: "phase", reason: reason.into() });
        }
        self.follow_member(&member, step.to);
        let now = self.time;
        let object = self.change_pool(&there, |pool| advance(pool, step, now));
        self.tell_step(&object, step, &member);
        if step.to.is_over() {
            self.remove_if_free(&object.key);
        }
        Ok(Answer::Stored(object))
    }

    /// The member's own object: it gets no new jobs from the first step towards its end, and goes with the last one.
    fn follow_member(&mut self, member: &MemberName, to: IntentPhase) {
        match to {
            IntentPhase::Draining | IntentPhase::Destroying => {
                self.change_member(member, |cluster| cluster.status.draining = true);
                self.drop_join_tokens(member);
            }
            IntentPhase::Gone | IntentPhase::Failed => {
                if let Some(cluster) = self.state.get(&Key::cluster(member.as_str())).cloned() {
                    self.start_deletion(&cluster, Propagation::Background, None);
                }
            }
            _ => {}
        }
    }

    /// What is on its way out cannot join any more.
    fn drop_join_tokens(&mut self, member: &MemberName) {
        let is_its = |object: &&Arc<Object>| match &object.status {
            Status::JoinToken(token) => token.member == *member,
            _ => false,
        };
        let tokens = self.state.list(&Kind::new(kinds::JOIN_TOKEN), None, None).filter(is_its);
        let keys: Vec<Key> = tokens.map(|object| object.key.clone()).collect();
        keys.iter().for_each(|key| drop(self.remove(key)));
    }

    fn tell_step(&mut self, object: &Object, step: &IntentStep, member: &MemberName) {
        let intent = object.burst_pool().and_then(|pool| pool.intent(step.intent));
        let cost = intent.map(|intent| intent.cost).unwrap_or_default();
        let failure = step.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let (reason, message) = match step.to {
            IntentPhase::Requested => return,
            IntentPhase::Applying => ("Applying", format!("Terraform makes {member}")),
            IntentPhase::Joining => ("Joining", format!("{member} was made; its agent is to join")),
            IntentPhase::Ready => ("MemberReady", format!("{member} takes jobs")),
            IntentPhase::Draining => ("Draining", format!("{member} gets no new jobs{failure}")),
            IntentPhase::Destroying => ("Destroying", format!("Terraform removes {member}{failure}")),
            IntentPhase::Gone => ("MemberGone", format!("{member} is gone; it cost ${cost}")),
            IntentPhase::Failed => {
                ("MemberFailed", format!("{member} came to nothing and is gone; it cost ${cost}"))
            }
        };
        let is_bad = step.failure.is_some() || step.to == IntentPhase::Failed;
        let severity = if is_bad { EventSeverity::Warning } else { EventSeverity::Normal };
        self.note(object, reason, &message, severity);
    }

    fn want_gone(
        &mut self,
        key: &Key,
        member: Option<&MemberName>,
        principal: &Principal,
    ) -> Result<Answer, Rejection> {
        let result = self.mark_unwanted(key, member);
        self.audit(principal, AuditVerb::Update, key, result)
    }

    fn mark_unwanted(&mut self, key: &Key, member: Option<&MemberName>) -> Result<Answer, Rejection> {
        let (there, pool) = self.find_pool(key)?;
        let is_meant =
            |intent: &Intent| !intent.phase.is_over() && member.is_none_or(|m| *m == intent.member);
        if member.is_some() && !pool.active().any(is_meant) {
            let reason = "the pool has no such member; `muster burst list` shows those it has";
            return Err(Rejection::Invalid { field: "member", reason: reason.into() });
        }
        let object = self.change_pool(&there, |pool| {
            pool.status.intents.iter_mut().filter(|i| is_meant(i)).for_each(|intent| intent.unwanted = true);
        });
        Ok(Answer::Stored(object))
    }

    fn tell_pool(&mut self, key: &Key, told: &PoolCondition) -> Result<Answer, Rejection> {
        let (there, pool) = self.find_pool(key)?;
        let before = pool.condition(told.kind).cloned();
        let same_side = before.as_ref().filter(|before| before.holds == told.holds);
        let condition =
            PoolCondition { since: same_side.map_or(self.time, |before| before.since), ..told.clone() };
        let object = self.change_pool(&there, |pool| {
            pool.status.conditions.retain(|other| other.kind != condition.kind);
            pool.status.conditions.push(condition);
            pool.status.conditions.sort_by_key(|condition| condition.kind);
        });
        let is_news =
            before.is_none_or(|before| (before.holds, &before.reason) != (told.holds, &told.reason));
        if is_news && !told.holds {
            self.note(&object, &told.reason, &told.message, EventSeverity::Warning);
        }
        Ok(Answer::Stored(object))
    }

    fn find_pool(&self, key: &Key) -> Result<(Arc<Object>, BurstPool), Rejection> {
        let object = self.find(key)?;
        let pool = object.burst_pool().cloned().ok_or_else(|| Rejection::NotFound(key.clone()))?;
        Ok((object, pool))
    }

    /// Stores a pool that `change` changed; nothing if it did not.
    fn change_pool(&mut self, there: &Arc<Object>, change: impl FnOnce(&mut BurstPool)) -> Arc<Object> {
        let mut object = Object::clone(there);
        let Status::BurstPool(pool) = &mut object.status else { return Arc::clone(there) };
        change(pool);
        if object == **there { Arc::clone(there) } else { self.store(object) }
    }
}

/// Takes the step in the pool's books.
fn advance(pool: &mut BurstPool, step: &IntentStep, now: muster_model::TimeMs) {
    let status = &mut pool.status;
    let Some(intent) = status.intents.iter_mut().find(|intent| intent.id == step.intent) else { return };
    intent.phase = step.to;
    intent.since = now;
    if step.failure.is_some() {
        intent.failure.clone_from(&step.failure);
    }
    match step.to {
        IntentPhase::Applying => intent.billed_from = Some(now),
        IntentPhase::Gone | IntentPhase::Failed => {
            let billed = intent.billed_from.map(|from| now.since(from));
            intent.cost = billed.map(|time| intent.hourly.for_duration(time)).unwrap_or_default();
            status.booked += intent.cost;
            if step.to == IntentPhase::Failed {
                status.failures = status.failures.saturating_add(1);
                status.failed_at = now;
            } else if billed.is_some() {
                status.failures = 0;
            }
        }
        _ => {}
    }
    let over = status.intents.iter().filter(|intent| intent.phase.is_over()).count();
    let mut surplus = over.saturating_sub(OVER_MAX);
    status.intents.retain(|intent| {
        let goes = surplus > 0 && intent.phase.is_over();
        surplus -= usize::from(goes);
        !goes
    });
}
