//! The part of a replica that concerns its group: changes of membership and of leadership.

use bytes::Bytes;
use raft::StateRole;
use raft::eraftpb::{Entry, EntryType};

use super::{Refusal, Replica, Role, Settled, convert};
use crate::ids::{ReplicaId, Token};
use crate::membership::{Membership, MembershipChange};

impl Replica {
    /// Propose one step of change of the group. Its end is in a later output, exactly once.
    pub fn change(&mut self, token: Token, change: MembershipChange) {
        if let Some(refusal) = self.refuse_change(change) {
            self.settled.push((token, Settled::Refused(refusal)));
            return;
        }
        // What was proposed before comes before.
        self.flush_proposals();
        let mut entry = Entry::default();
        entry.set_entry_type(EntryType::EntryConfChange);
        entry.data = convert::conf_change_bytes(&convert::conf_change(change));
        self.propose_entries(vec![token], vec![entry]);
    }

    /// Hand leadership over, to the voter that is furthest if none is named. Only a leader can. Returns to whom.
    pub fn transfer(&mut self, to: Option<ReplicaId>) -> Option<ReplicaId> {
        if !self.is_leader() {
            return None;
        }
        self.flush_proposals();
        let to = to.filter(|to| *to != self.id).or_else(|| self.furthest_voter())?;
        self.node.transfer_leader(to.get());
        self.after_step();
        Some(to)
    }

    /// Keep this replica from leading, or let it again: for one whose clock cannot be trusted. It goes on voting and
    /// following; if it leads, it hands over.
    pub fn hold_back(&mut self, held: bool) {
        self.held_back = held;
        if held {
            self.transfer(None);
        }
    }

    /// The group as of the last applied entry.
    pub fn membership(&self) -> Membership {
        let state = self.node.raft.prs().conf().to_conf_state();
        convert::membership(&state).expect("joint configurations are never entered")
    }

    pub(super) fn role(&self) -> Role {
        match self.node.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if self.node.raft.promotable() => Role::Follower,
            StateRole::Follower => Role::Learner,
        }
    }

    /// Apply a committed change. One that cannot be applied is skipped, alike on every replica.
    pub(super) fn change_membership(&mut self, bytes: &Bytes) -> Membership {
        match convert::parse_conf_change(bytes) {
            Some(change) => {
                if let Err(error) = self.node.apply_conf_change(&change) {
                    tracing::warn!(%error, "a committed change of membership was skipped");
                }
            }
            None => tracing::warn!("a committed change of membership cannot be read and was skipped"),
        }
        self.step_down_if_removed();
        self.after_step();
        self.membership()
    }

    /// A leader can be removed by a change that an earlier leader proposed. Raft would let it lead on, unable to
    /// propose, and panic at its next commit: it steps down at once and tells the furthest voter to take over.
    fn step_down_if_removed(&mut self) {
        if !self.is_leader() || self.node.raft.prs().get(self.id.get()).is_some() {
            return;
        }
        if let Some(successor) = self.furthest_voter() {
            self.node.raft.send_timeout_now(successor.get());
        }
        let term = self.node.raft.term;
        self.node.raft.become_follower(term, raft::INVALID_ID);
    }

    fn refuse_change(&self, change: MembershipChange) -> Option<Refusal> {
        if let Some(refusal) = self.refuse_unless_leading() {
            return Some(refusal);
        }
        if self.node.raft.has_pending_conf() {
            return Some(Refusal::ChangeInProgress);
        }
        let group = self.membership();
        let id = change.replica();
        match change {
            MembershipChange::AddLearner(_) if group.contains(id) => {
                Some(Refusal::ImpossibleChange("the replica is in the group already"))
            }
            MembershipChange::Promote(_) if !group.learners.contains(&id) => {
                Some(Refusal::ImpossibleChange("only a learner can be promoted; add it as a learner first"))
            }
            MembershipChange::Promote(_) => self.refuse_laggard(id),
            MembershipChange::Remove(_) if !group.contains(id) => {
                Some(Refusal::ImpossibleChange("the replica is not in the group"))
            }
            MembershipChange::Remove(_) if id == self.id => {
                Some(Refusal::ImpossibleChange("the leader is not removed; hand leadership over first"))
            }
            MembershipChange::AddLearner(_) | MembershipChange::Remove(_) => None,
        }
    }

    fn refuse_laggard(&self, id: ReplicaId) -> Option<Refusal> {
        let matched = self.node.raft.prs().get(id.get()).map_or(0, |progress| progress.matched);
        let entries = self.node.raft.raft_log.last_index().saturating_sub(matched);
        (entries > self.limits.max_promotion_lag).then_some(Refusal::NotCaughtUp { replica: id, entries })
    }

    fn furthest_voter(&self) -> Option<ReplicaId> {
        let voters = self.membership().voters.into_iter().filter(|id| *id != self.id);
        let progress =
            voters.filter_map(|id| self.node.raft.prs().get(id.get()).map(|progress| (progress, id)));
        let furthest = progress.max_by_key(|(progress, id)| (progress.recent_active, progress.matched, *id));
        furthest.map(|(_, id)| id)
    }
}
