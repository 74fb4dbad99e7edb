//! The part of a replica that concerns snapshots: offers between replicas, and records of its own.
//!
//! ```text
//! leader: raft wants to send a snapshot -> offer (record only), repeated until the follower is fed
//! follower: offer -> held until the content is here -> raft installs it
//! ```

use raft::SnapshotStatus;
use raft::eraftpb::Message;

use super::{PeerError, Replica, SnapshotOffer, convert, validate};
use crate::ids::ReplicaId;
use crate::snapshot::SnapshotMeta;

impl Replica {
    /// The content of an offered snapshot is durable: let raft install it.
    ///
    /// # Errors
    /// The offer does not stand any more.
    pub fn snapshot_arrived(&mut self, meta: &SnapshotMeta) -> Result<(), PeerError> {
        let fitting =
            self.offered.take_if(|held| convert::snapshot_meta(held.get_snapshot()).as_ref() == Some(meta));
        let Some(message) = fitting else { return Ok(()) };
        let from = ReplicaId::new(message.from).ok_or(PeerError::UnknownSender)?;
        validate::check(&self.node.raft, from, &message)?;
        self.step(message)
    }

    /// A snapshot of this replica's state is durable: note it, and drop entries up to `compact_to`.
    pub fn snapshot_recorded(&mut self, meta: SnapshotMeta, compact_to: u64) {
        if meta.index <= self.log().snapshot_meta().index && self.log().snapshot_meta().content.is_some() {
            return;
        }
        let compact_to = compact_to.min(meta.index);
        self.node.raft.mut_store().record(meta.clone());
        self.node.raft.mut_store().compact(compact_to);
        self.recorded = Some(meta);
    }

    /// A follower asks for parts of a snapshot: the transfer lives.
    pub fn snapshot_requested(&mut self, by: ReplicaId) {
        if let Some(repeat_at) = self.offering.get_mut(&by) {
            *repeat_at = self.ticks + self.timing.snapshot_timeout_ticks;
        }
    }

    /// A follower asks for a snapshot that is gone: offer it the present one.
    pub fn snapshot_gone(&mut self, for_follower: ReplicaId) {
        if self.offering.remove(&for_follower).is_some() {
            self.node.report_snapshot(for_follower.get(), SnapshotStatus::Failure);
        }
    }

    /// Whether a follower needs a snapshot that is not there yet.
    pub fn wants_snapshot(&self) -> bool {
        self.log().snapshot_wanted()
    }

    /// The record of the present snapshot.
    pub fn snapshot_meta(&self) -> &SnapshotMeta {
        self.log().snapshot_meta()
    }

    /// Where to cut the log when a snapshot of `index` is there and this much shall stay behind it.
    pub fn cut_behind(&self, index: u64, keep_entries: u64, keep_bytes: u64) -> u64 {
        let (mut entries, mut bytes) = (0, 0);
        self.log().walk_back(index, |entry| {
            entries += 1;
            bytes += entry.data.len() as u64;
            entries > keep_entries || bytes > keep_bytes
        })
    }

    /// Keep the message of an offer until its content is here. An offer from an old leader is left to raft, which
    /// ignores it.
    pub(super) fn hold_offer(&mut self, from: ReplicaId, message: Message) -> Option<SnapshotOffer> {
        let useful = message.term >= self.node.raft.term
            && message.get_snapshot().get_metadata().index > self.node.raft.raft_log.committed;
        if !useful {
            let _ = self.step(message);
            return None;
        }
        let meta = convert::snapshot_meta(message.get_snapshot())?;
        self.offered = Some(message);
        Some(SnapshotOffer { from, meta })
    }

    pub(super) fn repeat_offers(&mut self) {
        let now = self.ticks;
        let late: Vec<ReplicaId> =
            self.offering.iter().filter(|(_, repeat_at)| **repeat_at <= now).map(|(id, _)| *id).collect();
        for follower in late {
            self.snapshot_gone(follower);
        }
    }
}
