//! One raft replica without clock, disk, network or thread: inputs in, what to do out.
//!
//! ```text
//! tick, receive, propose, read, change, transfer --> [ raft::RawNode + LogView ] --> take_outputs
//!                                    persisted <------- batch is durable -----------------+
//! ```
//!
//! Rules for the caller (the driver keeps them):
//! - do everything in [`Outputs`], in the order of its fields, before the next input;
//! - call [`Replica::persisted`] when, and only when, the batch is durable; if it cannot be made durable, stop.
//!
//! The replica never proposes unless it leads, checks every peer message before raft sees it, and draws election
//! timeouts from its seed. What must not happen in raft while entries are not yet durable (to campaign, to win) is
//! put off until they are.

mod convert;
mod election;
mod group;
mod log_view;
mod lost_log;
mod outputs;
mod peer_error;
mod pending;
mod proposals;
mod reads;
mod snapshots;
mod validate;

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, Ready, StateRole};

pub use self::outputs::{
    Committed, Outbound, Outputs, Payload, ReadOutcome, Refusal, Role, Settled, SnapshotOffer, Status,
};
pub use self::peer_error::PeerError;

use self::election::ElectionClock;
use self::log_view::LogView;
use self::pending::Pending;
use self::proposals::Proposals;
use self::reads::Reads;
use crate::config::{Limits, ReplicaConfig, Timing};
use crate::entry::{Batch, LogEntry, LogPosition, Restored, SnapshotWrite};
use crate::ids::{ReplicaId, Token};
use crate::snapshot::SnapshotMeta;
use crate::wire;

/// Why a replica could not be made from what was stored.
#[derive(Debug, thiserror::Error)]
#[error("raft refused what was stored or configured: {0}")]
pub struct ReplicaError(String);

/// A raft replica. See the module's documentation for the rules of use.
pub struct Replica {
    node: RawNode<LogView>,
    id: ReplicaId,
    timing: Timing,
    limits: Limits,
    clock: ElectionClock,
    pending: Pending,
    reads: Reads,
    ticks: u64,
    led: bool,
    leader: u64,
    held_back: bool,
    proposals: Proposals,
    settled: Vec<(Token, Settled)>,
    ended_reads: Vec<(Token, ReadOutcome)>,
    /// Inputs that must wait until the log is durable.
    postponed: Vec<Postponed>,
    /// The ready whose batch the caller is writing.
    writing: Option<u64>,
    /// The index of the snapshot in that batch.
    installing: Option<u64>,
    /// A snapshot of our own to note in the next batch.
    recorded: Option<SnapshotMeta>,
    /// The message behind an offer, kept until its content is here.
    offered: Option<Message>,
    /// Followers to which a snapshot was offered, and when the offer is repeated.
    offering: BTreeMap<ReplicaId, u64>,
}

enum Postponed {
    Tick,
    Step(Message),
}

impl Replica {
    /// A replica as it was when `restored` became durable. `restored.snapshot` must be in the state machine already;
    /// later entries are given out again once they are known to be committed.
    ///
    /// # Errors
    /// Settings or stored state that raft refuses.
    pub fn new(id: ReplicaId, config: &ReplicaConfig, restored: &Restored) -> Result<Self, ReplicaError> {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft_config = raft_config(id, config, restored.snapshot.index);
        let node = RawNode::new(&raft_config, LogView::new(restored), &logger);
        let node = node.map_err(|error| ReplicaError(error.to_string()))?;
        let mut replica = Self {
            node,
            id,
            timing: config.timing.clone(),
            limits: config.limits.clone(),
            clock: ElectionClock::new(id, config),
            pending: Pending::default(),
            reads: Reads::new(id, restored.incarnation, &config.timing),
            ticks: 0,
            led: false,
            leader: raft::INVALID_ID,
            held_back: false,
            proposals: Proposals::default(),
            settled: Vec::new(),
            ended_reads: Vec::new(),
            postponed: Vec::new(),
            writing: None,
            installing: None,
            recorded: None,
            offered: None,
            offering: BTreeMap::new(),
        };
        replica.clock.refresh(&mut replica.node.raft);
        replica.clock.hurry(&mut replica.node.raft);
        Ok(replica)
    }

    /// One tick of the clock passed.
    pub fn tick(&mut self) {
        self.ticks += 1;
        let late = self.pending.expired(self.ticks);
        self.settled.extend(late.into_iter().map(|token| (token, Settled::Unknown)));
        let late = self.reads.tick(self.ticks);
        self.ended_reads.extend(late.into_iter().map(|token| (token, ReadOutcome::TimedOut)));
        self.repeat_offers();
        if self.may_campaign() {
            self.tick_raft();
        } else {
            self.postponed.push(Postponed::Tick);
        }
    }

    /// A raft message from a peer, as the transport identified it.
    ///
    /// # Errors
    /// The message is refused and has changed nothing. [`PeerError::BeyondLog`] of a heartbeat: this replica lost entries that
    /// it had acknowledged, and asks the leader for them.
    pub fn receive(&mut self, from: ReplicaId, body: &Bytes) -> Result<Option<SnapshotOffer>, PeerError> {
        if body.len() > self.limits.max_message_bytes {
            return Err(PeerError::TooLarge { bytes: body.len(), max: self.limits.max_message_bytes });
        }
        let message = wire::decode_raft(body)?;
        validate::check(&self.node.raft, from, &message)?;
        match message.get_msg_type() {
            MessageType::MsgSnapshot => return Ok(self.hold_offer(from, message)),
            MessageType::MsgTimeoutNow if self.held_back => {}
            MessageType::MsgTimeoutNow
            | MessageType::MsgRequestVoteResponse
            | MessageType::MsgRequestPreVoteResponse
                if !self.may_campaign() =>
            {
                self.postponed.push(Postponed::Step(message));
            }
            MessageType::MsgHeartbeat if lost_log::is_beyond(&self.node.raft, &message) => {
                return Err(self.ask_for_lost_entries(from, message)?);
            }
            MessageType::MsgAppendResponse if message.reject => {
                let (from, ends_at) = (message.from, message.reject_hint);
                self.step(message)?;
                self.start_over_with(from, ends_at);
            }
            _ => self.step(message)?,
        }
        Ok(None)
    }

    /// Ask for a linearizable read, on any replica.
    pub fn read(&mut self, token: Token) {
        self.reads.add(token, self.ticks);
    }

    /// The batch of the last [`Outputs`] is durable.
    pub fn persisted(&mut self) {
        let Some(number) = self.writing.take() else { return };
        self.node.on_persist_ready(number);
        if let Some(index) = self.installing.take() {
            self.node.advance_apply_to(index);
        }
        self.after_step();
        for postponed in std::mem::take(&mut self.postponed) {
            match postponed {
                Postponed::Tick => self.tick_raft(),
                Postponed::Step(message) => {
                    if let Some(from) = ReplicaId::new(message.from)
                        && validate::check(&self.node.raft, from, &message).is_ok()
                    {
                        let _ = self.step(message);
                    }
                }
            }
        }
    }

    /// All requests end now, because the replica stops.
    pub fn stop(&mut self) -> Outputs {
        let never_tried = self.proposals.take_waiting().into_iter();
        let refusal = Settled::Refused(Refusal::NotLeader { leader: None });
        self.settled.extend(never_tried.map(|(token, _)| (token, refusal.clone())));
        self.settled.extend(self.pending.drain().into_iter().map(|token| (token, Settled::Unknown)));
        self.ended_reads.extend(self.reads.drain().into_iter().map(|token| (token, ReadOutcome::TimedOut)));
        Outputs {
            settled: std::mem::take(&mut self.settled),
            reads: std::mem::take(&mut self.ended_reads),
            ..Outputs::default()
        }
    }

    /// The next round of work, `None` when there is nothing to do until the next input.
    pub fn take_outputs(&mut self) -> Option<Outputs> {
        debug_assert!(self.writing.is_none(), "the last batch was not reported as durable");
        self.work_on_proposals();
        self.start_read_round();
        let mut outputs = Outputs::default();
        let ready = self.node.has_ready() || self.recorded.is_some();
        if ready {
            self.take_ready(&mut outputs);
        }
        outputs.settled.append(&mut self.settled);
        outputs.reads.append(&mut self.ended_reads);
        (ready || !outputs.settled.is_empty() || !outputs.reads.is_empty()).then_some(outputs)
    }

    /// Where the replica stands.
    pub fn status(&self) -> Status {
        let raft = &self.node.raft;
        Status {
            id: self.id,
            role: self.role(),
            term: raft.term,
            leader: ReplicaId::new(raft.leader_id),
            committed: raft.raft_log.committed,
            applied: raft.raft_log.applied,
            last_index: raft.raft_log.last_index(),
            snapshot_index: self.log().snapshot_meta().index,
            membership: self.membership(),
            in_flight: self.pending.len() + self.proposals.waiting(),
        }
    }

    /// Role, term, and the leader it knows: what of [`Self::status`] is asked for at each turn.
    pub fn position(&self) -> (Role, u64, Option<ReplicaId>) {
        let raft = &self.node.raft;
        (self.role(), raft.term, ReplicaId::new(raft.leader_id))
    }

    /// The log in memory, for inspection.
    pub fn log_entries(&self) -> impl DoubleEndedIterator<Item = LogEntry> + '_ {
        self.log().iter()
    }

    /// The term of an applied entry that is still in the log.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.node.raft.raft_log.term(index).ok().filter(|term| *term > 0)
    }

    fn log(&self) -> &LogView {
        self.node.raft.store()
    }

    fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// A replica must not ask for votes, or count them, with entries that are not durable. A leader does not do so.
    fn may_campaign(&self) -> bool {
        let log = &self.node.raft.raft_log;
        self.is_leader() || log.persisted == log.last_index()
    }

    fn tick_raft(&mut self) {
        let raft = &self.node.raft;
        // The clock stops just short of the timeout: far enough to vote for others, not far enough to campaign.
        let about_to_campaign = raft.election_elapsed + 1 >= raft.randomized_election_timeout();
        if self.held_back && !self.is_leader() && about_to_campaign {
            return;
        }
        self.node.tick();
        self.clock.ticked(&mut self.node.raft);
        self.after_step();
    }

    fn step(&mut self, message: Message) -> Result<(), PeerError> {
        let stepped = self.node.step(message);
        self.after_step();
        stepped.map_err(|error| PeerError::Refused(error.to_string()))
    }

    /// Notice changes of term, role and leader. Must follow every call that may change them.
    fn after_step(&mut self) {
        self.clock.refresh(&mut self.node.raft);
        let leads = self.is_leader();
        if self.led != leads {
            self.proposals.forget_rounds();
        }
        if self.led && !leads {
            self.pending.leadership_lost(self.ticks + self.timing.unknown_after_ticks);
            self.offering.clear();
        }
        self.led = leads;
        if self.leader != self.node.raft.leader_id {
            self.leader = self.node.raft.leader_id;
            self.reads.ask_again();
        }
    }

    fn start_read_round(&mut self) {
        let raft = &self.node.raft;
        let answerable = match raft.state {
            StateRole::Leader => raft.commit_to_current_term(),
            _ => raft.leader_id != raft::INVALID_ID,
        };
        if answerable && self.reads.wants_round() {
            let name = self.reads.start(self.ticks);
            self.node.read_index(name.to_vec());
            self.after_step();
        }
    }

    fn take_ready(&mut self, outputs: &mut Outputs) {
        let mut ready = self.node.ready();
        outputs.messages = self.outbound(&ready.take_messages());
        outputs.after_persist = self.outbound(&ready.take_persisted_messages());
        for read in ready.take_read_states() {
            self.reads.confirm(&read.request_ctx, read.index);
        }
        let committed = ready.take_committed_entries();
        self.take_persistence(ready, outputs);
        outputs.committed = committed.iter().map(|entry| self.commit(entry)).collect();
        if let Some(last) = outputs.committed.last() {
            self.node.advance_apply_to(last.index);
        }
        let released = self.reads.release(self.node.raft.raft_log.applied);
        outputs
            .reads
            .extend(released.into_iter().map(|(token, index)| (token, ReadOutcome::Ready { index })));
    }

    fn take_persistence(&mut self, mut ready: Ready, outputs: &mut Outputs) {
        let number = ready.number();
        let mut batch =
            Batch { hard_state: convert::own_hard_state(&self.node.raft.hard_state()), ..Batch::default() };
        if !ready.snapshot().is_empty() {
            let meta = convert::snapshot_meta(ready.snapshot()).expect("it was checked when it was offered");
            self.node.raft.mut_store().install(meta.clone());
            let unseen = self.pending.skipped(meta.index);
            self.settled.extend(unseen.into_iter().map(|token| (token, Settled::Unknown)));
            batch.snapshot = Some(SnapshotWrite::Installed(meta.clone()));
            self.installing = Some(meta.index);
            outputs.install = Some(meta);
            self.recorded = None;
        }
        let entries = ready.take_entries();
        self.node.raft.mut_store().append(&entries);
        batch.entries = entries.iter().map(convert::log_entry).collect();
        let must_write = ready.must_sync() || self.recorded.is_some();
        if let Some(meta) = self.recorded.take() {
            batch.snapshot = Some(SnapshotWrite::Recorded(meta));
            batch.compacted = Some(self.log().compacted());
        }
        self.node.advance_append_async(ready);
        if must_write {
            self.writing = Some(number);
            outputs.persist = Some(batch);
        } else {
            // Only the commit index moved: it is a hint, and goes with the next batch.
            self.node.on_persist_ready(number);
        }
    }

    fn outbound(&mut self, messages: &[Message]) -> Vec<Outbound> {
        messages.iter().filter_map(|message| self.outbound_one(message)).collect()
    }

    fn outbound_one(&mut self, message: &Message) -> Option<Outbound> {
        let to = ReplicaId::new(message.to)?;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            self.offering.insert(to, self.ticks + self.timing.snapshot_timeout_ticks);
        }
        Some(Outbound { to, bytes: wire::encode_raft(message) })
    }

    fn commit(&mut self, entry: &Entry) -> Committed {
        let position = LogPosition { index: entry.index, term: entry.term };
        let decided = self.pending.committed(position);
        self.settled.extend(decided.superseded.into_iter().map(|token| (token, Settled::Superseded)));
        let payload = match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => Payload::Empty,
            EntryType::EntryNormal => Payload::Bytes(entry.data.clone()),
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                Payload::Membership(self.change_membership(&entry.data))
            }
        };
        Committed { index: entry.index, term: entry.term, payload, token: decided.committed }
    }
}

fn raft_config(id: ReplicaId, config: &ReplicaConfig, applied: u64) -> Config {
    let Limits { max_append_bytes, max_inflight_messages, max_uncommitted_bytes, max_apply_bytes, .. } =
        config.limits;
    Config {
        id: id.get(),
        election_tick: config.timing.election_ticks,
        heartbeat_tick: config.timing.heartbeat_ticks,
        applied,
        check_quorum: true,
        pre_vote: true,
        read_only_option: ReadOnlyOption::Safe,
        max_size_per_msg: max_append_bytes,
        max_inflight_msgs: max_inflight_messages,
        max_uncommitted_size: max_uncommitted_bytes as u64,
        max_committed_size_per_ready: max_apply_bytes,
        // Followers hear of commits by `work_on_proposals`.
        skip_bcast_commit: true,
        ..Config::default()
    }
}
