//! A hub replica: the real driver on a simulated disk, stepped turn by turn, with the leader task beside it.
//!
//! ```text
//!  ticks, peers, proposals, reads --> inbox --Turn--> Driver --> messages, answers, events
//!                                                       |
//!                                    leader task <-- what happened, role, ends of what it asked for
//! ```
//!
//! Both are wired as `federation/controller` wires them; the order between them is left to chance within its contract.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use muster_consensus::log_store::{DiskFault, MemoryDisk, MemoryLogStore};
use muster_consensus::snapshot::MemorySnapshots;
use muster_consensus::{
    Answer, ClusterId, CompactionPolicy, Driver, DriverConfig, Effects, Identity, Input, Membership,
    Outbound, Outbox, Outcome, ReadOutcome, ReplicaConfig, ReplicaId, Role, SnapshotJob, Status, Token,
};
use muster_leader::{ProposalId, RoundId};
use muster_model::TimeMs;

use super::client::TryId;
use super::event::{Event, Life, REPLICAS};
use super::hub_machine::{Frozen, HubMachine, Outlet};
use super::leader_task::{Ended, LeaderTask, TaskInput};
use super::operator::Care;
use super::world::World;

/// Between two ticks of raft.
const TICK_MS: u64 = 50;

/// One replica's host: its disk, and its process if it runs.
pub struct Replica {
    pub(super) disk: MemoryDisk,
    pub(super) life: Life,
    pub(super) process: Option<Process>,
    /// How much longer than usual its disk takes, at most.
    pub(super) slow_ms: u64,
    /// It does not check out: an operator has to look after it.
    pub(super) care: Option<Care>,
    /// A copy of its folder from earlier.
    pub(super) older: Option<MemoryDisk>,
}

/// One life of a replica.
pub struct Process {
    pub(super) driver: Driver<MemoryLogStore, HubMachine>,
    outlet: Rc<RefCell<Outlet>>,
    inbox: Vec<Input>,
    turn_is_due: bool,
    job: Option<SnapshotJob<MemorySnapshots, Frozen>>,
    waiting: BTreeMap<Token, Waiter>,
    next_token: u64,
    position: (Role, u64),
    /// What lay between the time since boot and the time of day when the process began.
    clock_offset: u64,
    /// The next turn is its last, and stops in the middle.
    pub(super) dies_in_turn: Option<u64>,
    /// Its next write is its last: with the power, what was not synced goes.
    pub(super) dies_at_write: Option<bool>,
    /// The fault that waits for its next snapshot.
    pub(super) dies_in_snapshot: Option<usize>,
    /// Its thread waits for the disk until then.
    busy_until: u64,
    pub(super) task: LeaderTask,
}

/// Who waits for the end of a request.
#[derive(Clone, Copy, Debug)]
pub enum Waiter {
    /// The leader task's proposal.
    Proposal { term: u64, id: ProposalId },
    /// The leader task's round.
    Round { term: u64, round: RoundId },
    /// A client's write.
    Write(TryId),
    /// A client's read.
    Read(TryId),
}

/// Keeps messages apart: those that left before the fsync, and those after it.
struct Wire<'a> {
    disk: &'a MemoryDisk,
    syncs: u64,
    messages: Vec<(bool, Outbound)>,
}

impl Outbox for Wire<'_> {
    fn send(&mut self, message: Outbound) {
        let after_sync = self.disk.syncs() > self.syncs;
        self.messages.push((after_sync, message));
    }
}

impl Replica {
    pub(super) fn new(index: usize) -> Replica {
        let identity = Identity { cluster: ClusterId(7), replica: replica_id(index) };
        Replica {
            disk: MemoryDisk::new(identity),
            life: 0,
            process: None,
            slow_ms: 0,
            care: None,
            older: None,
        }
    }

    /// Where it stands, if it runs.
    pub fn status(&self) -> Option<Status> {
        self.process.as_ref().map(|process| process.driver.status())
    }

    pub(super) fn leads(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.position.0 == Role::Leader)
    }
}

impl Process {
    pub(super) fn clock(&self, boot_ms: u64) -> TimeMs {
        TimeMs(self.clock_offset + boot_ms)
    }
}

fn replica_id(index: usize) -> ReplicaId {
    ReplicaId::new(index as u64 + 1).expect("it is not zero")
}

fn index_of(id: ReplicaId) -> usize {
    id.get() as usize - 1
}

fn config(seed: u64) -> DriverConfig {
    DriverConfig {
        replica: ReplicaConfig { seed, ..ReplicaConfig::default() },
        compaction: CompactionPolicy {
            snapshot_after_bytes: 1 << 20,
            snapshot_after_entries: 250,
            keep_entries: 40,
            keep_bytes: 1 << 20,
        },
        bootstrap: Some(Membership::of_voters((0..REPLICAS).map(replica_id))),
    }
}

impl World {
    /// Starts a replica's process from its disk.
    pub(super) fn start_replica(&mut self, replica: usize) {
        let now = self.now;
        let clock = self.hosts[replica].clock.read(now);
        let outlet = Rc::<RefCell<Outlet>>::default();
        let node = &mut self.replicas[replica];
        let machine = HubMachine::new(Rc::clone(&outlet), Rc::clone(&self.newest_applied));
        let driver = match Driver::open(&config(self.seed), node.disk.open(), machine) {
            Ok(driver) => driver,
            Err(error) => return self.replica_refuses(replica, &error),
        };
        if node.care == Some(Care::Damaged) {
            return self.checks.fail("S16", format!("replica {replica} starts from what was damaged"));
        }
        node.life += 1;
        let life = node.life;
        let status = driver.status();
        node.process = Some(Process {
            driver,
            outlet,
            inbox: Vec::new(),
            turn_is_due: false,
            job: None,
            waiting: BTreeMap::new(),
            next_token: 0,
            position: (status.role, status.term),
            clock_offset: clock.real_ms.saturating_sub(clock.boot_ms),
            dies_in_turn: None,
            dies_at_write: None,
            dies_in_snapshot: None,
            busy_until: 0,
            task: LeaderTask::default(),
        });
        self.trace.line(now, REPLICA_NAMES[replica], "starts", format_args!("term {}", status.term));
        self.look_at_applied(replica);
        let (tick, task) = (self.random.below(TICK_MS), self.random.below(100));
        self.queue.push(now + 1 + tick, Event::ReplicaTick { replica, life });
        self.queue.push(now + 1 + task, Event::TaskTick { replica, life });
    }

    /// The process is gone. With the power, so is what was not synced.
    pub(super) fn stop_replica(&mut self, replica: usize, power_lost: bool) {
        let node = &mut self.replicas[replica];
        node.life += 1;
        let Some(process) = node.process.take() else { return };
        if power_lost {
            node.disk.crash();
        } else {
            node.disk.settle();
        }
        drop(process);
        self.trace.line(
            self.now,
            REPLICA_NAMES[replica],
            "dies",
            format_args!("{}", if power_lost { "power lost" } else { "killed" }),
        );
        self.streams_of_replica_end(replica);
    }

    pub(super) fn restart_replica_in(&mut self, replica: usize, ms: u64) {
        let life = self.replicas[replica].life;
        self.queue.push(self.now + ms, Event::StartReplica { replica, life });
    }

    pub(super) fn replica_tick(&mut self, replica: usize, life: Life) {
        let next = self.hosts[replica].clock.true_ms_of(TICK_MS).max(1);
        self.queue.push(self.now + next, Event::ReplicaTick { replica, life });
        self.give(replica, Input::Tick);
    }

    /// Puts something into the inbox of the consensus thread.
    pub(super) fn give(&mut self, replica: usize, input: Input) {
        let life = self.replicas[replica].life;
        let delay = self.random.below(2);
        let Some(process) = &mut self.replicas[replica].process else { return };
        process.inbox.push(input);
        if !std::mem::replace(&mut process.turn_is_due, true) {
            let at = (self.now + delay).max(process.busy_until);
            self.queue.push(at, Event::Turn { replica, life });
        }
    }

    /// Asks consensus for something whose end goes to `waiter`.
    pub(super) fn ask(&mut self, replica: usize, waiter: Waiter, input: impl FnOnce(Token) -> Input) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        process.next_token += 1;
        let token = Token(process.next_token);
        process.waiting.insert(token, waiter);
        self.give(replica, input(token));
    }

    pub(super) fn peer_arrived(&mut self, from: usize, to: usize, bytes: bytes::Bytes) {
        self.give(to, Input::Peer { from: replica_id(from), bytes });
    }

    pub(super) fn turn(&mut self, replica: usize) {
        let node = &mut self.replicas[replica];
        let Some(process) = &mut node.process else { return };
        process.turn_is_due = false;
        let inputs = std::mem::take(&mut process.inbox);
        // To die before the fsync is to fail it.
        let dies = process.dies_in_turn.take();
        if dies.is_some_and(|how| how.is_multiple_of(2)) {
            node.disk.inject(DiskFault::FailedSync);
        }
        let mut wire = Wire { disk: &node.disk, syncs: node.disk.syncs(), messages: Vec::new() };
        let mut effects = Effects::default();
        let result = process.driver.handle(inputs, &mut wire, &mut effects);
        let mut messages = wire.messages;
        if let Some(how) = dies {
            messages.truncate(how as usize / 2 % (messages.len() + 1));
        }
        self.look_at_applied(replica);
        self.send_to_peers(replica, messages);
        if dies.is_some() || result.is_err() {
            self.trace.line(self.now, REPLICA_NAMES[replica], "ends", format_args!("in a turn"));
            let (chance, down) = (self.random.chance(700), self.random.between(20, 3_000));
            let told = self.replicas[replica].process.as_ref().and_then(|process| process.dies_at_write);
            let power_lost = told.unwrap_or(chance);
            self.stop_replica(replica, power_lost);
            return self.restart_replica_in(replica, down);
        }
        self.after_turn(replica, effects);
    }

    fn send_to_peers(&mut self, replica: usize, messages: Vec<(bool, Outbound)>) {
        let slow = self.replicas[replica].slow_ms;
        let sync = self.random.between(0, 4) + self.random.below(slow + 1);
        if let Some(process) = self.replicas[replica].process.as_mut().filter(|_| slow > 0) {
            process.busy_until = self.now + sync;
        }
        for (after_sync, message) in messages {
            let to = index_of(message.to);
            let begin = self.now + if after_sync { sync } else { 0 };
            self.trace.line(
                self.now,
                REPLICA_NAMES[replica],
                "raft",
                format_args!(
                    "to {} {} bytes {:08x}",
                    REPLICA_NAMES[to],
                    message.bytes.len(),
                    sum(&message.bytes)
                ),
            );
            for delay in self.network.datagram().into_iter().flatten() {
                let bytes = message.bytes.clone();
                self.queue.push(begin + delay, Event::Peer { from: replica, to, bytes });
            }
        }
    }

    fn after_turn(&mut self, replica: usize, effects: Effects<MemoryLogStore, HubMachine>) {
        if let Some(job) = effects.snapshot_job {
            let (life, delay) = (self.replicas[replica].life, self.random.between(5, 400));
            if let Some(process) = &mut self.replicas[replica].process {
                process.job = Some(job);
                self.queue.push(self.now + delay, Event::SnapshotWritten { replica, life });
            }
        }
        let before = self.random.chance(500);
        if before {
            self.tell_role(replica);
        }
        self.tell_happened(replica);
        for answer in effects.answers {
            self.answer(replica, answer);
        }
        if !before {
            self.tell_role(replica);
        }
        self.wake_task(replica);
    }

    pub(super) fn snapshot_written(&mut self, replica: usize) {
        if self.dies_in_snapshot(replica) {
            return;
        }
        let job = self.replicas[replica].process.as_mut().and_then(|process| process.job.take());
        if let Some(job) = job {
            let index = job.index();
            self.trace.line(self.now, REPLICA_NAMES[replica], "snapshot", format_args!("at {index}"));
            self.give(replica, Input::SnapshotWritten(job.run()));
        }
    }

    /// Role and term go to the leader task when they changed.
    fn tell_role(&mut self, replica: usize) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        let (role, term, _) = process.driver.position();
        if process.position == (role, term) {
            return;
        }
        process.position = (role, term);
        process.task.inbox.push_back(TaskInput::Role);
        self.trace.line(self.now, REPLICA_NAMES[replica], "role", format_args!("{role:?} in term {term}"));
        if role == Role::Leader {
            self.checks.raft.leads(term, replica, &mut self.checks.found);
        }
    }

    fn tell_happened(&mut self, replica: usize) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        let happened = std::mem::take(&mut process.outlet.borrow_mut().happened);
        process.task.inbox.extend(happened.into_iter().map(TaskInput::Happened));
    }

    /// Shows the checks what was applied, whatever becomes of the process then.
    fn look_at_applied(&mut self, replica: usize) {
        let Some(process) = &self.replicas[replica].process else { return };
        let mut outlet = process.outlet.borrow_mut();
        let steps = std::mem::take(&mut outlet.steps);
        let restored = std::mem::take(&mut outlet.restored);
        drop(outlet);
        for (index, digest) in restored {
            self.trace.line(
                self.now,
                REPLICA_NAMES[replica],
                "installs",
                format_args!("snapshot at {index}"),
            );
            self.checks.same_bytes.restored(replica, index, digest, &mut self.checks.found);
        }
        for step in steps {
            self.check_step(replica, &step);
        }
    }

    fn answer(&mut self, replica: usize, answer: Answer<muster_model::Answer>) {
        let Some(process) = &mut self.replicas[replica].process else { return };
        let (role, led, _) = process.driver.position();
        match answer {
            Answer::Proposal { token, outcome } => match process.waiting.remove(&token) {
                Some(Waiter::Proposal { term, id }) => {
                    let outcome = match outcome {
                        Outcome::Committed { answer, .. } => muster_leader::Outcome::Answered(answer),
                        _ => muster_leader::Outcome::Unknown,
                    };
                    process.task.inbox.push_back(TaskInput::Ended(Ended::Proposal { term, id, outcome }));
                }
                Some(Waiter::Write(attempt)) => self.write_ended(replica, attempt, outcome),
                _ => {}
            },
            Answer::Read { token, outcome } => match process.waiting.remove(&token) {
                Some(Waiter::Round { term, round }) => {
                    let ReadOutcome::Ready { index } = outcome else { return };
                    // A round vouches for heartbeats only if this replica still led when it ended: another leader's
                    // read index says nothing about who the members talk to.
                    if role == Role::Leader && led == term {
                        process.task.inbox.push_back(TaskInput::Ended(Ended::Read { term, round, index }));
                    }
                }
                Some(Waiter::Read(attempt)) => self.read_ended(replica, attempt, outcome),
                _ => {}
            },
            Answer::Membership { .. } => {}
        }
    }
}

/// For the trace.
pub const REPLICA_NAMES: [&str; REPLICAS] = ["hub-1", "hub-2", "hub-3"];

/// A short name of some bytes, for the trace.
fn sum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}
