//! A follower that lost its log, because its folder was replaced by an empty or an older one.
//!
//! ```text
//!  leader                                  follower
//!    | heartbeat: committed 30 of yours      |  its log ends at 1
//!    |-------------------------------------->|  takes the leader, not the index
//!    |        rejection: my log ends at 1    |
//!    |<--------------------------------------|
//!    | forgets what was acknowledged, probes |
//!    | entries from 2, or a snapshot         |
//!    |-------------------------------------->|
//! ```
//!
//! Left to itself, the raft library takes such a rejection for an old one, and panics on such a heartbeat.

use raft::Raft;
use raft::eraftpb::{Message, MessageType};

use super::Replica;
use super::log_view::LogView;
use super::peer_error::PeerError;
use crate::ids::ReplicaId;

/// Whether a heartbeat names entries that this replica does not have. A leader names at most what was acknowledged.
pub(super) fn is_beyond(raft: &Raft<LogView>, heartbeat: &Message) -> bool {
    heartbeat.term >= raft.term && heartbeat.commit > raft.raft_log.last_index()
}

impl Replica {
    /// At the follower: the heartbeat counts as a sign of life, and is answered with where the log ends.
    pub(super) fn ask_for_lost_entries(
        &mut self,
        leader: ReplicaId,
        mut heartbeat: Message,
    ) -> Result<PeerError, PeerError> {
        let index = std::mem::take(&mut heartbeat.commit);
        self.step(heartbeat)?;
        let raft = &mut self.node.raft;
        let last = raft.raft_log.last_index();
        let mut rejection = Message::default();
        rejection.set_msg_type(MessageType::MsgAppendResponse);
        (rejection.from, rejection.to, rejection.term) = (raft.id, leader.get(), raft.term);
        (rejection.index, rejection.reject, rejection.reject_hint) = (index, true, last);
        rejection.log_term = raft.raft_log.term(last).unwrap_or_default();
        raft.msgs.push(rejection);
        Ok(PeerError::BeyondLog { index, last })
    }

    /// At the leader, after a rejection: if the follower's log ends before what it once acknowledged, nothing of that counts
    /// any more. A rejection that was only late costs a round of probing.
    pub(super) fn start_over_with(&mut self, follower: u64, ends_at: u64) {
        if !self.is_leader() {
            return;
        }
        let raft = &mut self.node.raft;
        let Some(progress) = raft.mut_prs().get_mut(follower) else { return };
        if ends_at >= progress.matched {
            return;
        }
        progress.matched = 0;
        progress.become_probe();
        progress.next_idx = ends_at + 1;
        raft.send_append(follower);
    }
}
