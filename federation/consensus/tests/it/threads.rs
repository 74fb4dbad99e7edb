//! Three replicas with real threads, real clocks and real files; only the network is a function call.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use muster_consensus::log_store::{SegmentLogStore, SegmentOptions};
use muster_consensus::{
    Driver, DriverConfig, Handle, MachineError, Membership, Outbound, Outbox, Outcome, ReadOutcome, Role,
    Runtime, RuntimeConfig, StateMachine, Stopped,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::ledger::{FrozenLedger, Ledger, identity, replica};

/// A ledger that the test can look into.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Ledger>>);

impl StateMachine for Shared {
    type Answer = usize;
    type Frozen = FrozenLedger;

    fn apply(&mut self, index: u64, term: u64, bytes: &Bytes) -> Result<usize, MachineError> {
        self.0.lock().unwrap().apply(index, term, bytes)
    }

    fn freeze(&mut self) -> FrozenLedger {
        self.0.lock().unwrap().freeze()
    }

    fn restore(&mut self, index: u64, reader: &mut dyn Read) -> Result<(), MachineError> {
        self.0.lock().unwrap().restore(index, reader)
    }
}

type Handles = Arc<Mutex<BTreeMap<u64, Handle<usize>>>>;

/// Delivers by a call.
struct Wire {
    from: u64,
    handles: Handles,
}

impl Outbox for Wire {
    fn send(&mut self, message: Outbound) {
        let to = self.handles.lock().unwrap().get(&message.to.get()).cloned();
        if let Some(to) = to {
            to.deliver(replica(self.from), message.bytes);
        }
    }
}

struct Hub {
    folder: TempDir,
    handles: Handles,
    stopped: BTreeMap<u64, Stopped>,
    machines: BTreeMap<u64, Shared>,
}

impl Hub {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut hub =
            Self { folder, handles: Handles::default(), stopped: BTreeMap::new(), machines: BTreeMap::new() };
        (1..=3).for_each(|id| hub.start_replica(id));
        hub
    }

    fn start_replica(&mut self, id: u64) {
        let options = SegmentOptions::new(self.folder.path().join(id.to_string()), identity(id));
        let mut config = DriverConfig {
            bootstrap: Some(Membership::of_voters((1..=3).map(replica))),
            ..DriverConfig::default()
        };
        config.replica.seed = id;
        config.compaction.snapshot_after_entries = 3_000;
        let machine = Shared::default();
        self.machines.insert(id, machine.clone());
        let driver = Driver::open(&config, SegmentLogStore::open(&options).unwrap(), machine).unwrap();
        let wire = Wire { from: id, handles: self.handles.clone() };
        let (handle, stopped) = Runtime::start(driver, RuntimeConfig::default(), wire);
        self.handles.lock().unwrap().insert(id, handle);
        self.stopped.insert(id, stopped);
    }

    /// Drop a replica as it is, without a word to the others.
    async fn kill(&mut self, id: u64) {
        self.handles.lock().unwrap().remove(&id);
        self.stopped.remove(&id).unwrap().wait().await.unwrap();
    }

    fn handle(&self, id: u64) -> Handle<usize> {
        self.handles.lock().unwrap()[&id].clone()
    }

    fn ids(&self) -> Vec<u64> {
        self.handles.lock().unwrap().keys().copied().collect()
    }

    async fn leader(&self) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let leading = self.ids().into_iter().find(|id| {
                let status = self.handle(*id).status().borrow().clone();
                status.running && status.replica.role == Role::Leader
            });
            match leading {
                Some(id) => return id,
                None => assert!(Instant::now() < deadline, "no leader"),
            }
            let mut status = self.handle(self.ids()[0]).status();
            let _ = tokio::time::timeout(Duration::from_millis(5), status.changed()).await;
        }
    }

    /// Propose until it is acknowledged, wherever the leader is.
    async fn write(&self, bytes: Bytes) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let leader = self.leader().await;
            if let Outcome::Committed { .. } = self.handle(leader).propose(bytes.clone()).await {
                return;
            }
        }
        panic!("not acknowledged");
    }

    async fn agree(&self) -> Vec<Bytes> {
        self.write(Bytes::from(format!("agree at {:?}", Instant::now()))).await;
        let leader = self.leader().await;
        let expected = self.contents(leader);
        for id in self.ids() {
            let ReadOutcome::Ready { .. } = self.handle(id).read_index().await else {
                panic!("no read on {id}")
            };
            assert_eq!(self.contents(id), expected, "replica {id} differs");
        }
        expected
    }

    fn contents(&self, id: u64) -> Vec<Bytes> {
        self.machines[&id].0.lock().unwrap().entries.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Many proposals, `in_flight` at a time; returns those acknowledged.
    async fn load(&self, count: usize, in_flight: usize, name: &str) -> Vec<Bytes> {
        let leader = self.handle(self.leader().await);
        let mut running = JoinSet::new();
        let mut acknowledged = Vec::new();
        for number in 0..count {
            if running.len() >= in_flight {
                acknowledged.extend(running.join_next().await.unwrap().unwrap());
            }
            let (leader, bytes) = (leader.clone(), Bytes::from(format!("{name} {number} {:0>200}", "")));
            running.spawn(async move {
                let outcome = leader.propose(bytes.clone()).await;
                matches!(outcome, Outcome::Committed { .. }).then_some(bytes)
            });
        }
        acknowledged.extend(running.join_all().await.into_iter().flatten());
        acknowledged
    }
}

fn contains_all(there: &[Bytes], expected: &[Bytes]) {
    let there: std::collections::BTreeSet<&Bytes> = there.iter().collect();
    let lost = expected.iter().filter(|bytes| !there.contains(bytes)).count();
    assert_eq!(lost, 0, "{lost} acknowledged proposals were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_proposals_survive_a_kill() {
    let mut hub = Hub::start();
    let begun = Instant::now();
    let mut acknowledged = hub.load(10_000, 256, "a").await;
    let rate = 10_000 * 1_000 / begun.elapsed().as_millis().max(1);
    println!("256 in flight: {rate} proposals/s");
    assert_eq!(acknowledged.len(), 10_000);
    let killed = hub.leader().await;
    hub.kill(killed).await;
    let begun = Instant::now();
    hub.write(Bytes::from_static(b"after the kill")).await;
    println!("failover: {:?}", begun.elapsed());
    acknowledged.extend(hub.load(1_000, 64, "b").await);
    hub.start_replica(killed);
    contains_all(&hub.agree().await, &acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_loses_nothing() {
    let mut hub = Hub::start();
    let acknowledged = hub.load(500, 64, "a").await;
    for id in 1..=3 {
        hub.kill(id).await;
    }
    let begun = Instant::now();
    (1..=3).for_each(|id| hub.start_replica(id));
    hub.write(Bytes::from_static(b"after the restart")).await;
    println!("restart of all to first write: {:?}", begun.elapsed());
    contains_all(&hub.agree().await, &acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_and_reads() {
    let hub = Hub::start();
    let leader = hub.handle(hub.leader().await);
    let mut times = Vec::new();
    for number in 0..300 {
        let begun = Instant::now();
        let outcome = leader.propose(Bytes::from(format!("{number}"))).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!("one at a time: p50 {:?}, p99 {:?}", times[150], times[297]);
    let mut reads = Vec::new();
    for number in 0..100 {
        let Outcome::Committed { index, .. } = leader.propose(Bytes::from(format!("read {number}"))).await
        else {
            panic!("not committed")
        };
        let reader = hub.handle(1 + number % 3);
        let begun = Instant::now();
        let ReadOutcome::Ready { index: seen } = reader.read_index().await else { panic!("no read") };
        reads.push(begun.elapsed());
        assert!(seen >= index);
        let newest = hub.machines[&(1 + number % 3)].0.lock().unwrap().entries.last().unwrap().0;
        assert!(newest >= index, "the read came before the apply");
    }
    reads.sort_unstable();
    println!("reads: p50 {:?}, p99 {:?}", reads[50], reads[98]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_hands_leadership_over() {
    let mut hub = Hub::start();
    hub.write(Bytes::from_static(b"before")).await;
    let old = hub.leader().await;
    let leaving = hub.handle(old);
    let begun = Instant::now();
    leaving.shutdown();
    hub.stopped.remove(&old).unwrap().wait().await.unwrap();
    hub.handles.lock().unwrap().remove(&old);
    hub.write(Bytes::from_static(b"after")).await;
    println!("handover: {:?}", begun.elapsed());
    assert!(!leaving.status().borrow().running);
    let outcome = leaving.propose(Bytes::from_static(b"too late")).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}
