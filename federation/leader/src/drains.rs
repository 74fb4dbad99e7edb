//! Members that are drained: what runs there is moved, as `kubectl drain` moves pods, a few attempts per entry.

use std::collections::BTreeSet;

use muster_core::State;
use muster_model::{AttemptState, Command, Eviction, Key, MemberName, Plan, TimeMs};

use crate::config::Config;
use crate::outbox::{Outbox, Purpose};

/// Attempts that one entry evicts at most.
const EVICTIONS_MAX: usize = 256;

/// Drained members, and whether there may be something to evict from them.
#[derive(Clone, Debug, Default)]
pub struct Drains {
    members: BTreeSet<MemberName>,
    changed: bool,
    under_way: bool,
    retry_at: Option<TimeMs>,
}

impl Drains {
    /// A member is drained, or not.
    pub fn set(&mut self, member: &MemberName, drained: bool) {
        let moved = if drained { self.members.insert(member.clone()) } else { self.members.remove(member) };
        self.changed |= moved;
    }

    /// A job changed: it may have come to a drained member.
    pub fn job_changed(&mut self) {
        self.changed |= !self.members.is_empty();
    }

    /// Proposes evictions if there is something to evict.
    pub fn run(&mut self, state: &State, now: TimeMs, out: &mut Outbox) {
        self.changed |= self.retry_at.take_if(|at| *at <= now).is_some();
        if self.under_way || !self.changed {
            return;
        }
        let found = self.members.iter().flat_map(|member| evictions(state, member));
        let evictions: Vec<Eviction> = found.take(EVICTIONS_MAX).collect();
        self.changed = evictions.len() == EVICTIONS_MAX;
        if !evictions.is_empty() {
            self.under_way = true;
            let plan = Plan { based_on: state.revision(), assignments: Vec::new(), evictions };
            out.propose(Purpose::Evict, Command::CommitPlan(plan));
        }
    }

    /// Evictions came to their end.
    pub fn done(&mut self, is_known: bool, now: TimeMs, config: &Config) {
        self.under_way = false;
        if !is_known {
            self.retry_at = Some(now.plus(config.retry));
        }
    }
}

/// The attempts on a member that nobody asked to end.
fn evictions(state: &State, member: &MemberName) -> impl Iterator<Item = Eviction> {
    let message = format!("{member} is drained");
    state.jobs_on(member).filter_map(move |key: &Key| {
        let attempt = state.get(key)?.job()?.attempt.as_deref()?;
        let goes_on = matches!(attempt.state, AttemptState::Granted | AttemptState::Running { .. });
        (goes_on && attempt.assignment.member == *member).then(|| Eviction {
            job: key.clone(),
            epoch: attempt.epoch,
            message: message.as_str().into(),
        })
    })
}
