//! Live attempts by member, and when those under `Fence` may count as dead.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{Attempt, Epoch, GrantPolicy, Incarnation, Key, MemberName, PartitionPolicy, TimeMs};

use crate::config::Config;

/// A grant: one live attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The job.
    pub job: Key,
    /// What happens out of contact.
    pub policy: GrantPolicy,
    /// Whom it was granted to. Only that incarnation is told to run it, and only its contact renews it.
    pub incarnation: Option<Incarnation>,
    /// From when its deadline counts: when the heartbeat arrived whose acknowledgement named it last; else when this
    /// leader saw it granted, or became leader.
    renewed: TimeMs,
    /// Its lapse was proposed: no acknowledgement names it any more, whatever becomes of the proposal.
    lapsing: bool,
}

/// All grants.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    by_member: BTreeMap<MemberName, BTreeMap<Epoch, Grant>>,
    by_job: BTreeMap<Key, (MemberName, Epoch)>,
    /// Attempts under `Fence` by when they may count as dead.
    due: BTreeSet<(TimeMs, MemberName, Epoch)>,
    /// Attempts under `DuplicateOk`.
    replaceable: BTreeSet<(MemberName, Epoch)>,
}

impl Grants {
    /// Takes in a job's live attempt, or that it has none. Gives the grants that may have changed.
    pub fn set(
        &mut self,
        job: &Key,
        attempt: Option<&Attempt>,
        seen: TimeMs,
        config: &Config,
    ) -> Vec<(MemberName, Epoch)> {
        let mut touched = Vec::new();
        let old = self.by_job.get(job).cloned();
        if let Some((member, epoch)) = old {
            let same = attempt.is_some_and(|a| a.epoch == epoch);
            touched.push((member.clone(), epoch));
            if same {
                let incarnation = attempt.and_then(|a| a.incarnation.clone());
                if let Some(grant) = self.get_mut(&member, epoch) {
                    grant.incarnation = incarnation;
                }
                return touched;
            }
            self.remove(job, &member, epoch, config);
        }
        if let Some(attempt) = attempt {
            touched.push((attempt.assignment.member.clone(), attempt.epoch));
            self.insert(job, attempt, seen, config);
        }
        touched
    }

    /// The live attempts of a member.
    pub fn of<'a>(&'a self, member: &MemberName) -> impl Iterator<Item = (Epoch, &'a Grant)> + use<'a> {
        self.by_member.get(member).into_iter().flatten().map(|(epoch, grant)| (*epoch, grant))
    }

    /// A live attempt.
    pub fn get(&self, member: &MemberName, epoch: Epoch) -> Option<&Grant> {
        self.by_member.get(member)?.get(&epoch)
    }

    /// The epochs that an acknowledgement to this incarnation names, which renews them as of when its heartbeat arrived.
    pub fn renew(
        &mut self,
        member: &MemberName,
        incarnation: &Incarnation,
        received: TimeMs,
        config: &Config,
    ) -> Vec<Epoch> {
        let Some(grants) = self.by_member.get_mut(member) else { return Vec::new() };
        let mut renewed = Vec::new();
        let is_named = |grant: &Grant| {
            grant.is_for(incarnation) && (!grant.lapsing || muster_model::mutant!(ack_names_lapsed))
        };
        for (epoch, grant) in grants.iter_mut().filter(|(_, grant)| is_named(grant)) {
            if let Some(due) = grant.due(config) {
                self.due.remove(&(due, member.clone(), *epoch));
            }
            if !muster_model::mutant!(fence_ignores_renewal) {
                grant.renewed = grant.renewed.max(received);
            }
            if let Some(due) = grant.due(config) {
                self.due.insert((due, member.clone(), *epoch));
            }
            renewed.push(*epoch);
        }
        renewed
    }

    /// Attempts whose deadline has passed by now, by member. Each is given once.
    pub fn take_due(&mut self, now: TimeMs) -> BTreeMap<MemberName, Vec<Epoch>> {
        let mut due: BTreeMap<MemberName, Vec<Epoch>> = BTreeMap::new();
        while self.due.first().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, member, epoch)) = self.due.pop_first() else { break };
            due.entry(member).or_default().push(epoch);
        }
        due
    }

    /// Attempts under `DuplicateOk`, by member.
    pub fn replaceable(&self) -> BTreeMap<MemberName, Vec<Epoch>> {
        let mut all: BTreeMap<MemberName, Vec<Epoch>> = BTreeMap::new();
        for (member, epoch) in &self.replaceable {
            all.entry(member.clone()).or_default().push(*epoch);
        }
        all
    }

    /// From now on no acknowledgement names this attempt. Gives its job.
    pub fn lapse(&mut self, member: &MemberName, epoch: Epoch) -> Option<Key> {
        let grant = self.get_mut(member, epoch)?;
        grant.lapsing = true;
        Some(grant.job.clone())
    }

    fn insert(&mut self, job: &Key, attempt: &Attempt, seen: TimeMs, config: &Config) {
        let member = attempt.assignment.member.clone();
        let grant = Grant {
            job: job.clone(),
            policy: attempt.assignment.policy,
            incarnation: attempt.incarnation.clone(),
            renewed: seen,
            lapsing: false,
        };
        if let Some(due) = grant.due(config) {
            self.due.insert((due, member.clone(), attempt.epoch));
        }
        if grant.policy.partition == PartitionPolicy::DuplicateOk {
            self.replaceable.insert((member.clone(), attempt.epoch));
        }
        self.by_job.insert(job.clone(), (member.clone(), attempt.epoch));
        self.by_member.entry(member).or_default().insert(attempt.epoch, grant);
    }

    fn remove(&mut self, job: &Key, member: &MemberName, epoch: Epoch, config: &Config) {
        self.by_job.remove(job);
        self.replaceable.remove(&(member.clone(), epoch));
        let Some(grants) = self.by_member.get_mut(member) else { return };
        if let Some(due) = grants.remove(&epoch).and_then(|grant| grant.due(config)) {
            self.due.remove(&(due, member.clone(), epoch));
        }
        if grants.is_empty() {
            self.by_member.remove(member);
        }
    }

    fn get_mut(&mut self, member: &MemberName, epoch: Epoch) -> Option<&mut Grant> {
        self.by_member.get_mut(member)?.get_mut(&epoch)
    }
}

impl Grant {
    /// Whether this incarnation may run it.
    pub fn is_for(&self, incarnation: &Incarnation) -> bool {
        self.incarnation.as_ref().is_none_or(|holder| holder == incarnation)
    }

    /// Whether this incarnation shall run it. Not once its lapse was proposed: a member that has not started it yet must
    /// not start it beside the next one.
    pub fn is_wanted_of(&self, incarnation: &Incarnation) -> bool {
        self.is_for(incarnation) && !self.lapsing
    }

    /// Whether its lapse was proposed.
    pub fn is_lapsing(&self) -> bool {
        self.lapsing
    }

    /// When it may count as dead, under `Fence`.
    fn due(&self, config: &Config) -> Option<TimeMs> {
        let fences = self.policy.partition == PartitionPolicy::Fence;
        fences.then(|| self.renewed.plus(config.fence_wait(self.policy.fence_after)))
    }
}
