//! What rules about single pods, and a job without work, decide in the state.

use std::sync::Arc;

use muster_model::*;

use crate::world::*;

fn reason(job: Option<&Job>) -> Option<String> {
    match &job?.phase {
        JobPhase::Finished(finish) => Some(match &finish.failure {
            None => "Complete".to_owned(),
            Some(why) => format!("{}: {}", why.reason, why.message),
        }),
        _ => None,
    }
}

/// A job of two pods with a rule for pods that are ended from outside.
fn with_rule(action: FailureAction, backoff_limit: u32) -> Arc<JobSpec> {
    let mut spec = job_spec(2, 1, false);
    let changed = Arc::make_mut(&mut spec);
    changed.backoff_limit = backoff_limit;
    let pattern = ConditionPattern { kind: DISRUPTION.into(), status: "True".into() };
    let pattern = FailurePattern::PodConditions(vec![pattern]);
    changed.rules.on_failure = vec![FailureRule { action, pattern }];
    spec
}

/// A placed job of this spec, of which the member reported both pods as active.
fn running(spec: &Arc<JobSpec>) -> World {
    let mut world = World::new();
    world.ok(create(Key::job("default", "j"), 100, Spec::Job(Arc::clone(spec))));
    world.plan("j", "a");
    world.pods = PodCounts { active: 2, ready: 2, ..PodCounts::default() };
    world.report("j", ReportedState::Running { since: TimeMs(5) });
    world
}

/// The member is gone for good.
fn lose(world: &mut World) {
    world.ok(Command::SetReady { member: MemberName::new("a"), ready: false });
    let principal = Principal::new("petra");
    world.ok(Command::DeclareLost { member: MemberName::new("a"), principal });
}

#[test]
fn an_attempt_that_is_lost_counts_only_where_a_rule_says_so() {
    for (action, limit, want) in [
        (FailureAction::Ignore, 0, None),
        (FailureAction::FailIndex, 0, None),
        (FailureAction::Count, 2, None),
        (FailureAction::Count, 1, Some("BackoffLimitExceeded: Job has reached the specified backoff limit")),
        (
            FailureAction::FailJob,
            9,
            Some(
                "PodFailurePolicy: Pod of the attempt on a has condition DisruptionTarget matching FailJob rule at index 0",
            ),
        ),
    ] {
        let mut world = running(&with_rule(action, limit));
        lose(&mut world);
        assert_eq!(reason(world.job("j")).as_deref(), want, "{action:?} {limit}");
        let failed = if action == FailureAction::Count { 2 } else { 0 };
        assert_eq!(
            world.job("j").map(|job| (job.pods.failed, job.pods.active)),
            Some((failed, 0)),
            "{action:?}"
        );
        assert_eq!(world.free_gpus("a"), 16, "nothing is held");
    }
}

#[test]
fn a_job_that_fails_while_it_is_moved_gives_its_next_place_back() {
    let mut world = running(&with_rule(FailureAction::FailJob, 9));
    let epoch = world.job("j").and_then(|job| job.attempt.as_ref()).map(|attempt| attempt.epoch);
    let eviction = Eviction { job: Key::job("default", "j"), epoch: epoch.unwrap(), message: "moved".into() };
    let assignments = world.place("j", "b").into_iter().collect();
    let plan = Plan { based_on: world.state.revision(), assignments, evictions: vec![eviction] };
    world.ok(Command::CommitPlan(plan));
    assert_eq!(world.free_gpus("b"), 14, "it is reserved");
    lose(&mut world);
    assert!(reason(world.job("j")).is_some());
    assert_eq!((world.free_gpus("a"), world.free_gpus("b")), (16, 16));
}

#[test]
fn a_job_that_wants_no_completions_is_complete_without_a_place() {
    let empty = |suspend| {
        let mut spec = job_spec(0, 1, suspend);
        Arc::make_mut(&mut spec).completion.parallelism = 1;
        spec
    };
    let key = Key::job("default", "j");
    let mut world = World::new();
    world.ok(create(key.clone(), 100, Spec::Job(empty(false))));
    assert_eq!(reason(world.job("j")).as_deref(), Some("Complete"));
    assert!(world.job("j").is_some_and(|job| job.attempts == 0 && job.start_time.is_some()));

    let mut world = World::new();
    world.ok(create(key.clone(), 100, Spec::Job(empty(true))));
    assert_eq!(reason(world.job("j")), None, "held");
    world.ok(put(key, PutMode::Replace(Precondition::default()), Spec::Job(empty(false))));
    assert_eq!(reason(world.job("j")).as_deref(), Some("Complete"));
}

#[test]
fn a_job_without_parallelism_waits_for_some_and_is_not_suspended() {
    let sized = |parallelism, suspend| {
        let mut spec = job_spec(1, 1, suspend);
        Arc::make_mut(&mut spec).completion.parallelism = parallelism;
        spec
    };
    let key = Key::job("default", "j");
    let replace = |spec| put(key.clone(), PutMode::Replace(Precondition::default()), Spec::Job(spec));
    let state = |world: &World| {
        world.job("j").map(|job| (job.phase == JobPhase::Suspended, job.suspension_changed.map(|at| at.0)))
    };
    let mut world = World::new();
    world.ok(create(key.clone(), 100, Spec::Job(sized(0, false))));
    assert_eq!(state(&world), Some((true, None)));
    world.ok(replace(sized(1, false)));
    assert_eq!(state(&world), Some((false, None)));
    world.ok(replace(sized(1, true)));
    let suspended = world.now;
    assert_eq!(state(&world), Some((true, Some(suspended))));
    world.ok(replace(sized(0, true)));
    assert_eq!(state(&world), Some((true, Some(suspended))));
    world.ok(replace(sized(0, false)));
    assert_eq!(state(&world), Some((true, Some(world.now))));
}
