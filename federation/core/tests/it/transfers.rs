//! Datasets that members carry: copies, transfers, and who pays.

use std::sync::Arc;

use muster_core::check_invariants;
use muster_model::*;
use proptest::prelude::*;

use crate::world::*;

const SIZE: u64 = 10 << 20;

fn corpus() -> Key {
    Key::new(kinds::DATASET, "default", "corpus")
}

fn data(version: &str) -> DataUse {
    DataUse { dataset: "corpus".into(), version: version.into(), digest: ContentDigest([1; 32]) }
}

fn spec(version: &str, regions: &[&str]) -> Spec {
    Spec::Dataset(Arc::new(DatasetSpec {
        version: version.into(),
        size_bytes: SIZE,
        replicas: Vec::new(),
        allowed_regions: regions.iter().map(|region| (*region).into()).collect(),
        partial: Vec::new(),
        digest: Some(ContentDigest([1; 32])),
    }))
}

fn put_again(spec: Spec) -> Command {
    let Command::Put(mut put) = create(corpus(), 500, spec) else { panic!("not a put") };
    put.mode = PutMode::Replace(Precondition::default());
    Command::Put(put)
}

fn held(version: &str, missing_bytes: u64) -> HeldCopy {
    let copy = DataCopy {
        version: version.into(),
        digest: ContentDigest([1; 32]),
        size_bytes: SIZE,
        missing_bytes,
        folder: "/a/datasets".into(),
    };
    HeldCopy { dataset: corpus(), copy }
}

fn report(member: &str) -> ReportData {
    ReportData { member: MemberName::new(member), copies: vec![], gone: vec![], transfers: vec![] }
}

fn holds(member: &str, version: &str, missing_bytes: u64) -> Command {
    Command::ReportData(Box::new(ReportData { copies: vec![held(version, missing_bytes)], ..report(member) }))
}

fn news(world: &World, to: &str, fetched_bytes: u64, failed: Option<&str>) -> Command {
    let transfer = Key::transfer("default", "corpus", to);
    let uid = world.state.get(&transfer).map_or(Uid(0), |object| object.meta.uid);
    let missing_bytes = SIZE.saturating_sub(fetched_bytes);
    let progress = TransferProgress { missing_bytes, fetched_bytes, refetched_chunks: 0 };
    let news = TransferNews { transfer, uid, progress, failed: failed.map(Into::into) };
    Command::ReportData(Box::new(ReportData { transfers: vec![news], ..report(to) }))
}

/// A world in which member `a` has the corpus.
fn world() -> World {
    let mut world = World::new();
    world.ok(create(corpus(), 500, spec("1", &[])));
    world.ok(holds("a", "1", 0));
    world
}

/// Places a job that reads the corpus, which costs a dollar to bring.
fn place(world: &mut World, job: &str, member: &str) -> PlanAnswer {
    let Some((key, uid, mut assignment)) = world.place(job, member) else { return PlanAnswer::default() };
    let fetch = DataFetch { source: MemberName::new("a"), bytes: SIZE, egress: MicroUsd(1_000_000) };
    let fetch = (member != "a").then_some(fetch);
    if let Some(fetch) = &fetch {
        assignment.one_off = vec![CostLine { kind: CostKind::Egress, amount: fetch.egress }];
    }
    assignment.data = vec![DataNeed { data: data("1"), fetch }];
    let plan = Plan {
        based_on: world.state.revision(),
        assignments: vec![(key, uid, assignment)],
        evictions: vec![],
    };
    match world.apply(Command::CommitPlan(plan)).answer {
        Answer::Planned(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn transfer(world: &World, to: &str) -> Option<Arc<Transfer>> {
    world.state.get(&Key::transfer("default", "corpus", to))?.transfer().cloned()
}

fn egress_of(world: &World, job: &str) -> MicroUsd {
    let attempt = world.job(job).and_then(|job| job.attempt.as_deref()).expect("an attempt");
    attempt.assignment.one_off.iter().map(|line| line.amount).sum()
}

fn is_waiting(world: &World, job: &str) -> bool {
    let job = world.job(job).expect("the job");
    job.phase == JobPhase::Queued
}

fn told(world: &World, about: &str) -> Vec<String> {
    let events = world.state.list(&Kind::new(kinds::EVENT), Some("default"), None);
    let told = events.filter_map(|event| match &event.status {
        Status::Event(event) if &*event.involved.name == about => Some(event.reason.to_string()),
        _ => None,
    });
    told.collect()
}

#[test]
fn two_jobs_share_one_transfer_and_its_cost_is_booked_once() {
    let mut world = world();
    world.ok(create_job("one", 100, 1, 1));
    world.ok(create_job("two", 101, 1, 1));
    assert_eq!(place(&mut world, "one", "b").placed, 1);
    assert_eq!(place(&mut world, "two", "b").placed, 1);
    let open = transfer(&world, "b").expect("a transfer");
    assert_eq!((open.bytes, &*open.folder, &*open.job.name), (SIZE, "/a/datasets", "one"));
    assert_eq!((egress_of(&world, "one").0, egress_of(&world, "two").0), (1_000_000, 0));
    world.ok(news(&world, "b", SIZE / 2, None));
    world.ok(holds("b", "1", 0));
    assert_eq!(transfer(&world, "b").map(|done| done.is_open()), Some(false));
    assert!(world.state.get(&corpus()).unwrap().dataset().unwrap().whole_at(&MemberName::new("b")).is_some());
    world.ok(create_job("three", 102, 1, 1));
    place(&mut world, "three", "b");
    assert_eq!(egress_of(&world, "three").0, 0, "it is there by now");
    assert_eq!(told(&world, "corpus"), ["TransferStarted", "TransferComplete"]);
}

#[test]
fn nothing_is_moved_to_where_the_data_may_not_be() {
    let mut world = world();
    world.ok(put_again(spec("1", &["onprem/munich"])));
    world.ok(create_job("one", 100, 1, 1));
    let answer = place(&mut world, "one", "b");
    assert_eq!(answer.rejected, [(Key::job("default", "one"), "a dataset may not be at that member")]);
    assert_eq!(transfer(&world, "b"), None);
}

#[test]
fn a_transfer_ends_when_its_dataset_may_no_longer_be_there_or_is_another() {
    for change in [spec("1", &["onprem/munich"]), spec("2", &[])] {
        let mut world = world();
        world.ok(create_job("one", 100, 1, 1));
        place(&mut world, "one", "b");
        world.ok(put_again(change));
        assert!(transfer(&world, "b").is_some_and(|transfer| !transfer.is_open()));
        assert!(is_waiting(&world, "one"), "it is placed again");
        assert_eq!(check_invariants(&world.state), []);
    }
}

#[test]
fn a_transfer_that_fails_frees_the_job_and_what_was_not_moved_is_not_paid() {
    let mut world = world();
    world.ok(create_job("one", 100, 1, 1));
    place(&mut world, "one", "b");
    world.ok(news(&world, "b", SIZE / 4, Some("the source is gone")));
    assert_eq!(egress_of(&world, "one").0, 250_000);
    assert!(is_waiting(&world, "one"));
    assert!(told(&world, "one").contains(&"TransferFailed".to_owned()));
    world.ended("one", AttemptOutcome::Stopped);
    assert_eq!(world.job("one").map(|job| job.attempt.is_none()), Some(true));
    world.now += Transfer::FAILED_TTL.0;
    world.ok(Command::Expire { limit: 10 });
    assert_eq!(transfer(&world, "b"), None, "after a while it may be tried again");
}

#[test]
fn a_job_that_runs_is_left_alone_whatever_becomes_of_the_data() {
    let mut world = world();
    world.ok(create_job("one", 100, 1, 1));
    place(&mut world, "one", "a");
    world.report("one", ReportedState::Running { since: TimeMs(world.now) });
    world.ok(Command::ReportData(Box::new(ReportData { gone: vec![corpus()], ..report("a") })));
    assert!(!is_waiting(&world, "one"));
    world.ok(create_job("two", 101, 1, 1));
    world.ok(holds("a", "1", 0));
    place(&mut world, "two", "a");
    world.ok(Command::ReportData(Box::new(ReportData { gone: vec![corpus()], ..report("a") })));
    assert!(is_waiting(&world, "two"), "it had not begun");
}

#[test]
fn a_member_speaks_of_itself_only_and_of_what_the_dataset_is() {
    let mut world = world();
    world.ok(create_job("one", 100, 1, 1));
    place(&mut world, "one", "b");
    let Command::ReportData(mut forged) = news(&world, "b", SIZE, Some("no")) else { panic!("not a report") };
    forged.member = MemberName::new("a");
    world.ok(Command::ReportData(forged));
    assert!(transfer(&world, "b").is_some_and(|transfer| transfer.is_open()));
    world.ok(holds("b", "0", 0));
    let copies = &world.state.get(&corpus()).unwrap().dataset().unwrap().copies;
    assert_eq!(copies.keys().map(MemberName::as_str).collect::<Vec<_>>(), ["a"], "version 0 is none of it");
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Place(u8, bool),
    Run(u8),
    End(u8),
    Holds(bool, bool, u8),
    Gone(bool),
    News(bool, u8, bool),
    Spec(bool, u8),
    DeleteDataset,
    Expire,
}

fn op() -> impl Strategy<Value = Op> {
    let (job, b) = (0..4_u8, any::<bool>());
    prop_oneof![
        4 => job.clone().prop_map(Op::Create),
        6 => (job.clone(), b).prop_map(|(job, to)| Op::Place(job, to)),
        2 => job.clone().prop_map(Op::Run),
        2 => job.prop_map(Op::End),
        4 => (b, b, 0..2_u8).prop_map(|(member, version, missing)| Op::Holds(member, version, missing)),
        1 => b.prop_map(Op::Gone),
        4 => (b, 0..5_u8, b).prop_map(|(member, quarters, failed)| Op::News(member, quarters, failed)),
        2 => (b, 0..2_u8).prop_map(|(version, region)| Op::Spec(version, region)),
        1 => Just(Op::DeleteDataset),
        1 => Just(Op::Expire),
    ]
}

fn name(job: u8) -> String {
    format!("j{job}")
}

fn member(second: bool) -> &'static str {
    if second { "b" } else { "a" }
}

fn run(world: &mut World, op: &Op) {
    let version = |second: bool| if second { "2" } else { "1" };
    match *op {
        Op::Create(job) => drop(world.apply(create_job(&name(job), 100 + u128::from(job), 1, 1))),
        Op::Place(job, to) => drop(place(world, &name(job), member(to))),
        Op::Run(job) => world.report(&name(job), ReportedState::Running { since: TimeMs(world.now) }),
        Op::End(job) => world.ended(&name(job), AttemptOutcome::Stopped),
        Op::Holds(of, second, missing) => {
            drop(world.apply(holds(member(of), version(second), u64::from(missing))));
        }
        Op::Gone(of) => {
            let gone = ReportData { gone: vec![corpus()], ..report(member(of)) };
            world.apply(Command::ReportData(Box::new(gone)));
        }
        Op::News(of, quarters, failed) => {
            let command =
                news(world, member(of), SIZE / 4 * u64::from(quarters), failed.then_some("it broke"));
            world.apply(command);
        }
        Op::Spec(second, region) => {
            let regions: &[&str] = if region == 0 { &[] } else { &["onprem/munich"] };
            if world.state.get(&corpus()).is_some() {
                world.apply(put_again(spec(version(second), regions)));
            } else {
                world.apply(create(corpus(), 500, spec(version(second), regions)));
            }
        }
        Op::DeleteDataset => {
            let delete = Delete {
                key: corpus(),
                precondition: Precondition::default(),
                propagation: Propagation::Background,
                grace_s: None,
                principal: Principal::new("petra"),
            };
            world.apply(Command::Delete(delete));
        }
        Op::Expire => {
            world.now += Transfer::FAILED_TTL.0;
            world.apply(Command::Expire { limit: 100 });
        }
    }
}

/// Who has not begun either has its data, or it comes, or the hub knows that it lies there in another version.
fn nobody_waits_in_vain(world: &World) {
    let dataset = world.state.get(&corpus()).and_then(|object| object.dataset());
    for job in (0..4).filter_map(|job| world.job(&name(job))) {
        let Some(attempt) = job.attempt.as_deref().filter(|attempt| attempt.state == AttemptState::Granted)
        else {
            continue;
        };
        let target = &attempt.assignment.member;
        let open = transfer(world, target.as_str()).is_some_and(|transfer| transfer.is_open());
        let same = dataset.is_some_and(|dataset| dataset.offers(&attempt.assignment.data[0].data));
        let whole = dataset.is_some_and(|dataset| dataset.whole_at(target).is_some());
        assert!(!same || open || whole, "{job:?} waits for what does not come");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_transfers_holds_what_is_promised(ops in proptest::collection::vec(op(), 1..50)) {
        let mut world = world();
        // A member says again what it has when a dataset changes; nobody does here.
        let mut spec_changed = false;
        for op in ops {
            run(&mut world, &op);
            prop_assert_eq!(check_invariants(&world.state), []);
            spec_changed |= matches!(op, Op::Spec(..) | Op::DeleteDataset);
            if !spec_changed {
                nobody_waits_in_vain(&world);
            }
        }
        let mut again = muster_core::State::new(1);
        for entry in &world.log {
            again.apply(entry);
        }
        prop_assert_eq!(again.digest(), world.state.digest());
    }
}

/// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
#[cfg(mutants)]
#[test]
fn mutants_are_caught_by_the_rules_above() {
    muster_model::mutants::assert_each_is_caught(&[
        ("transfers_ignore_regions", nothing_is_moved_to_where_the_data_may_not_be),
        ("transfer_paid_twice", two_jobs_share_one_transfer_and_its_cost_is_booked_once),
    ]);
}
