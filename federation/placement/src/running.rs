//! The attempts that hold Nodes of a member, and when they end at the latest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_model::{Attempt, DurationMs, Job, Key, MemberName, Object, TimeMs};

/// Attempts by member.
#[derive(Clone, Debug, Default)]
pub struct Running {
    by_member: BTreeMap<MemberName, BTreeMap<Key, Arc<Object>>>,
    members: BTreeMap<Key, MemberName>,
}

impl Running {
    /// Takes in what became of a job. Gives the attempts that changed: the one it had and the one it has.
    pub fn set(&mut self, key: &Key, object: Option<&Arc<Object>>) -> [Option<Arc<Object>>; 2] {
        let had = self.members.remove(key).and_then(|member| self.remove(&member, key));
        let has = object.filter(|object| attempt(object).is_some());
        if let Some((object, attempt)) = has.and_then(|object| Some((object, attempt(object)?))) {
            let member = attempt.assignment.member.clone();
            self.by_member.entry(member.clone()).or_default().insert(key.clone(), Arc::clone(object));
            self.members.insert(key.clone(), member);
        }
        [had, has.cloned()]
    }

    /// The jobs that run on some of these Nodes of a member. O(attempts there)
    pub fn on<'a>(
        &'a self,
        member: &MemberName,
        nodes: &'a BTreeSet<u32>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let all = self.by_member.get(member).into_iter().flat_map(BTreeMap::values);
        all.filter(|object| attempt(object).is_some_and(|attempt| touches(attempt, nodes)))
    }

    fn remove(&mut self, member: &MemberName, key: &Key) -> Option<Arc<Object>> {
        let there = self.by_member.get_mut(member)?;
        let had = there.remove(key);
        if there.is_empty() {
            self.by_member.remove(member);
        }
        had
    }
}

/// The attempt of a job that may be alive.
pub fn attempt(object: &Object) -> Option<&Attempt> {
    object.job()?.attempt.as_deref()
}

/// Whether an attempt holds some of these Nodes.
pub fn touches(attempt: &Attempt, nodes: &BTreeSet<u32>) -> bool {
    attempt.assignment.claims.iter().any(|claim| nodes.contains(&claim.node))
}

/// When a job's attempt is over at the latest. `None` if nothing bounds it.
pub fn ends_at(job: &Job) -> Option<TimeMs> {
    let began = job.start_time.or(job.attempt.as_ref().map(|attempt| attempt.granted_at))?;
    let bound: DurationMs = job.spec.active_deadline?;
    Some(began.plus(bound).plus(job.spec.grace))
}
