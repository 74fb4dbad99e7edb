//! Random command sequences: S2, S7, S8, S12, S13 at each index, replay and snapshot at the end.

use muster_core::{State, check_invariants};
use muster_model::*;
use proptest::prelude::*;

use crate::world::*;

/// One random step; names are small numbers, so that steps meet.
#[derive(Clone, Debug)]
pub enum Op {
    Create { job: u8, pods: u32, gpus: u64, suspend: bool },
    Recreate { job: u8 },
    Suspend { job: u8, suspend: bool },
    Delete { job: u8, propagation: Propagation },
    Plan { job: u8, member: bool },
    Evict { job: u8, to: bool },
    Run { job: u8 },
    End { job: u8, outcome: u8 },
    Stale { job: u8, epoch: u64 },
    Fence { job: u8 },
    Lost { member: bool },
    Capacity { member: bool, nodes: u32 },
    Ready { member: bool, ready: bool },
    Expire,
    Collect { limit: u32 },
    Wait { ms: u64 },
    Fault { id: u8, kind: u8, target: u8, ttl_ms: u64 },
    Host { id: u8, injecting: bool },
    Abort { id: Option<u8>, stop: bool },
    Resume,
    Drain { member: bool, owner: u8, on: bool },
    Day { approve: bool },
    Step { step: u8, kind: u8 },
    StopDay,
}

pub fn op() -> impl Strategy<Value = Op> {
    let job = 0..4_u8;
    let member = any::<bool>();
    let propagation =
        prop_oneof![Just(Propagation::Background), Just(Propagation::Foreground), Just(Propagation::Orphan)];
    prop_oneof![
        4 => (job.clone(), 1..5_u32, 0..9_u64, any::<bool>())
            .prop_map(|(job, pods, gpus, suspend)| Op::Create { job, pods, gpus, suspend }),
        1 => job.clone().prop_map(|job| Op::Recreate { job }),
        2 => (job.clone(), any::<bool>()).prop_map(|(job, suspend)| Op::Suspend { job, suspend }),
        1 => (job.clone(), propagation).prop_map(|(job, propagation)| Op::Delete { job, propagation }),
        6 => (job.clone(), member).prop_map(|(job, member)| Op::Plan { job, member }),
        2 => (job.clone(), member).prop_map(|(job, to)| Op::Evict { job, to }),
        3 => job.clone().prop_map(|job| Op::Run { job }),
        4 => (job.clone(), 0..5_u8).prop_map(|(job, outcome)| Op::End { job, outcome }),
        1 => (job.clone(), 0..1000_u64).prop_map(|(job, epoch)| Op::Stale { job, epoch }),
        1 => job.prop_map(|job| Op::Fence { job }),
        1 => member.prop_map(|member| Op::Lost { member }),
        1 => (member, 0..4_u32).prop_map(|(member, nodes)| Op::Capacity { member, nodes }),
        1 => (member, any::<bool>()).prop_map(|(member, ready)| Op::Ready { member, ready }),
        1 => Just(Op::Expire),
        1 => (0..4_u32).prop_map(|limit| Op::Collect { limit }),
        1 => (0..90_000_u64).prop_map(|ms| Op::Wait { ms }),
        6 => of_faults(),
    ]
}

/// What is done on purpose.
fn of_faults() -> impl Strategy<Value = Op> {
    let id = 0..6_u8;
    prop_oneof![
        4 => (id.clone(), 0..4_u8, 0..6_u8, 500..20_000_u64)
            .prop_map(|(id, kind, target, ttl_ms)| Op::Fault { id, kind, target, ttl_ms }),
        3 => (id.clone(), any::<bool>()).prop_map(|(id, injecting)| Op::Host { id, injecting }),
        1 => (proptest::option::of(id), any::<bool>()).prop_map(|(id, stop)| Op::Abort { id, stop }),
        1 => Just(Op::Resume),
        1 => (any::<bool>(), 0..3_u8, any::<bool>())
            .prop_map(|(member, owner, on)| Op::Drain { member, owner, on }),
        1 => any::<bool>().prop_map(|approve| Op::Day { approve }),
        2 => (0..3_u8, 0..4_u8).prop_map(|(step, kind)| Op::Step { step, kind }),
        1 => Just(Op::StopDay),
    ]
}

fn member(b: bool) -> &'static str {
    if b { "a" } else { "b" }
}

fn outcome(n: u8) -> AttemptOutcome {
    let why = FinishReason { reason: "BackoffLimitExceeded".into(), message: "too many failures".into() };
    match n {
        0 => AttemptOutcome::Succeeded,
        1 => AttemptOutcome::Failed(why),
        2 => AttemptOutcome::Stopped,
        3 => AttemptOutcome::Fenced,
        _ => AttemptOutcome::Lost,
    }
}

pub fn run(world: &mut World, op: &Op, uid: u128) {
    let name = |job: &u8| format!("job-{job}");
    match op {
        Op::Create { job, pods, gpus, suspend } => {
            let spec = Spec::Job(job_spec(*pods, *gpus, *suspend));
            world.apply(create(Key::job("default", &name(job)), uid, spec));
        }
        Op::Recreate { job } => {
            world.apply(delete(Key::job("default", &name(job)), Propagation::Background));
            world.apply(create_job(&name(job), uid, 1, 1));
        }
        Op::Suspend { job, suspend } => {
            let Some(there) = world.job(&name(job)) else { return };
            let mut spec = JobSpec::clone(&there.spec);
            spec.suspend = *suspend;
            let mode = PutMode::Replace(Precondition::default());
            world.apply(put(Key::job("default", &name(job)), mode, Spec::Job(spec.into())));
        }
        Op::Delete { job, propagation } => {
            world.apply(delete(Key::job("default", &name(job)), *propagation));
        }
        Op::Plan { job, member: m } => {
            world.plan(&name(job), member(*m));
        }
        Op::Evict { job, to } => evict(world, &name(job), member(*to)),
        Op::Run { job } => {
            let since = TimeMs(world.now);
            world.report(&name(job), ReportedState::Running { since });
        }
        Op::End { job, outcome: n } => world.ended(&name(job), outcome(*n)),
        Op::Stale { job, epoch } => stale(world, &name(job), *epoch),
        Op::Fence { job } => fence(world, &name(job)),
        Op::Lost { member: m } => {
            world.ok(Command::DeclareLost {
                member: MemberName::new(member(*m)),
                principal: Principal::new("petra"),
            });
        }
        Op::Capacity { member: m, nodes } => {
            world.ok(capacity(member(*m), *nodes));
        }
        Op::Ready { member: m, ready } => {
            world.ok(Command::SetReady { member: MemberName::new(member(*m)), ready: *ready });
        }
        Op::Expire => {
            world.ok(Command::Expire { limit: 10 });
        }
        Op::Collect { limit } => {
            world.ok(Command::Collect { limit: *limit });
        }
        Op::Wait { ms } => world.now += ms,
        on_purpose => run_on_purpose(world, on_purpose, uid),
    }
}

/// What is broken on purpose, and game days.
fn run_on_purpose(world: &mut World, op: &Op, uid: u128) {
    match op {
        Op::Fault { id, kind, target, ttl_ms } => {
            let spec = fault_spec(*kind, *target, *ttl_ms);
            world.apply(start_fault(&format!("f-{id}-{uid}"), uid, spec, by("remi")));
        }
        Op::Host { id, injecting } => host_says(world, *id, *injecting),
        Op::Abort { id, stop } => {
            let id = id.and_then(|id| nth_fault(world, id)).map(|key| key.name);
            let principal = Principal::new("remi");
            world.apply(Command::AbortFaults(AbortFaults { id, stop: *stop, principal }));
        }
        Op::Resume => {
            world.ok(Command::ResumeChaos(ResumeChaos { principal: Principal::new("remi") }));
        }
        Op::Drain { member: m, owner, on } => drain(world, member(*m), &format!("owner-{owner}"), *on),
        Op::Day { approve } => {
            world.apply(create(Key::game_day("d"), uid, Spec::GameDay(game_day().into())));
            start_day(world, *approve);
        }
        Op::Step { step, kind } => step_of_day(world, *step, *kind, uid),
        Op::StopDay => {
            let ruling = Ruling { verdict: Verdict::Aborted, reason: "enough".into() };
            let principal = Principal::new("remi");
            world.apply(Command::StopGameDay(StopGameDay { day: "d".into(), run: None, ruling, principal }));
        }
        _ => unreachable!("`run` does the others"),
    }
}

/// The fault that is the nth of those the state has.
fn nth_fault(world: &World, n: u8) -> Option<Key> {
    let faults = world.state.list(&Kind::new(kinds::FAULT), None, None);
    let keys: Vec<Key> = faults.map(|object| object.key.clone()).collect();
    (!keys.is_empty()).then(|| keys[usize::from(n) % keys.len()].clone())
}

/// A host speaks of its fault; what is over stays over.
fn host_says(world: &mut World, n: u8, injecting: bool) {
    let Some(key) = nth_fault(world, n) else { return };
    let Some(object) = world.state.get(&key).cloned() else { return };
    let Some(fault) = object.fault() else { return };
    let at = TimeMs(world.now);
    let news = if injecting { FaultNews::Injecting } else { FaultNews::Reverted { at } };
    let host = fault.spec.target.clone();
    let report = ReportFault { id: key.name.clone(), uid: object.meta.uid, host, news };
    world.apply(Command::ReportFault(report));
    let after = world.state.get(&key).and_then(|object| object.fault());
    assert!(fault.is_open() || after.is_none_or(|after| !after.is_open()), "what is over is not begun again");
}

/// Two owners' drains compose: the one leaves the other as it is (S11).
fn drain(world: &mut World, name: &str, owner: &str, on: bool) {
    let drains = |world: &World| {
        let cluster = world.state.get(&Key::cluster(name)).and_then(|object| object.cluster());
        cluster.map(|cluster| cluster.status.drains.clone()).unwrap_or_default()
    };
    let member = MemberName::new(name);
    let principal = Principal::new("petra");
    let command = Drain { member, owner: owner.into(), on, principal };
    // The time of the entry may end faults, which is no business of this one.
    world.apply(Command::Tick);
    world.now -= 10;
    let before: Vec<_> = drains(world).into_iter().filter(|found| **found != *owner).collect();
    world.ok(Command::Drain(command));
    let others: Vec<_> = drains(world).into_iter().filter(|found| **found != *owner).collect();
    assert_eq!(before, others, "S11: {owner} undid what another owner did");
    assert_eq!(drains(world).iter().any(|found| **found == *owner), on);
}

fn step_of_day(world: &mut World, step: u8, kind: u8, uid: u128) {
    let Some(day) = world.state.get(&Key::game_day("d")).and_then(|object| object.game_day()) else { return };
    let Some(run) = day.status.run.as_deref() else { return };
    let (number, plan) = (run.number, std::sync::Arc::clone(&run.plan));
    let mut spec = match plan.steps.get(usize::from(step)) {
        Some(step) => FaultSpec { kind: step.kind, target: step.target.clone(), ttl: step.ttl },
        None => fault_spec(kind, 0, 5_000),
    };
    if kind == 3 {
        // Not what the plan says.
        spec.ttl = DurationMs(9_999);
    }
    let owner = FaultOwner::GameDay { day: "d".into(), run: number, step: u32::from(step) };
    world.apply(start_fault(&format!("d-{number}-{step}-{uid}"), uid, spec, owner));
}

/// Evicts and places again in one plan.
fn evict(world: &mut World, name: &str, to: &str) {
    let Some(attempt) = world.job(name).and_then(|job| job.attempt.clone()) else { return };
    let eviction =
        Eviction { job: Key::job("default", name), epoch: attempt.epoch, message: "a cheaper place".into() };
    let assignments = world.place(name, to).into_iter().collect();
    world.ok(Command::CommitPlan(Plan {
        based_on: world.state.revision(),
        assignments,
        evictions: vec![eviction],
    }));
}

/// A report of an epoch that the job never had, which must change nothing.
fn stale(world: &mut World, name: &str, epoch: u64) {
    let key = Key::job("default", name);
    let Some(object) = world.state.get(&key).cloned() else { return };
    let state = ReportedState::Ended {
        outcome: AttemptOutcome::Succeeded,
        exit_code: Some(0),
        at: TimeMs(world.now),
    };
    let report = AttemptReport {
        job: key.clone(),
        uid: object.meta.uid,
        epoch: Epoch(epoch),
        state,
        pods: PodCounts::default(),
        completed_indexes: "".into(),
        index_failures: IndexFailures::default(),
    };
    let member = MemberName::new("a");
    world.ok(Command::ReportAttempts { member, incarnation: incarnation(1), reports: vec![report] });
    assert_eq!(world.state.get(&key), Some(&object), "S6: a stale epoch changes nothing");
}

fn fence(world: &mut World, name: &str) {
    let Some(attempt) = world.job(name).and_then(|job| job.attempt.clone()) else { return };
    let attempts = vec![(Key::job("default", name), attempt.epoch)];
    let member = attempt.assignment.member.clone();
    world.ok(Command::FenceAttempts { member, attempts, reason: FenceReason::DeadlinePassed });
    let still = world.job(name).and_then(|job| job.attempt.as_ref()).map(|a| a.epoch);
    assert_eq!(still, Some(attempt.epoch), "only a grant under Fence is fenced");
}

fn replay(log: &[Entry]) -> State {
    let mut state = State::new(1);
    for entry in log {
        state.apply(entry);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_its_promises(ops in proptest::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for (i, op) in ops.iter().enumerate() {
            run(&mut world, op, 100 + i as u128);
            let violations = check_invariants(&world.state);
            prop_assert!(violations.is_empty(), "after {op:?}: {violations:?}");
        }
        let again = replay(&world.log);
        prop_assert_eq!(again.header(), world.state.header(), "S13: the same log gives the same state");
        let objects = world.state.objects().map(|object| Object::clone(object));
        let mut restored = State::restore(&world.state.header(), objects).expect("a snapshot is whole");
        let next = Entry { time: TimeMs(world.now + 1_000_000), command: Command::Expire { limit: 100 } };
        prop_assert_eq!(restored.apply(&next), world.state.apply(&next), "S15: a restored state goes on alike");
        prop_assert_eq!(restored.digest(), world.state.digest());
    }
}
