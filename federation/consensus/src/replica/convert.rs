//! Between the raft library's messages and this crate's own types.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState as RaftHardState, Snapshot,
};

use crate::entry::{EntryKind, HardState, LogEntry};
use crate::ids::ReplicaId;
use crate::membership::{Membership, MembershipChange};
use crate::snapshot::{ContentHash, SnapshotContent, SnapshotMeta};

pub(crate) fn raft_entry(entry: &LogEntry) -> Entry {
    let mut out = Entry::default();
    out.set_entry_type(match entry.kind {
        EntryKind::Normal => EntryType::EntryNormal,
        EntryKind::Membership => EntryType::EntryConfChange,
    });
    out.term = entry.term;
    out.index = entry.index;
    out.data = entry.bytes.clone();
    out
}

pub(crate) fn log_entry(entry: &Entry) -> LogEntry {
    let kind = match entry.get_entry_type() {
        EntryType::EntryNormal => EntryKind::Normal,
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => EntryKind::Membership,
    };
    LogEntry { index: entry.index, term: entry.term, kind, bytes: entry.data.clone() }
}

pub(crate) fn hard_state(state: HardState) -> RaftHardState {
    RaftHardState { term: state.term, vote: state.vote, commit: state.commit, ..RaftHardState::default() }
}

pub(crate) fn own_hard_state(state: &RaftHardState) -> HardState {
    HardState { term: state.term, vote: state.vote, commit: state.commit }
}

pub(crate) fn conf_state(membership: &Membership) -> ConfState {
    ConfState {
        voters: membership.voters.iter().map(|id| id.get()).collect(),
        learners: membership.learners.iter().map(|id| id.get()).collect(),
        ..ConfState::default()
    }
}

/// `None` for what this crate never makes: joint configurations, id 0, a voter that is also a learner.
pub(crate) fn membership(state: &ConfState) -> Option<Membership> {
    let simple = state.voters_outgoing.is_empty() && state.learners_next.is_empty() && !state.auto_leave;
    let voters: Option<Vec<_>> = state.voters.iter().map(|id| ReplicaId::new(*id)).collect();
    let learners: Option<Vec<_>> = state.learners.iter().map(|id| ReplicaId::new(*id)).collect();
    let membership =
        Membership { voters: voters?.into_iter().collect(), learners: learners?.into_iter().collect() };
    let distinct = membership.voters.len() == state.voters.len()
        && membership.learners.len() == state.learners.len()
        && membership.voters.is_disjoint(&membership.learners);
    (simple && distinct).then_some(membership)
}

pub(crate) fn conf_change(change: MembershipChange) -> ConfChange {
    let mut out = ConfChange::default();
    out.set_change_type(match change {
        MembershipChange::AddLearner(_) => ConfChangeType::AddLearnerNode,
        MembershipChange::Promote(_) => ConfChangeType::AddNode,
        MembershipChange::Remove(_) => ConfChangeType::RemoveNode,
    });
    out.node_id = change.replica().get();
    out
}

/// `None` for bytes that are no change, or one about nobody.
pub(crate) fn parse_conf_change(bytes: &Bytes) -> Option<ConfChange> {
    let change = ConfChange::parse_from_bytes(bytes).ok()?;
    (change.node_id != 0).then_some(change)
}

pub(crate) fn conf_change_bytes(change: &ConfChange) -> Bytes {
    change
        .write_to_bytes()
        .map(Bytes::from)
        .expect("writing to memory does not fail and no field is required")
}

/// The raft message carries only the record; the content goes in chunks.
pub(crate) fn raft_snapshot(meta: &SnapshotMeta) -> Snapshot {
    let mut out = Snapshot::default();
    out.mut_metadata().index = meta.index;
    out.mut_metadata().term = meta.term;
    out.mut_metadata().set_conf_state(conf_state(&meta.membership));
    if let Some(content) = &meta.content {
        let mut data = BytesMut::with_capacity(40);
        data.put_slice(&content.hash.0);
        data.put_u64_le(content.size_bytes);
        out.data = data.freeze();
    }
    out
}

pub(crate) fn snapshot_meta(snapshot: &Snapshot) -> Option<SnapshotMeta> {
    let metadata = snapshot.get_metadata();
    let mut data = snapshot.data.clone();
    let mut hash = [0; 32];
    data.try_copy_to_slice(&mut hash).ok()?;
    let size_bytes = data.try_get_u64_le().ok()?;
    let content = Some(SnapshotContent { hash: ContentHash(hash), size_bytes });
    let membership = membership(metadata.get_conf_state())?;
    data.is_empty().then_some(SnapshotMeta {
        index: metadata.index,
        term: metadata.term,
        membership,
        content,
    })
}
