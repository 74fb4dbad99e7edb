//! One rule a test.

use muster_model::*;

use crate::world::*;

#[test]
fn a_job_is_queued_placed_run_and_finished() {
    let mut world = World::new();
    world.ok(create_job("train", 100, 2, 8));
    assert_eq!(world.plan("train", "a").placed, 1);
    assert_eq!(world.free_gpus("a"), 0);
    world.report("train", ReportedState::Running { since: TimeMs(world.now) });
    world.now += 1_800_000;
    world.ended("train", AttemptOutcome::Succeeded);
    assert_eq!(world.free_gpus("a"), 16);
    let job = world.job("train").expect("kept until its TTL");
    assert!(job.is_finished() && job.attempt.is_none());
    let run = world.state.list(&Kind::new(kinds::RUN), Some("default"), None).next().expect("a run");
    let Status::Run(run) = &run.status else { panic!("{run:?}") };
    assert_eq!(run.phase, RunPhase::Succeeded);
    assert_eq!(run.cost[0].amount.to_string(), "4.000022", "half an hour and 10 ms at $8/h");
}

#[test]
fn a_job_too_short_to_be_seen_running_is_told_in_order() {
    let mut world = World::new();
    world.ok(create_job("blink", 100, 1, 1));
    world.plan("blink", "a");
    world.ended("blink", AttemptOutcome::Succeeded);
    let events = world.state.list(&Kind::new(kinds::EVENT), Some("default"), None);
    let told: Vec<&str> = events
        .filter_map(|event| match &event.status {
            Status::Event(event) if &*event.involved.name == "blink" => Some(&*event.reason),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["Queued", "Placed", "Started", "Completed"]);
}

#[test]
fn a_job_never_gets_a_second_grant_while_the_first_may_be_alive() {
    let mut world = World::new();
    world.ok(create_job("train", 100, 1, 1));
    world.plan("train", "a");
    world.report("train", ReportedState::Running { since: TimeMs(world.now) });
    let first = world.job("train").and_then(|job| job.attempt.clone()).expect("an attempt");
    let eviction =
        Eviction { job: Key::job("default", "train"), epoch: first.epoch, message: "moved".into() };
    let assignments = world.place("train", "b").into_iter().collect();
    world.ok(Command::CommitPlan(Plan { based_on: Revision(0), assignments, evictions: vec![eviction] }));
    let job = world.job("train").expect("the job");
    assert!(matches!(job.phase, JobPhase::Reserved(_)));
    assert_eq!(job.attempt.as_ref().map(|a| a.epoch), Some(first.epoch));
    assert_eq!(world.free_gpus("b"), 15, "the reservation holds its place");
    world.ended("train", AttemptOutcome::Stopped);
    let second =
        world.job("train").and_then(|job| job.attempt.clone()).expect("granted at the end of the first");
    assert!(second.epoch > first.epoch && second.assignment.member.as_str() == "b");
}

#[test]
fn a_reservation_lapses() {
    let mut world = World::new();
    world.ok(create_job("train", 100, 1, 1));
    world.plan("train", "a");
    let epoch = world.job("train").and_then(|job| job.attempt.as_ref()).expect("an attempt").epoch;
    let eviction = Eviction { job: Key::job("default", "train"), epoch, message: "moved".into() };
    let assignments = world.place("train", "b").into_iter().collect();
    world.ok(Command::CommitPlan(Plan { based_on: Revision(0), assignments, evictions: vec![eviction] }));
    world.now += Plan::RESERVATION_TTL.0;
    world.ok(Command::Expire { limit: 10 });
    assert_eq!(world.free_gpus("b"), 16);
    assert_eq!(world.job("train").expect("the job").phase, JobPhase::Queued);
}

#[test]
fn a_deleted_job_stays_until_its_attempt_is_over() {
    let mut world = World::new();
    world.ok(create_job("train", 100, 1, 1));
    world.plan("train", "a");
    let answer = world.ok(delete(Key::job("default", "train"), Propagation::Background));
    assert!(matches!(answer, Answer::Deleting(_)));
    let answer = world.apply(create_job("train", 101, 1, 1)).answer;
    assert_eq!(answer, Answer::Rejected(Rejection::AlreadyExists(Key::job("default", "train"))));
    world.ended("train", AttemptOutcome::Stopped);
    assert!(world.job("train").is_none());
    world.ok(Command::Collect { limit: 10 });
    assert_eq!(world.state.list(&Kind::new(kinds::RUN), None, None).count(), 0, "runs go with their job");
}

#[test]
fn a_namespace_goes_when_it_is_empty() {
    let mut world = World::new();
    world.ok(create(Key::namespace("team"), 50, Spec::Namespace(NamespaceSpec::default())));
    for i in 0..5_u32 {
        let key = Key::new("configmaps", "team", &format!("c{i}"));
        world.ok(create(key, 60 + u128::from(i), Spec::Opaque));
    }
    world.ok(delete(Key::namespace("team"), Propagation::Background));
    let refused = world.apply(create(Key::new("configmaps", "team", "late"), 70, Spec::Opaque)).answer;
    assert_eq!(refused, Answer::Rejected(Rejection::NamespaceTerminating("team".into())));
    for _ in 0..4 {
        world.ok(Command::Collect { limit: 2 });
    }
    assert!(world.state.get(&Key::namespace("team")).is_none());
    assert!(!world.state.has_garbage());
    let refused = world.apply(delete(Key::namespace("default"), Propagation::Background)).answer;
    assert!(matches!(refused, Answer::Rejected(Rejection::Forbidden(..))));
}

#[test]
fn one_idempotency_key_makes_one_object() {
    let mut world = World::new();
    let command = |uid| match create_job("train", uid, 1, 1) {
        Command::Put(mut put) => {
            put.idempotency = Some(DocumentHash(7));
            Command::Put(put)
        }
        other => other,
    };
    let Answer::Stored(first) = world.ok(command(100)) else { panic!("stored") };
    let Answer::Stored(again) = world.ok(command(101)) else { panic!("stored") };
    assert_eq!(first.meta.uid, again.meta.uid);
}

#[test]
fn a_join_token_is_good_once_for_one_member() {
    let mut world = World::new();
    let join = world.log.iter().find_map(|entry| match &entry.command {
        Command::Join(join) => Some(join.clone()),
        _ => None,
    });
    let answer = world.apply(Command::Join(join.expect("a join"))).answer;
    assert!(matches!(answer, Answer::Rejected(Rejection::TokenRefused(_))), "{answer:?}");
}

/// S20: the replica that signs a later join may have a slow clock; what was revoked before stays revoked.
#[test]
fn a_join_by_a_slow_clock_revives_no_revoked_certificate() {
    let mut world = World::new();
    let member = MemberName::new("a");
    world.now = 100_500;
    world.ok(Command::Revoke { member, principal: Principal::new("petra") });
    let [token, Command::Join(join)] = joining("a", 30) else { panic!("a token and a join") };
    world.ok(token);
    world.ok(Command::Join(Join { certificate_from: TimeMs(90_000), ..join }));
    let status =
        world.state.get(&Key::cluster("a")).and_then(|found| found.cluster()).map(|c| c.status.clone());
    let status = status.expect("the member");
    assert!(!status.admits_certificate(TimeMs(90_000)), "{:?}", status.certificates_from);
    // What is issued from now on is good, whatever the clock of the replica that issues it says.
    let (renewed, joined) = (status.renewed_from(TimeMs(90_123)), status.joined_from(TimeMs(90_123)));
    assert!(status.admits_certificate(renewed) && renewed < joined);
    assert_eq!(status.renewed_from(TimeMs(900_123)), TimeMs(900_000));
}

#[test]
fn what_is_declared_lost_runs_again() {
    let mut world = World::new();
    world.ok(create_job("train", 100, 1, 1));
    world.plan("train", "a");
    let member = MemberName::new("a");
    world.ok(Command::SetReady { member: member.clone(), ready: false });
    world.ok(Command::DeclareLost { member, principal: Principal::new("petra") });
    let job = world.job("train").expect("the job");
    assert!(job.attempt.is_none() && job.phase == JobPhase::Queued);
    assert_eq!(world.free_gpus("a"), 16);
}

/// A member in contact tells of what it runs itself; what its machine ran before a restart nobody can tell of.
#[test]
fn of_a_member_in_contact_only_what_it_left_behind_is_declared_lost() {
    let mut world = World::new();
    world.ok(create_job("old", 100, 1, 1));
    world.plan("old", "a");
    let Command::ChangeCapacity(change) = capacity("a", 2) else { panic!("a change of capacity") };
    world.ok(Command::ChangeCapacity(CapacityChange { incarnation: incarnation(2), ..change }));
    world.ok(create_job("new", 101, 1, 1));
    world.plan("new", "a");
    let lost = Command::DeclareLost { member: MemberName::new("a"), principal: Principal::new("petra") };
    world.ok(lost);
    assert!(world.job("old").expect("the job").attempt.is_none());
    assert!(world.job("new").expect("the job").attempt.is_some());
}

#[test]
fn the_audit_chain_has_no_gap() {
    let mut world = World::new();
    let mut records = Vec::new();
    for command in [
        create_job("x", 100, 1, 1),
        create_job("x", 101, 1, 1),
        delete(Key::job("default", "x"), Propagation::Background),
    ] {
        for event in world.apply(command).events {
            if let Event::Audited(record) = event {
                records.push(record);
            }
        }
    }
    let first = records[0].sequence;
    let sequences: Vec<u64> = records.iter().map(|record| record.sequence - first).collect();
    assert_eq!(sequences, [0, 1, 2]);
    assert!(records[1].refused.is_some());
    assert_ne!(records[1].chain, records[2].chain);
}
