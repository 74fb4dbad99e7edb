//! Checks on messages from peers. The raft library panics on what a correct peer never sends; whatever passes here
//! it takes without a panic. The fuzz tests in `tests/it/fuzz.rs` hold this to its word.

use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Raft, StateRole};

use super::convert;
use super::log_view::LogView;
use super::peer_error::PeerError;
use crate::ids::ReplicaId;

/// Terms and indexes beyond this cannot be reached by counting and would overflow somewhere.
const MAX_NUMBER: u64 = 1 << 56;

/// The context of a heartbeat or read: the name of a read round.
const MAX_CONTEXT: usize = 64;

/// Check a message before it is stepped.
pub(crate) fn check(raft: &Raft<LogView>, from: ReplicaId, message: &Message) -> Result<(), PeerError> {
    check_envelope(raft, from, message)?;
    match message.get_msg_type() {
        MessageType::MsgAppend => {
            check_leader(raft, from, message)?;
            check_append(message)
        }
        MessageType::MsgHeartbeat => check_leader(raft, from, message),
        MessageType::MsgSnapshot => {
            check_leader(raft, from, message)?;
            check_snapshot(message)
        }
        MessageType::MsgTimeoutNow => check_timeout_now(raft, from, message),
        MessageType::MsgAppendResponse => {
            check_member(raft, from)?;
            check_append_response(raft, message)
        }
        MessageType::MsgReadIndex => {
            check_member(raft, from)?;
            check_read(message)
        }
        MessageType::MsgReadIndexResp => {
            check_leader(raft, from, message)?;
            check_read(message)
        }
        MessageType::MsgHeartbeatResponse
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVoteResponse => check_member(raft, from),
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => Ok(()),
        _ => Err(PeerError::LocalType),
    }
}

fn check_envelope(raft: &Raft<LogView>, from: ReplicaId, message: &Message) -> Result<(), PeerError> {
    if message.from != from.get() || message.from == raft.id {
        return Err(PeerError::WrongSender { claimed: message.from, from });
    }
    if message.to != raft.id {
        return Err(PeerError::WrongRecipient(message.to));
    }
    let is_read = message.get_msg_type() == MessageType::MsgReadIndex;
    if (message.term == 0) != is_read || message.term > MAX_NUMBER {
        return Err(PeerError::BadTerm(message.term));
    }
    let numbers = [message.index, message.log_term, message.commit, message.commit_term, message.reject_hint];
    if let Some(index) = numbers.into_iter().find(|number| *number > MAX_NUMBER) {
        return Err(PeerError::BeyondLog { index, last: raft.raft_log.last_index() });
    }
    if message.context.len() > MAX_CONTEXT {
        return Err(PeerError::BadRead("the context is too long"));
    }
    if message.request_snapshot != 0 {
        return Err(PeerError::BadSnapshot("snapshots are offered, not requested"));
    }
    let carries_entries =
        is_read || matches!(message.get_msg_type(), MessageType::MsgAppend | MessageType::MsgReadIndexResp);
    if !carries_entries && !message.entries.is_empty() {
        return Err(PeerError::BadEntries("a message of this type carries no entries"));
    }
    Ok(())
}

fn check_member(raft: &Raft<LogView>, from: ReplicaId) -> Result<(), PeerError> {
    raft.prs().get(from.get()).map(|_| ()).ok_or(PeerError::UnknownSender)
}

/// Only one replica leads a term. A leader may be unknown to a follower that lags behind a change of membership.
fn check_leader(raft: &Raft<LogView>, from: ReplicaId, message: &Message) -> Result<(), PeerError> {
    let other = raft.leader_id != raft::INVALID_ID && raft.leader_id != from.get();
    if message.term == raft.term && other {
        return Err(PeerError::TwoLeaders { claimed: from, known: raft.leader_id, term: raft.term });
    }
    Ok(())
}

fn check_append(message: &Message) -> Result<(), PeerError> {
    if (message.index == 0) != (message.log_term == 0) {
        return Err(PeerError::BadEntries("index and term of the entry before do not fit"));
    }
    if message.log_term > message.term {
        return Err(PeerError::BadEntries("the entry before is newer than the message"));
    }
    let (mut index, mut term) = (message.index, message.log_term.max(1));
    for entry in message.get_entries() {
        check_entry(entry)?;
        if entry.index != index + 1 {
            return Err(PeerError::BadEntries("the entries are not contiguous"));
        }
        if entry.term < term || entry.term > message.term {
            return Err(PeerError::BadEntries("the terms of the entries do not rise to the message's"));
        }
        (index, term) = (entry.index, entry.term);
    }
    Ok(())
}

fn check_entry(entry: &Entry) -> Result<(), PeerError> {
    match entry.get_entry_type() {
        EntryType::EntryNormal => {}
        EntryType::EntryConfChange if convert::parse_conf_change(&entry.data).is_some() => {}
        _ => return Err(PeerError::BadEntries("an entry is of a type that is never written")),
    }
    if !entry.context.is_empty() || entry.sync_log {
        return Err(PeerError::BadEntries("an entry has fields that are never written"));
    }
    Ok(())
}

fn check_snapshot(message: &Message) -> Result<(), PeerError> {
    let metadata = message.get_snapshot().get_metadata();
    if metadata.index == 0 || metadata.index > MAX_NUMBER {
        return Err(PeerError::BadSnapshot("the snapshot's index makes no sense"));
    }
    if metadata.term == 0 || metadata.term > message.term {
        return Err(PeerError::BadSnapshot("the snapshot's term makes no sense"));
    }
    let meta = convert::snapshot_meta(message.get_snapshot());
    let meta = meta.ok_or(PeerError::BadSnapshot("the snapshot's record cannot be read"))?;
    if meta.membership.voters.is_empty() {
        return Err(PeerError::BadSnapshot("the snapshot has no voters"));
    }
    Ok(())
}

fn check_timeout_now(raft: &Raft<LogView>, from: ReplicaId, message: &Message) -> Result<(), PeerError> {
    if message.term != raft.term || raft.leader_id != from.get() {
        return Err(PeerError::TwoLeaders { claimed: from, known: raft.leader_id, term: message.term });
    }
    Ok(())
}

fn check_append_response(raft: &Raft<LogView>, message: &Message) -> Result<(), PeerError> {
    let last = raft.raft_log.last_index();
    let counts = message.term == raft.term && raft.state == StateRole::Leader;
    if counts && !message.reject && message.index > last {
        return Err(PeerError::BeyondLog { index: message.index, last });
    }
    Ok(())
}

fn check_read(message: &Message) -> Result<(), PeerError> {
    match message.get_entries() {
        [entry] if !entry.data.is_empty() && entry.data.len() <= MAX_CONTEXT => Ok(()),
        _ => Err(PeerError::BadRead("a read carries exactly one name")),
    }
}
