//! From a proposal to its place in the log, and how followers hear that it is committed.
//!
//! ```text
//! propose --> waiting --> [ a round: one append, one message to each follower ] --> committed
//!                ^                                                                     |
//!                +---- while two rounds are under way, the next one gathers <----------+
//! ```
//!
//! One client alone never waits. Many share rounds: each costs every replica an fsync, messages and the waking of threads.
//! Followers hear of a new commit index with the entries of the next round, or at once if there is none.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};

use super::{Refusal, Replica, Settled};
use crate::entry::LogPosition;
use crate::ids::{ReplicaId, Token};

/// Rounds under way. With one, the leader's disk rests while followers write; with more, they become small.
const ROUNDS_MAX: usize = 2;

/// What a leader was asked to append, and how far that is.
#[derive(Default)]
pub(super) struct Proposals {
    waiting: Vec<(Token, Bytes)>,
    waiting_bytes: usize,
    /// The last index of each round that is not committed.
    rounds: VecDeque<u64>,
    /// The commit index that was sent to the followers.
    announced: u64,
}

impl Proposals {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Leadership was won or lost: what is under way is no longer waited for.
    pub(super) fn forget_rounds(&mut self) {
        self.rounds.clear();
    }

    pub(super) fn take_waiting(&mut self) -> Vec<(Token, Bytes)> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

impl Replica {
    /// Propose an entry. Its end is in a later output, exactly once.
    pub fn propose(&mut self, token: Token, bytes: Bytes) {
        if let Some(refusal) = self.refuse_proposal(bytes.len()) {
            self.settled.push((token, Settled::Refused(refusal)));
            return;
        }
        self.proposals.waiting_bytes += bytes.len();
        self.proposals.waiting.push((token, bytes));
    }

    /// Begin a round with what waits, if it is time for one, and see that followers hear of what is committed.
    pub(super) fn work_on_proposals(&mut self) {
        let committed = self.node.raft.raft_log.committed;
        let rounds = &mut self.proposals.rounds;
        while rounds.pop_front_if(|last| *last <= committed).is_some() {}
        let is_full = rounds.len() >= ROUNDS_MAX;
        let is_large = self.proposals.waiting_bytes as u64 >= self.limits.max_append_bytes;
        if !self.is_leader() || is_large || !is_full {
            self.flush_proposals();
        }
        if self.is_leader() && committed > self.proposals.announced {
            self.node.raft.bcast_append();
        }
        self.proposals.announced = committed;
    }

    /// Hand all that waits to raft as one message, or refuse it if this replica does not lead.
    pub(super) fn flush_proposals(&mut self) {
        if self.proposals.waiting.is_empty() {
            return;
        }
        let (tokens, payloads): (Vec<Token>, Vec<Bytes>) = self.proposals.take_waiting().into_iter().unzip();
        if let Some(refusal) = self.refuse_unless_leading() {
            self.settled.extend(tokens.into_iter().map(|token| (token, Settled::Refused(refusal.clone()))));
            return;
        }
        let entries = payloads.into_iter().map(|bytes| Entry { data: bytes, ..Entry::default() });
        self.propose_entries(tokens, entries.collect());
    }

    pub(super) fn propose_entries(&mut self, tokens: Vec<Token>, entries: Vec<Entry>) {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.id.get();
        message.set_entries(entries.into());
        let before = self.node.raft.raft_log.last_index();
        match self.node.raft.step(message) {
            Ok(()) => {
                let term = self.node.raft.term;
                self.proposals.rounds.push_back(self.node.raft.raft_log.last_index());
                self.proposals.announced = self.node.raft.raft_log.committed;
                for (index, token) in (before + 1..).zip(tokens) {
                    self.pending.insert(LogPosition { index, term }, token);
                }
            }
            Err(_) => {
                let refused = tokens.into_iter().map(|token| (token, Settled::Refused(Refusal::Busy)));
                self.settled.extend(refused);
            }
        }
        self.after_step();
    }

    fn refuse_proposal(&self, bytes: usize) -> Option<Refusal> {
        if let Some(refusal) = self.refuse_unless_leading() {
            return Some(refusal);
        }
        let in_flight = self.node.raft.uncommitted_size() + self.proposals.waiting_bytes;
        match bytes {
            0 => Some(Refusal::Empty),
            _ if bytes > self.limits.max_entry_bytes => {
                Some(Refusal::TooLarge { bytes, max: self.limits.max_entry_bytes })
            }
            _ if in_flight > 0 && in_flight + bytes > self.limits.max_uncommitted_bytes => {
                Some(Refusal::Busy)
            }
            _ => None,
        }
    }

    pub(super) fn refuse_unless_leading(&self) -> Option<Refusal> {
        if !self.is_leader() {
            return Some(Refusal::NotLeader { leader: ReplicaId::new(self.node.raft.leader_id) });
        }
        let to = self.node.raft.lead_transferee.and_then(ReplicaId::new);
        to.map(|to| Refusal::HandingOver { to })
    }
}
