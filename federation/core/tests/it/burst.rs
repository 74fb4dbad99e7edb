//! Burst pools: random commands against an oracle of its own, and the rules one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::check_invariants;
use muster_model::*;
use proptest::prelude::*;

use crate::world::*;

/// The arrows, written down a second time: a change of one of the two must be meant.
const ARROWS: [(&str, &str); 10] = [
    ("Requested", "Applying"),
    ("Requested", "Gone"),
    ("Applying", "Joining"),
    ("Applying", "Destroying"),
    ("Joining", "Ready"),
    ("Joining", "Destroying"),
    ("Ready", "Draining"),
    ("Draining", "Destroying"),
    ("Destroying", "Gone"),
    ("Destroying", "Failed"),
];

fn pool_key() -> Key {
    Key::new(kinds::BURST_POOL, "", "spot")
}

fn pool_spec(max: u32) -> Spec {
    Spec::BurstPool(Arc::new(BurstPoolSpec {
        module: "process-cluster".into(),
        variables: BTreeMap::new(),
        member: ClusterSpec {
            location: Location::region("aws", "us-east-1"),
            price_class: PriceClass::Spot,
            backend: Backend::Process,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            unschedulable: false,
            transfer_bytes_per_second: None,
        },
        shapes: shapes(1),
        min: 0,
        max,
        price_cap: MicroUsd(100_000_000),
        idle_ttl: DurationMs::from_secs(60),
        join_timeout: DurationMs::from_secs(60),
    }))
}

fn burst(command: BurstCommand) -> Command {
    Command::Burst(Box::new(command))
}

fn request(uid: u128) -> Command {
    burst(BurstCommand::Request {
        pool: pool_key(),
        uid: Uid(uid),
        hourly: MicroUsd(3_600_000_000),
        because: "jobs wait".into(),
    })
}

fn step(intent: &Intent, to: IntentPhase, failure: Option<&str>) -> Command {
    burst(BurstCommand::Step(IntentStep {
        pool: pool_key(),
        intent: intent.id,
        from: intent.phase,
        to,
        failure: failure.map(Into::into),
    }))
}

impl World {
    fn pool(&self) -> &BurstPool {
        self.state.get(&pool_key()).and_then(|object| object.burst_pool()).expect("the pool")
    }

    fn last(&self) -> Intent {
        self.pool().status.intents.last().cloned().expect("an intent")
    }

    fn go(&mut self, to: IntentPhase) {
        let command = step(&self.last(), to, None);
        self.ok(command);
    }

    fn refused(&mut self, command: Command) -> Rejection {
        match self.apply(command).answer {
            Answer::Rejected(rejection) => rejection,
            other => panic!("{other:?}"),
        }
    }

    /// The pool's member joins, has two Nodes and is ready.
    fn member_joins(&mut self, name: &str) {
        for command in joining(name, 77) {
            self.ok(command);
        }
        self.ok(capacity(name, 2));
        self.ok(Command::SetReady { member: MemberName::new(name), ready: true });
    }
}

fn world_with_pool(max: u32) -> World {
    let mut world = World::new();
    world.ok(create(pool_key(), 500, pool_spec(max)));
    world
}

#[test]
fn an_intent_goes_its_way_and_is_booked() {
    use IntentPhase::*;
    let mut world = world_with_pool(1);
    world.ok(request(500));
    world.go(Applying);
    let began = world.now;
    world.go(Joining);
    let member = world.last().member.to_string();
    world.member_joins(&member);
    world.go(Ready);
    assert_eq!(world.pool().active().count(), 1);
    world.go(Draining);
    let cluster = world.state.get(&Key::cluster(&member)).and_then(|object| object.cluster()).cloned();
    assert!(cluster.is_some_and(|cluster| cluster.status.draining), "it gets no new jobs");
    world.ok(create_job("late", 900, 1, 1));
    assert_eq!(world.plan("late", &member).placed, 0, "apply places nothing on it");
    world.go(Destroying);
    world.go(Gone);
    let cost = MicroUsd(3_600_000_000).for_duration(DurationMs(world.now - began));
    assert!(cost > MicroUsd(0));
    assert_eq!((world.last().cost, world.pool().status.booked), (cost, cost));
    assert!(world.state.get(&Key::cluster(&member)).is_none(), "its Cluster goes with it");
    assert_eq!(check_invariants(&world.state), []);
}

#[test]
fn a_pool_never_has_more_members_than_it_may() {
    let mut world = world_with_pool(2);
    world.ok(request(500));
    world.ok(request(500));
    assert!(matches!(world.refused(request(500)), Rejection::TooMany { limit: 2, .. }));
    assert!(
        matches!(world.refused(request(501)), Rejection::UidChanged { .. }),
        "of another pool of this name"
    );
    let ids: Vec<IntentId> = world.pool().active().map(|intent| intent.id).collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_member_with_jobs_is_not_removed() {
    use IntentPhase::*;
    let mut world = world_with_pool(1);
    world.ok(request(500));
    world.go(Applying);
    let member = world.last().member.to_string();
    world.member_joins(&member);
    world.ok(create_job("train", 900, 1, 1));
    assert_eq!(world.plan("train", &member).placed, 1, "it may take jobs before Terraform is done");
    let intent = world.last();
    let refused = world.refused(step(&intent, Destroying, Some("apply failed")));
    assert!(refused.to_string().contains("has jobs"), "{refused}");
    world.go(Joining);
    world.go(Ready);
    world.go(Draining);
    let intent = world.last();
    world.refused(step(&intent, Destroying, None));
    world.ended("train", AttemptOutcome::Succeeded);
    world.go(Destroying);
}

#[test]
fn a_failure_is_kept_and_ends_as_failed() {
    use IntentPhase::*;
    let mut world = world_with_pool(1);
    world.ok(request(500));
    world.go(Applying);
    let member = world.last().member;
    let [token, join] = joining(member.as_str(), 77);
    world.ok(token);
    let intent = world.last();
    world.ok(step(&intent, Destroying, Some("quota exceeded")));
    assert!(matches!(world.refused(join), Rejection::TokenRefused(_)), "what is on its way out cannot join");
    let intent = world.last();
    world.refused(step(&intent, Gone, None));
    world.go(Failed);
    let status = world.pool().status.clone();
    assert_eq!((status.failures, status.failed_at), (1, TimeMs(world.now)));
    assert_eq!(status.intents[0].failure.as_deref(), Some("quota exceeded"));
}

#[test]
fn a_deleted_pool_stays_until_its_members_are_gone() {
    use IntentPhase::*;
    let mut world = world_with_pool(1);
    world.ok(request(500));
    world.go(Applying);
    world.ok(delete(pool_key(), Propagation::Background));
    assert!(world.state.get(&pool_key()).is_some_and(|object| object.meta.deletion.is_some()));
    assert!(matches!(world.refused(request(500)), Rejection::Forbidden(..)));
    let intent = world.last();
    world.ok(step(&intent, Destroying, None));
    world.go(Gone);
    assert!(world.state.get(&pool_key()).is_none());
}

#[test]
fn what_is_told_twice_is_stored_once_and_warned_of_once() {
    let mut world = world_with_pool(1);
    let tell = |holds: bool, message: &str| {
        let (kind, since) = (PoolConditionKind::Price, TimeMs(0));
        let condition =
            PoolCondition { kind, holds, reason: "OverCap".into(), message: message.into(), since };
        burst(BurstCommand::Tell { pool: pool_key(), condition })
    };
    world.ok(tell(false, "costs $12"));
    let first = world.pool().status.conditions.clone();
    world.ok(tell(false, "costs $12"));
    world.ok(tell(false, "costs $13"));
    let status = &world.pool().status;
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].since, first[0].since, "it has not held since the first time");
    let events = world.state.list(&Kind::new(kinds::EVENT), None, None);
    let warned = events.filter(|event| matches!(&event.status, Status::Event(e) if &*e.reason == "OverCap"));
    assert_eq!(warned.count(), 1);
}

/// Whether every change of every intent in a history is an arrow, and no more were active than allowed.
fn legal(
    histories: &BTreeMap<IntentId, Vec<IntentPhase>>,
    most_active: usize,
    max: usize,
) -> Result<(), String> {
    if most_active > max {
        return Err(format!("{most_active} members of a pool that may have {max}"));
    }
    for (id, phases) in histories {
        if phases.first() != Some(&IntentPhase::Requested) {
            return Err(format!("{id} began as {:?}", phases.first()));
        }
        for pair in phases.windows(2) {
            let arrow = (pair[0].as_str(), pair[1].as_str());
            if !ARROWS.contains(&arrow) {
                return Err(format!("{id} went from {} to {}", arrow.0, arrow.1));
            }
        }
    }
    Ok(())
}

/// Carries out random commands and gives what became of each intent.
fn history(moves: &[(u8, u8, u8, bool)]) -> Result<(), String> {
    const MAX: u32 = 3;
    let mut world = world_with_pool(MAX);
    let (mut histories, mut most) = (BTreeMap::<IntentId, Vec<IntentPhase>>::new(), 0);
    for (what, which, to, fails) in moves {
        let intents = world.pool().status.intents.clone();
        let command = match (what % 4, intents.get(usize::from(*which) % intents.len().max(1))) {
            (0, _) | (_, None) => request(500),
            (_, Some(intent)) => {
                let to = IntentPhase::ALL[usize::from(*to) % IntentPhase::ALL.len()];
                step(intent, to, fails.then_some("it failed"))
            }
        };
        world.apply(command);
        most = most.max(world.pool().active().count());
        for intent in &world.pool().status.intents {
            let phases = histories.entry(intent.id).or_default();
            if phases.last() != Some(&intent.phase) {
                phases.push(intent.phase);
            }
        }
        let booked: MicroUsd =
            world.pool().status.intents.iter().filter(|i| i.phase.is_over()).map(|i| i.cost).sum();
        if histories.len() <= 16 && booked != world.pool().status.booked {
            return Err("what is booked is not the sum of what is over".to_owned());
        }
    }
    let violations = check_invariants(&world.state);
    if !violations.is_empty() {
        return Err(format!("{violations:?}"));
    }
    legal(&histories, most, MAX as usize)
}

type Moves = Vec<(u8, u8, u8, bool)>;

proptest! {
    #[test]
    fn only_arrows_are_gone_along(moves in prop::collection::vec(any::<(u8, u8, u8, bool)>(), 0..200)) {
        let outcome = history(&moves);
        prop_assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn the_oracle_sees_what_is_not_legal() {
    use IntentPhase::*;
    let of = |phases: &[IntentPhase]| BTreeMap::from([(IntentId(1), phases.to_vec())]);
    assert_eq!(legal(&of(&[Requested, Applying, Destroying, Failed]), 1, 1), Ok(()));
    for phases in [&[Requested, Ready][..], &[Applying], &[Requested, Gone, Applying]] {
        assert!(legal(&of(phases), 1, 1).is_err(), "{phases:?}");
    }
    assert!(legal(&of(&[Requested]), 2, 1).is_err());
}

/// With `RUSTFLAGS='--cfg mutants'`, by name and alone: the property above catches both bugs.
#[cfg(mutants)]
#[test]
fn the_property_catches_the_mutants() {
    let moves: Moves = (0..255_u8).map(|n| (n, n.wrapping_mul(7), n.wrapping_mul(13), n % 5 == 0)).collect();
    for name in ["burst_any_step", "burst_beyond_max"] {
        muster_model::mutants::choose(Some(name));
        assert!(history(&moves).is_err(), "{name} is not caught");
    }
    muster_model::mutants::choose(None);
    assert_eq!(history(&moves), Ok(()));
}

#[test]
fn the_moves_of_the_mutants_are_legal_without_them() {
    let moves: Moves = (0..255_u8).map(|n| (n, n.wrapping_mul(7), n.wrapping_mul(13), n % 5 == 0)).collect();
    assert_eq!(history(&moves), Ok(()));
}
