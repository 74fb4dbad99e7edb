//! Burst pools: when a member is asked for, and when it goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use muster_core::State;
use muster_leader::{Action, PoolVerdict};
use muster_model::*;

use crate::hub::{Hub, create, job_spec};

fn pool_key() -> Key {
    Key::new(kinds::BURST_POOL, "", "spot")
}

/// A pool of members with one Node of 16 GPUs, twice as many as any Node of the others has.
fn pool(change: impl FnOnce(&mut BurstPoolSpec)) -> Command {
    let allocatable = Resources { gpu_milli: 16_000, cpu_milli: 96_000, memory_bytes: 1 << 40 };
    let mut spec = BurstPoolSpec {
        module: "process-cluster".into(),
        variables: BTreeMap::new(),
        member: ClusterSpec {
            location: Location::region("aws", "us-east-1"),
            price_class: PriceClass::Spot,
            backend: Backend::Process,
            labels: BTreeMap::new(),
            taints: vec![],
            unschedulable: false,
            transfer_bytes_per_second: None,
        },
        shapes: vec![NodeShape { gpu_model: Some(GpuModel::new("A100")), allocatable, nodes: 1 }],
        min: 0,
        max: 2,
        price_cap: MicroUsd(40_000_000),
        idle_ttl: DurationMs::from_secs(60),
        join_timeout: DurationMs::from_secs(120),
    };
    change(&mut spec);
    create(pool_key(), Spec::BurstPool(Arc::new(spec)))
}

fn prices(spot: i128) -> Command {
    let price = GpuPrice {
        place: Location::region("aws", "us-east-1"),
        gpu_model: GpuModel::new("A100"),
        on_demand: MicroUsd(5_000_000),
        spot: Some(MicroUsd(spot.try_into().expect("a price"))),
        interruptions_milli_per_hour: 0,
        source: "list".into(),
        as_of: TimeMs(0),
        held: None,
    };
    let book = PriceBookSpec { compute: vec![price], egress: vec![], max_age: None };
    create(Key::new(kinds::PRICE_BOOK, "", "list"), Spec::PriceBook(Arc::new(book)))
}

fn big_job(name: &str, gpus: u64) -> Command {
    let mut spec = job_spec(PartitionPolicy::Keep);
    spec.pod_sets[0].request.gpu_milli = gpus * 1000;
    create(Key::job("default", name), Spec::Job(spec.into()))
}

fn terraform(holds: bool) -> Command {
    let condition = PoolCondition {
        kind: PoolConditionKind::Terraform,
        holds,
        reason: if holds { "Found" } else { "TerraformMissing" }.into(),
        message: if holds { "terraform 1.11.4" } else { "install Terraform" }.into(),
        since: TimeMs(0),
    };
    Command::Burst(Box::new(BurstCommand::Tell { pool: pool_key(), condition }))
}

fn hub(spot: i128, change: impl FnOnce(&mut BurstPoolSpec)) -> Hub {
    let mut hub = Hub::new(&["a"]);
    for command in [prices(spot), pool(change), terraform(true)] {
        hub.apply(command);
        hub.commit();
    }
    hub.wait(400);
    hub.commit();
    hub
}

impl Hub {
    fn burst_pool(&self) -> &BurstPool {
        self.state.get(&pool_key()).and_then(|object| object.burst_pool()).expect("the pool")
    }

    fn phase(&self) -> Option<IntentPhase> {
        self.burst_pool().status.intents.last().map(|intent| intent.phase)
    }

    /// The edge's part: Terraform is done.
    fn edge(&mut self, to: IntentPhase) {
        let intent = self.burst_pool().status.intents.last().cloned().expect("an intent");
        let step = IntentStep { pool: pool_key(), intent: intent.id, from: intent.phase, to, failure: None };
        let (answer, _) = self.apply(Command::Burst(Box::new(BurstCommand::Step(step))));
        assert!(!matches!(answer, Answer::Rejected(_)), "{answer:?}");
        self.commit();
    }

    /// Time passes, and everything proposed is committed at once.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.wait(100);
            self.commit();
        }
    }

    fn verdict(&self) -> String {
        match self.leader.pool_outlook(&pool_key()).expect("the pool").verdict {
            PoolVerdict::Wanted(because) => format!("wanted: {because}"),
            PoolVerdict::NotWanted { reason, fix } => format!("{reason} | {}", fix.unwrap_or_default()),
        }
    }
}

fn is_request(actions: &[Action]) -> bool {
    actions.iter().any(|action| {
        matches!(action, Action::Propose { command: Command::Burst(burst), .. } if matches!(**burst, BurstCommand::Request { .. }))
    })
}

fn check(hub: &Hub, want: &Expect) {
    want.assert_eq(&hub.verdict());
}

#[test]
fn a_job_that_fits_nowhere_else_gets_a_member_after_a_while() {
    let mut hub = hub(1_000_000, |_| {});
    check(&hub, &expect!["no job waits that would fit a member and finds no place | "]);
    hub.apply(big_job("big", 16));
    hub.commit();
    check(&hub, &expect!["wanted: 1 of 1 jobs that wait fit nowhere else, first default/big"]);
    assert!(!is_request(&hub.wait(1_900)), "not before it was justified for 2 s");
    assert!(is_request(&hub.wait(500)));
    assert!(!is_request(&hub.wait(2_000)), "one proposal is under way");
    hub.commit();
    hub.run(300);
    assert_eq!(hub.phase(), Some(IntentPhase::Applying), "asked for, and handed to the edge");
    check(&hub, &expect!["no job waits that would fit a member and finds no place | "]);
    hub.apply(big_job("second", 16));
    hub.commit();
    check(&hub, &expect!["wanted: 1 of 1 jobs that wait fit nowhere else, first default/second"]);
}

#[test]
fn a_queue_that_blinks_justifies_nothing() {
    let mut hub = hub(1_000_000, |_| {});
    hub.apply(big_job("big", 16));
    hub.commit();
    assert!(!is_request(&hub.wait(1_500)));
    hub.apply(Command::Delete(Delete {
        key: Key::job("default", "big"),
        precondition: Precondition::default(),
        propagation: Propagation::Background,
        grace_s: None,
        principal: Principal::new("dana"),
    }));
    hub.wait(300);
    hub.apply(big_job("big2", 16));
    hub.commit();
    assert!(!is_request(&hub.wait(1_500)), "the time begins anew");
    assert!(is_request(&hub.wait(1_000)));
}

#[test]
fn waiting_is_weighed_against_the_price() {
    let mut hub = hub(1_000_000, |_| {});
    // Two Nodes of 8 GPUs are there: the third and fourth job wait, and could run there some day.
    for name in ["a", "b", "c", "d"] {
        hub.apply(big_job(name, 8));
        hub.commit();
    }
    check(
        &hub,
        &expect![
            "2 jobs that would fit wait, which costs $0.00/h, less than a member: $16.00/h | say what waiting costs: annotate the namespace with muster.sh/wait-cost-per-hour"
        ],
    );
    let key = Key::namespace("default");
    let spec = Spec::Namespace(NamespaceSpec { wait_cost_per_hour: MicroUsd(8_000_000) });
    let Command::Put(mut put) = create(key, spec) else { unreachable!() };
    put.mode = PutMode::Replace(Precondition::default());
    hub.apply(Command::Put(put));
    hub.commit();
    check(
        &hub,
        &expect!["wanted: 2 jobs wait, which costs $16.00/h, and a member costs $16.00/h; first default/c"],
    );
}

#[test]
fn what_keeps_a_pool_from_one_more_is_said_with_the_next_step() {
    let mut over = hub(3_000_000, |_| {});
    over.apply(big_job("big", 16));
    over.commit();
    check(
        &over,
        &expect![
            "a member costs $48.00/h, and spec.priceCap is $40.00/h | raise spec.priceCap, or choose smaller nodes or another place"
        ],
    );
    let told = over.burst_pool().condition(PoolConditionKind::Price).expect("told");
    assert!(!told.holds && &*told.reason == "OverCap", "{told:?}");
    assert!(!is_request(&over.wait(5_000)));

    let mut without = hub(1_000_000, |_| {});
    without.apply(terraform(false));
    without.apply(big_job("big", 16));
    without.commit();
    check(&without, &expect!["install Terraform | "]);
    assert!(!is_request(&without.wait(5_000)));

    let unpriced = hub(1_000_000, |spec| spec.member.location = Location::region("aws", "eu-west-1"));
    let told = unpriced.burst_pool().condition(PoolConditionKind::Price).expect("told");
    assert!(!told.holds && &*told.reason == "NoPrice", "{told:?}");
}

#[test]
fn what_does_not_join_in_time_is_destroyed_and_the_pool_backs_off() {
    let mut hub = hub(1_000_000, |spec| spec.max = 1);
    hub.apply(big_job("big", 16));
    hub.commit();
    hub.run(3_000);
    hub.edge(IntentPhase::Joining);
    hub.run(119_000);
    assert_eq!(hub.phase(), Some(IntentPhase::Joining));
    hub.run(1_500);
    assert_eq!(hub.phase(), Some(IntentPhase::Destroying));
    hub.edge(IntentPhase::Failed);
    check(
        &hub,
        &expect!["the last 1 came to nothing; the next try is 10 s after that | see the pool's Events"],
    );
    hub.run(9_000);
    assert_eq!(hub.phase(), Some(IntentPhase::Failed));
    hub.run(4_000);
    assert_eq!(hub.phase(), Some(IntentPhase::Applying), "and then it tries again");
}

#[test]
fn a_new_leader_goes_on_with_what_is_committed() {
    let mut first = hub(1_000_000, |_| {});
    first.apply(big_job("big", 16));
    first.commit();
    first.run(3_000);
    assert_eq!(first.phase(), Some(IntentPhase::Applying));
    let mut second = Hub::elected(State::clone(&first.state), first.at);
    second.run(5_000);
    assert_eq!(second.burst_pool().active().count(), 1, "nothing is made twice");
    second.edge(IntentPhase::Joining);
    second.run(120_500);
    assert_eq!(second.phase(), Some(IntentPhase::Destroying));
}

#[test]
fn min_members_are_there_whatever_the_queue_says() {
    let mut hub = hub(1_000_000, |spec| spec.min = 1);
    check(&hub, &expect!["wanted: 0 members, and spec.min is 1"]);
    hub.run(3_000);
    assert_eq!(hub.phase(), Some(IntentPhase::Applying));
    check(&hub, &expect!["no job waits that would fit a member and finds no place | "]);
}
