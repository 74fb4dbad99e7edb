//! What a replica must never believe. Reached only by deliberate bugs, which checks have to catch.

use raft::eraftpb::{Message, MessageType};

use super::Replica;

impl Replica {
    /// Counts an entry as held by everybody as soon as it is held here.
    pub(super) fn believe_all(&mut self) {
        if !self.is_leader() {
            return;
        }
        let raft = &self.node.raft;
        let (id, term, index) = (raft.id, raft.term, raft.raft_log.last_index());
        let voters: Vec<u64> = raft.prs().conf().voters().ids().iter().filter(|voter| *voter != id).collect();
        for from in voters {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgAppendResponse);
            (message.from, message.to, message.term, message.index) = (from, id, term, index);
            let _ = self.node.step(message);
        }
        self.after_step();
    }
}
