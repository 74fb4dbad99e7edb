//! The synchronous driver: one replica, its store and its state machine, stepped by a thread or by the simulator.
//!
//! ```text
//! inputs --> replica --> send the leader's messages --> persist (one fsync) --> send the rest
//!                                                   --> apply --> publish the view --> answers
//! ```
//!
//! A turn takes a batch of inputs and repeats this until there is nothing left to do. It never sleeps, reads no
//! clock and starts no thread: a snapshot is handed out as a [`SnapshotJob`] to be run elsewhere.
//! Any error is final: the driver refuses every later turn, and what was in flight ends as unknown.

mod compaction;
mod effects;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use self::compaction::{SnapshotJob, SnapshotWritten};
pub use self::effects::{Answer, DriverError, Effects, Event, Input, Outbox, Outcome};

use self::compaction::Compaction;
use self::transfer::Transfer;
use crate::config::DriverConfig;
use crate::entry::{Batch, Restored};
use crate::ids::{ReplicaId, Token};
use crate::log_store::LogStore;
use crate::replica::{
    Committed, Outbound, Outputs, Payload, PeerError, ReadOutcome, Replica, Role, Settled, SnapshotOffer,
    Status,
};
use crate::snapshot::{SnapshotContent, SnapshotMeta, SnapshotReader, SnapshotStore};
use crate::state_machine::StateMachine;
use crate::wire::PeerMessage;

/// A replica with its store and state machine.
pub struct Driver<L: LogStore, M: StateMachine> {
    replica: Replica,
    store: L,
    snapshots: Arc<L::Snapshots>,
    machine: M,
    compaction: Compaction,
    transfer: Transfer<L::Snapshots>,
    /// Requests for a change of membership, to tell their answers from the state machine's.
    changes: BTreeMap<Token, ()>,
    position: (Role, u64, Option<ReplicaId>),
    applied: u64,
    /// The content of the present snapshot, once older content is removed.
    kept: Option<SnapshotContent>,
    stopped: bool,
}

impl<L: LogStore, M: StateMachine> Driver<L, M> {
    /// Load the store, found the group if the store is fresh and `config.bootstrap` says so, and bring the state
    /// machine to the last snapshot. `machine` must be in the state with which every replica starts.
    ///
    /// # Errors
    /// The store, the snapshot or the settings do not check out.
    pub fn open(config: &DriverConfig, mut store: L, mut machine: M) -> Result<Self, DriverError> {
        let restored = load(config, &mut store)?;
        let snapshots = store.snapshots();
        let id = store.identity().replica;
        restore(&restored.snapshot, &*snapshots, &mut machine)?;
        let replica = Replica::new(id, &config.replica, &restored)?;
        let status = replica.status();
        let keep: Vec<_> = restored.snapshot.content.iter().map(|content| content.hash).collect();
        snapshots.retain(&keep)?;
        Ok(Self {
            replica,
            snapshots: snapshots.clone(),
            store,
            machine,
            compaction: Compaction::new(&config.compaction),
            transfer: Transfer::new(snapshots, &config.replica.timing),
            changes: BTreeMap::new(),
            position: (status.role, status.term, status.leader),
            applied: restored.snapshot.index,
            kept: restored.snapshot.content,
            stopped: false,
        })
    }

    /// One turn: take all inputs, do everything that follows from them. Messages go to `outbox` in the order and at
    /// the moment in which they may leave; answers and events are added to `effects`, also when the turn fails.
    ///
    /// # Errors
    /// The store, the state machine or a snapshot failed, or an earlier turn did. The driver has stopped; answers for
    /// all requests in flight are in `effects`.
    pub fn handle(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Result<(), DriverError> {
        if self.stopped {
            return Err(DriverError::Stopped);
        }
        let done = self.turn(inputs, outbox, effects);
        if done.is_err() {
            self.stop(effects);
        }
        done
    }

    /// End all requests in flight; the driver takes no more.
    pub fn stop(&mut self, effects: &mut Effects<L, M>) {
        self.stopped = true;
        let Outputs { settled, reads, .. } = self.replica.stop();
        self.answer_settled(settled, effects);
        effects.answers.extend(reads.into_iter().map(|(token, outcome)| Answer::Read { token, outcome }));
    }

    /// Where the replica stands.
    pub fn status(&self) -> Status {
        self.replica.status()
    }

    /// Role, term, and the leader it knows.
    pub fn position(&self) -> (Role, u64, Option<ReplicaId>) {
        self.replica.position()
    }

    /// The state machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The replica, for checks on its log.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The store, for checks on what is durable.
    pub fn store(&self) -> &L {
        &self.store
    }

    fn turn(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Result<(), DriverError> {
        for input in inputs {
            self.take(input, outbox, effects);
        }
        let before = self.applied;
        let mut answers = Vec::new();
        while let Some(outputs) = self.replica.take_outputs() {
            self.work(outputs, outbox, effects, &mut answers)?;
        }
        if self.applied != before {
            self.machine.applied_batch(self.applied);
        }
        effects.answers.append(&mut answers);
        self.note_position(effects);
        self.drop_old_snapshots(effects);
        self.consider_snapshot(effects);
        Ok(())
    }

    fn take(&mut self, input: Input, outbox: &mut dyn Outbox, effects: &mut Effects<L, M>) {
        match input {
            Input::Tick => {
                self.replica.tick();
                self.transfer.tick(outbox);
            }
            Input::Peer { from, bytes } => {
                if let Err(error) = self.take_message(from, bytes, outbox, effects) {
                    effects.events.push(Event::PeerRefused { from, error });
                }
            }
            Input::Propose { token, bytes } => self.replica.propose(token, bytes),
            Input::Read { token } => self.replica.read(token),
            Input::ChangeMembership { token, change } => {
                self.changes.insert(token, ());
                self.replica.change(token, change);
            }
            Input::TransferLeadership { to } => {
                self.replica.transfer(to);
            }
            Input::HoldBack { held } => self.replica.hold_back(held),
            Input::SnapshotWritten(written) => self.take_snapshot(written, effects),
        }
    }

    fn take_message(
        &mut self,
        from: ReplicaId,
        bytes: Bytes,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Result<(), PeerError> {
        match PeerMessage::decode(bytes)? {
            PeerMessage::Raft(body) => {
                if let Some(offer) = self.replica.receive(from, &body)? {
                    self.take_offer(offer, outbox, effects)?;
                }
            }
            PeerMessage::ChunkRequest { hash, offset } => {
                let reply = self.transfer.serve(hash, offset, effects);
                match &reply {
                    PeerMessage::Gone { .. } => self.replica.snapshot_gone(from),
                    _ => self.replica.snapshot_requested(from),
                }
                outbox.send(Outbound { to: from, bytes: reply.encode() });
            }
            PeerMessage::Chunk { hash, offset, bytes } => {
                if let Some(meta) = self.transfer.chunk(from, hash, offset, &bytes, outbox, effects) {
                    self.replica.snapshot_arrived(&meta)?;
                }
            }
            PeerMessage::Gone { hash } => self.transfer.gone(hash),
        }
        Ok(())
    }

    fn take_offer(
        &mut self,
        offer: SnapshotOffer,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Result<(), PeerError> {
        match self.transfer.begin(offer, outbox, effects) {
            Some(meta) => self.replica.snapshot_arrived(&meta),
            None => Ok(()),
        }
    }

    /// Do one round of work in its order. When a step fails, what the round has decided is answered all the same.
    fn work(
        &mut self,
        mut outputs: Outputs,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
        answers: &mut Vec<Answer<M::Answer>>,
    ) -> Result<(), DriverError> {
        let mut committed = std::mem::take(&mut outputs.committed).into_iter();
        let settled = std::mem::take(&mut outputs.settled);
        let reads = std::mem::take(&mut outputs.reads);
        let done = self.persist_and_install(outputs, outbox, effects);
        let done = done.and_then(|()| committed.try_for_each(|entry| self.apply(entry, effects, answers)));
        self.answer_settled(settled, effects);
        if done.is_ok() {
            answers.extend(reads.into_iter().map(|(token, outcome)| Answer::Read { token, outcome }));
            return Ok(());
        }
        let unapplied =
            committed.filter_map(|entry| entry.token).map(|token| (token, Settled::Unknown)).collect();
        self.answer_settled(unapplied, effects);
        let outcome = ReadOutcome::TimedOut;
        answers.extend(reads.into_iter().map(|(token, _)| Answer::Read { token, outcome }));
        effects.answers.append(answers);
        done
    }

    fn persist_and_install(
        &mut self,
        outputs: Outputs,
        outbox: &mut dyn Outbox,
        effects: &mut Effects<L, M>,
    ) -> Result<(), DriverError> {
        outputs.messages.into_iter().for_each(|message| outbox.send(message));
        if let Some(batch) = outputs.persist {
            self.store.persist(&batch)?;
            self.replica.persisted();
        }
        outputs.after_persist.into_iter().for_each(|message| outbox.send(message));
        match outputs.install {
            Some(meta) => self.install(&meta, effects),
            None => Ok(()),
        }
    }

    fn apply(
        &mut self,
        committed: Committed,
        effects: &mut Effects<L, M>,
        answers: &mut Vec<Answer<M::Answer>>,
    ) -> Result<(), DriverError> {
        let Committed { index, term, payload, token } = committed;
        match payload {
            Payload::Empty => {}
            Payload::Bytes(bytes) => {
                self.compaction.applied(bytes.len());
                match self.machine.apply(index, term, &bytes) {
                    Ok(answer) => {
                        let outcome = Outcome::Committed { index, answer };
                        answers.extend(token.map(|token| Answer::Proposal { token, outcome }));
                    }
                    Err(source) => {
                        let outcome = Outcome::Unknown;
                        answers.extend(token.map(|token| Answer::Proposal { token, outcome }));
                        return Err(DriverError::Apply { index, source });
                    }
                }
            }
            Payload::Membership(membership) => {
                effects.events.push(Event::MembershipChanged { index, membership: membership.clone() });
                if let Some(token) = token {
                    self.changes.remove(&token);
                    let outcome = Outcome::Committed { index, answer: membership };
                    answers.push(Answer::Membership { token, outcome });
                }
            }
        }
        self.applied = index;
        Ok(())
    }

    fn install(&mut self, meta: &SnapshotMeta, effects: &mut Effects<L, M>) -> Result<(), DriverError> {
        restore(meta, &*self.snapshots, &mut self.machine)?;
        self.applied = meta.index;
        self.compaction.installed();
        effects.events.push(Event::SnapshotInstalled { index: meta.index });
        Ok(())
    }

    fn answer_settled(&mut self, settled: Vec<(Token, Settled)>, effects: &mut Effects<L, M>) {
        for (token, settled) in settled {
            let answer = match self.changes.remove(&token) {
                Some(()) => Answer::Membership { token, outcome: settled.into() },
                None => Answer::Proposal { token, outcome: settled.into() },
            };
            effects.answers.push(answer);
        }
    }

    fn note_position(&mut self, effects: &mut Effects<L, M>) {
        let (role, term, leader) = self.replica.position();
        if self.position != (role, term, leader) {
            self.position = (role, term, leader);
            effects.events.push(Event::PositionChanged { role, term, leader });
        }
    }
}

fn load<L: LogStore>(config: &DriverConfig, store: &mut L) -> Result<Restored, DriverError> {
    let mut restored = store.load()?;
    if let Some(founders) = config.bootstrap.as_ref().filter(|_| restored.is_fresh()) {
        let batch = Batch::bootstrap(founders.clone());
        store.persist(&batch)?;
        restored.hard_state = batch.hard_state;
        restored.snapshot = SnapshotMeta { index: 1, term: 1, membership: founders.clone(), content: None };
        restored.compacted = crate::entry::LogPosition { index: 1, term: 1 };
    }
    Ok(restored)
}

/// Bring the state machine to a snapshot. The content is checked as a whole before the machine sees it: a machine
/// need not defend itself against damage.
fn restore<S: SnapshotStore, M: StateMachine>(
    meta: &SnapshotMeta,
    snapshots: &S,
    machine: &mut M,
) -> Result<(), DriverError> {
    let Some(content) = meta.content else { return Ok(()) };
    SnapshotReader::new(snapshots, content).verify()?;
    let restored = machine.restore(meta.index, &mut SnapshotReader::new(snapshots, content));
    restored.map_err(|source| DriverError::Restore { index: meta.index, source })
}
