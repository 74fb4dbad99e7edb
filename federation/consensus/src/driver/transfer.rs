//! Snapshot content between replicas: the follower asks for one chunk after the other, so that it sets the pace and
//! can resume where it stopped, also after a restart.
//!
//! ```text
//! leader   --offer (raft message: hash, size)-->  follower
//!          <--request (hash, offset)-----------
//!          --chunk (hash, offset, crc)-------->   ... until the hash of the whole fits, then raft installs it
//! ```

use std::sync::Arc;

use super::{Effects, Event, Outbox};
use crate::config::Timing;
use crate::ids::ReplicaId;
use crate::log_store::{LogStore, StoreError};
use crate::replica::{Outbound, SnapshotOffer};
use crate::snapshot::{ContentHash, SnapshotContent, SnapshotMeta, SnapshotStore, SnapshotWriter};
use crate::state_machine::StateMachine;
use crate::wire::PeerMessage;

/// How often a request is repeated before the transfer is dropped; the leader offers again.
const MAX_REPEATS: u32 = 10;

/// How long content that was asked for is kept, in units of the offer's timeout.
const KEPT_TIMEOUTS: u64 = 4;

pub(super) struct Transfer<S: SnapshotStore> {
    snapshots: Arc<S>,
    incoming: Option<Incoming<S::Writer>>,
    /// Content that followers ask for, and the last tick at which it is kept for them.
    served: Vec<(ContentHash, u64)>,
    retry_ticks: u64,
    keep_ticks: u64,
    now: u64,
}

struct Incoming<W> {
    from: ReplicaId,
    meta: SnapshotMeta,
    content: SnapshotContent,
    writer: W,
    repeat_at: u64,
    repeats: u32,
}

impl<S: SnapshotStore> Transfer<S> {
    pub(super) fn new(snapshots: Arc<S>, timing: &Timing) -> Self {
        Self {
            snapshots,
            incoming: None,
            served: Vec::new(),
            retry_ticks: timing.chunk_retry_ticks,
            keep_ticks: timing.snapshot_timeout_ticks * KEPT_TIMEOUTS,
            now: 0,
        }
    }

    /// Begin, or go on with, the transfer of what is offered. Returns its record if all of it is here.
    pub(super) fn begin<L, M>(
        &mut self,
        offer: SnapshotOffer,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Option<SnapshotMeta>
    where
        L: LogStore<Snapshots = S>,
        M: StateMachine,
    {
        let SnapshotOffer { from, meta } = offer;
        let content = meta.content?;
        let running = self.incoming.take().filter(|incoming| incoming.content == content);
        let writer = match running {
            Some(running) => Ok(running.writer),
            None => self.snapshots.stage(&content.hash),
        };
        match writer {
            Ok(writer) => {
                self.incoming = Some(Incoming { from, meta, content, writer, repeat_at: 0, repeats: 0 });
                self.go_on(outbox, effects)
            }
            Err(error) => fail(effects, &error),
        }
    }

    /// A chunk came. Returns the snapshot's record if it was the last one.
    pub(super) fn chunk<L, M>(
        &mut self,
        from: ReplicaId,
        hash: ContentHash,
        offset: u64,
        bytes: &[u8],
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Option<SnapshotMeta>
    where
        L: LogStore<Snapshots = S>,
        M: StateMachine,
    {
        let incoming = self.incoming.as_mut()?;
        let left = incoming.content.size_bytes.saturating_sub(incoming.writer.written_bytes());
        let fits = incoming.from == from
            && incoming.content.hash == hash
            && incoming.writer.written_bytes() == offset
            && bytes.len() as u64 <= left
            && !bytes.is_empty();
        if !fits {
            return None;
        }
        if let Err(error) = incoming.writer.append(bytes) {
            self.incoming = None;
            return fail(effects, &error);
        }
        incoming.repeats = 0;
        self.go_on(outbox, effects)
    }

    /// The sender has it no more. What is here stays, for the case that another one offers it.
    pub(super) fn gone(&mut self, hash: ContentHash) {
        self.incoming.take_if(|incoming| incoming.content.hash == hash);
    }

    /// Answer a request.
    pub(super) fn serve<L, M>(
        &mut self,
        hash: ContentHash,
        offset: u64,
        effects: &mut Effects<L, M>,
    ) -> PeerMessage
    where
        L: LogStore<Snapshots = S>,
        M: StateMachine,
    {
        match self.snapshots.read_chunk(&hash, offset) {
            Ok(Some(bytes)) => {
                self.served.retain(|(served, _)| *served != hash);
                self.served.push((hash, self.now + self.keep_ticks));
                PeerMessage::Chunk { hash, offset, bytes }
            }
            Ok(None) => PeerMessage::Gone { hash },
            Err(error) => {
                let _: Option<()> = fail(effects, &error);
                PeerMessage::Gone { hash }
            }
        }
    }

    /// Content that is being sent.
    pub(super) fn in_use(&self) -> impl Iterator<Item = ContentHash> + '_ {
        self.served.iter().map(|(hash, _)| *hash)
    }

    /// Repeat a request that got no answer.
    pub(super) fn tick(&mut self, outbox: &mut dyn Outbox) {
        self.now += 1;
        let now = self.now;
        self.served.retain(|(_, until)| now < *until);
        let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.repeat_at <= now) else {
            return;
        };
        incoming.repeats += 1;
        if incoming.repeats > MAX_REPEATS {
            self.incoming = None;
        } else {
            incoming.request(now + self.retry_ticks, outbox);
        }
    }

    /// Ask for the next chunk, or finish.
    fn go_on<L, M>(&mut self, outbox: &mut dyn Outbox, effects: &mut Effects<L, M>) -> Option<SnapshotMeta>
    where
        L: LogStore<Snapshots = S>,
        M: StateMachine,
    {
        let incoming = self.incoming.as_mut()?;
        if incoming.writer.written_bytes() < incoming.content.size_bytes {
            incoming.request(self.now + self.retry_ticks, outbox);
            return None;
        }
        let incoming = self.incoming.take()?;
        match incoming.writer.finish() {
            Ok(_) => Some(incoming.meta),
            Err(error) => fail(effects, &error),
        }
    }
}

impl<W: SnapshotWriter> Incoming<W> {
    fn request(&mut self, repeat_at: u64, outbox: &mut dyn Outbox) {
        self.repeat_at = repeat_at;
        let request =
            PeerMessage::ChunkRequest { hash: self.content.hash, offset: self.writer.written_bytes() };
        outbox.send(Outbound { to: self.from, bytes: request.encode() });
    }
}

/// A transfer that failed is told and dropped: the leader offers the snapshot again.
fn fail<T, L: LogStore, M: StateMachine>(effects: &mut Effects<L, M>, error: &StoreError) -> Option<T> {
    effects.events.push(Event::SnapshotFailed { reason: error.to_string() });
    None
}
