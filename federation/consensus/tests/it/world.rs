//! A small deterministic world: drivers on simulated disks, a network that delays, drops, duplicates and cuts, and
//! checkers that look after every turn.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use muster_consensus::log_store::{DiskFault, MemoryDisk, MemoryLogStore};
use muster_consensus::snapshot::MemorySnapshots;
use muster_consensus::{
    Answer, CompactionPolicy, Driver, DriverConfig, Effects, Event, Input, Limits, LogPosition, Membership,
    MembershipChange, Outbound, Outcome, ReadOutcome, ReplicaConfig, Role, SnapshotJob, Status, Timing,
    Token,
};

use crate::ledger::{FrozenLedger, Ledger, identity, replica};

pub type TestDriver = Driver<MemoryLogStore, Ledger>;

pub struct World {
    pub now: u64,
    pub nodes: BTreeMap<u64, Node>,
    pub cut: BTreeSet<(u64, u64)>,
    pub faults: Faults,
    pub answers: BTreeMap<Token, Outcome<usize>>,
    pub changes: BTreeMap<Token, Outcome<Membership>>,
    pub reads: BTreeMap<Token, ReadOutcome>,
    pub events: Vec<(u64, Event)>,
    pub sent_messages: u64,
    /// Makes what a hostile peer sends of a message. With it, only panics count: raft promises nothing then.
    pub hostile: Option<fn(&mut Random, &Bytes) -> Bytes>,
    random: Random,
    flying: BTreeMap<(u64, u64), (u64, u64, Bytes)>,
    next_message: u64,
    next_token: u64,
    trace: u32,
    leaders: BTreeMap<u64, u64>,
    committed: BTreeMap<u64, Bytes>,
    config: DriverConfig,
}

pub struct Node {
    pub disk: MemoryDisk,
    pub driver: Option<TestDriver>,
    job: Option<(u64, SnapshotJob<MemorySnapshots, FrozenLedger>)>,
    next_tick: u64,
}

/// Per mille of messages.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub dropped: u64,
    pub duplicated: u64,
    pub max_delay: u64,
}

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// Virtual milliseconds.
const TICK: u64 = 50;

pub fn small_config(seed: u64, voters: u64) -> DriverConfig {
    DriverConfig {
        replica: ReplicaConfig { seed, timing: Timing::default(), limits: Limits::default() },
        compaction: CompactionPolicy {
            snapshot_after_bytes: 1 << 20,
            snapshot_after_entries: 25,
            keep_entries: 5,
            keep_bytes: 1 << 20,
        },
        bootstrap: Some(Membership::of_voters((1..=voters).map(replica))),
    }
}

impl World {
    pub fn new(seed: u64, voters: u64) -> Self {
        Self::with_config(seed, voters, small_config(seed, voters))
    }

    pub fn with_config(seed: u64, voters: u64, config: DriverConfig) -> Self {
        let mut world = Self {
            now: 0,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
            faults: Faults { max_delay: 3, ..Faults::default() },
            answers: BTreeMap::new(),
            changes: BTreeMap::new(),
            reads: BTreeMap::new(),
            events: Vec::new(),
            sent_messages: 0,
            hostile: None,
            random: Random(seed),
            flying: BTreeMap::new(),
            next_message: 0,
            next_token: 0,
            trace: 0,
            leaders: BTreeMap::new(),
            committed: BTreeMap::new(),
            config,
        };
        (1..=voters).for_each(|id| world.add(id));
        world
    }

    pub fn add(&mut self, id: u64) {
        let disk = MemoryDisk::new(identity(id));
        let next_tick = self.now + self.random.below(TICK);
        self.nodes.insert(id, Node { disk, driver: None, job: None, next_tick });
        self.start(id);
    }

    /// A replica that was not among the founders.
    pub fn join(&mut self, id: u64) {
        self.config.bootstrap = None;
        self.add(id);
    }

    pub fn start(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).unwrap();
        let ledger = Ledger { lenient: self.hostile.is_some(), ..Ledger::default() };
        node.driver = Some(Driver::open(&self.config, node.disk.open(), ledger).unwrap());
        self.check(id);
    }

    /// Lose power: what was not synced is lost, requests in flight have no end.
    pub fn crash(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.driver = None;
        node.job = None;
        node.disk.crash();
    }

    /// While it is down: its folder is replaced by an empty one.
    pub fn wipe(&mut self, id: u64) {
        self.nodes.get_mut(&id).unwrap().disk = MemoryDisk::new(identity(id));
    }

    pub fn fail_disk(&mut self, id: u64, fault: DiskFault) {
        self.nodes[&id].disk.inject(fault);
    }

    pub fn cut_off(&mut self, id: u64) {
        for other in self.nodes.keys().copied().filter(|other| *other != id) {
            self.cut.insert((id, other));
            self.cut.insert((other, id));
        }
    }

    pub fn propose(&mut self, id: u64, bytes: impl Into<Bytes>) -> Token {
        let token = self.token();
        self.handle(id, vec![Input::Propose { token, bytes: bytes.into() }]);
        token
    }

    pub fn read(&mut self, id: u64) -> Token {
        let token = self.token();
        self.handle(id, vec![Input::Read { token }]);
        token
    }

    pub fn change(&mut self, id: u64, change: MembershipChange) -> Token {
        let token = self.token();
        self.handle(id, vec![Input::ChangeMembership { token, change }]);
        token
    }

    pub fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    pub fn handle(&mut self, id: u64, inputs: Vec<Input>) {
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(driver) = node.driver.as_mut() else { return };
        let mut outbox: Vec<Outbound> = Vec::new();
        let mut effects = Effects::default();
        let result = driver.handle(inputs, &mut outbox, &mut effects);
        if let Some(job) = effects.snapshot_job.take() {
            node.job = Some((self.now + self.random.below(40), job));
        }
        if result.is_err() {
            node.driver = None;
            node.job = None;
        }
        self.note(id, effects);
        outbox.iter().for_each(|message| self.send(id, message));
        self.check(id);
    }

    /// Let virtual time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.step();
        }
    }

    /// Let time pass until something holds; fails after 60 virtual seconds.
    pub fn run_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = self.now + 60_000;
        while !holds(self) {
            assert!(self.now < deadline, "never happened: {what}; {:#?}", self.statuses());
            self.step();
        }
    }

    /// One virtual millisecond. All that is due at a replica goes into one turn, as in the real loop.
    pub fn step(&mut self) {
        self.now += 1;
        let mut due: BTreeMap<u64, Vec<Input>> = BTreeMap::new();
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= self.now) {
            let (from, to, bytes) = first.remove();
            if self.cut.contains(&(from, to)) {
                continue;
            }
            let inputs = due.entry(to).or_default();
            let changed = self.hostile.map(|mutate| mutate(&mut self.random, &bytes));
            inputs.extend(changed.map(|bytes| Input::Peer { from: replica(from), bytes }));
            inputs.push(Input::Peer { from: replica(from), bytes });
        }
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            self.run_job(id);
            let now = self.now;
            let mut inputs = due.remove(&id).unwrap_or_default();
            let node = self.nodes.get_mut(&id).unwrap();
            if node.next_tick <= now {
                node.next_tick = now + TICK;
                inputs.push(Input::Tick);
            }
            if !inputs.is_empty() {
                self.handle(id, inputs);
            }
        }
    }

    pub fn leader(&self) -> Option<u64> {
        let leading = self.statuses().into_iter().filter(|status| status.role == Role::Leader);
        leading.max_by_key(|status| status.term).map(|status| status.id.get())
    }

    pub fn elect(&mut self) -> u64 {
        self.run_until("a leader", |world| world.leader().is_some());
        self.leader().unwrap()
    }

    pub fn statuses(&self) -> Vec<Status> {
        self.nodes.values().filter_map(|node| node.driver.as_ref()).map(Driver::status).collect()
    }

    pub fn ledger(&self, id: u64) -> &Ledger {
        self.nodes[&id].driver.as_ref().unwrap().machine()
    }

    pub fn trace(&self) -> u32 {
        self.trace
    }

    /// Take all faults back and start what is down.
    pub fn mend(&mut self) {
        self.cut.clear();
        self.faults = Faults { max_delay: 3, ..Faults::default() };
        self.nodes.values().for_each(|node| node.disk.repair());
        let down: Vec<u64> =
            self.nodes.iter().filter(|(_, node)| node.driver.is_none()).map(|(id, _)| *id).collect();
        down.into_iter().for_each(|id| self.start(id));
    }

    /// Heal everything and let it settle: all replicas hold the same.
    pub fn heal(&mut self) {
        self.mend();
        let leader = self.elect();
        let token = self.propose(leader, "the last one");
        self.run_until("all replicas agree", |world| {
            world.answers.contains_key(&token)
                && world.nodes.keys().all(|id| world.ledger(*id).entries == world.ledger(leader).entries)
        });
        self.check_log_matching();
    }

    fn run_job(&mut self, id: u64) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap();
        if let Some((_, job)) = node.job.take_if(|(at, _)| *at <= now) {
            let written = job.run();
            self.handle(id, vec![Input::SnapshotWritten(written)]);
        }
    }

    fn send(&mut self, from: u64, message: &Outbound) {
        self.sent_messages += 1;
        self.trace = crc32c::crc32c_append(self.trace, &message.bytes);
        if self.random.below(1_000) < self.faults.dropped {
            return;
        }
        let copies = if self.random.below(1_000) < self.faults.duplicated { 2 } else { 1 };
        for _ in 0..copies {
            self.next_message += 1;
            let at = self.now + 1 + self.random.below(self.faults.max_delay.max(1));
            self.flying.insert((at, self.next_message), (from, message.to.get(), message.bytes.clone()));
        }
    }

    fn note(&mut self, id: u64, effects: Effects<MemoryLogStore, Ledger>) {
        for answer in effects.answers {
            self.trace = crc32c::crc32c_append(self.trace, format!("{answer:?}").as_bytes());
            let first = match answer {
                Answer::Proposal { token, outcome } => self.answers.insert(token, outcome).is_none(),
                Answer::Membership { token, outcome } => self.changes.insert(token, outcome).is_none(),
                Answer::Read { token, outcome } => self.reads.insert(token, outcome).is_none(),
            };
            assert!(first, "a request ended twice");
        }
        self.events.extend(effects.events.into_iter().map(|event| (id, event)));
    }

    /// Election safety; committed is immutable.
    fn check(&mut self, id: u64) {
        let Some(driver) = &self.nodes[&id].driver else { return };
        if self.hostile.is_some() {
            return;
        }
        let status = driver.status();
        if status.role == Role::Leader {
            let known = *self.leaders.entry(status.term).or_insert(id);
            assert_eq!(known, id, "two leaders in term {}", status.term);
        }
        assert!(status.applied <= status.committed);
        for (index, bytes) in driver.machine().entries.iter().rev().take(8) {
            let known = self.committed.entry(*index).or_insert_with(|| bytes.clone());
            assert_eq!(known, bytes, "index {index} was committed with two contents");
        }
    }

    /// Two logs with the same term at an index are the same up to there.
    pub fn check_log_matching(&self) {
        let logs: Vec<BTreeMap<LogPosition, Bytes>> = self
            .nodes
            .values()
            .filter_map(|node| node.driver.as_ref())
            .map(|driver| driver.replica().log_entries().map(|e| (e.position(), e.bytes)).collect())
            .collect();
        for (number, one) in logs.iter().enumerate() {
            for other in &logs[number + 1..] {
                let Some(last) = one.keys().rev().find(|at| other.contains_key(at)) else { continue };
                let first = one.keys().next().max(other.keys().next()).unwrap();
                let upto = |log: &BTreeMap<LogPosition, Bytes>| {
                    log.range(first..=last).map(|(at, bytes)| (*at, bytes.clone())).collect::<Vec<_>>()
                };
                assert_eq!(upto(one), upto(other), "logs differ before {last:?}");
            }
        }
    }
}
