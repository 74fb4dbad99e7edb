//! `podFailurePolicy`, `successPolicy`, limits per index, gangs, and what a job that was made smaller still wants.

use expect_test::{Expect, expect};
use muster_member_machine::*;
use muster_model::*;

use crate::rig::*;

fn check(mut rig: Rig, want: &Expect) {
    want.assert_eq(&rig.take_log());
}

/// An Indexed job of `pods` pods at a time with these rules.
fn indexed(pods: u32, completions: u32, rules: JobRules) -> DesiredAttempt {
    with_spec(desired(5, pods, Some(completions)), |spec| {
        spec.completion.indexed = true;
        spec.rules = rules;
    })
}

fn on_exit(action: FailureAction, code: i32) -> FailureRule {
    let codes = ExitCodes { container: Some("main".into()), negated: false, values: vec![code] };
    FailureRule { action, pattern: FailurePattern::ExitCodes(codes) }
}

fn on_disruption(action: FailureAction) -> FailureRule {
    let pattern = ConditionPattern { kind: DISRUPTION.into(), status: "True".into() };
    FailureRule { action, pattern: FailurePattern::PodConditions(vec![pattern]) }
}

fn rules(on_failure: Vec<FailureRule>) -> JobRules {
    JobRules { on_failure, containers: vec!["main".into()], ..JobRules::default() }
}

fn exit(code: i32) -> Observation {
    end(EndReason::Error, Some(code))
}

#[test]
fn a_rule_fails_the_job_at_once_and_says_which_pod_it_was() {
    let mut rig = Rig::with(vec![indexed(2, 4, rules(vec![on_exit(FailureAction::FailJob, 42)]))]);
    rig.seen(pod(5, 1), exit(42));
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    let Some(Phase::Ended(ended)) = rig.machine.phase(Epoch(5)) else { panic!("it has ended") };
    let AttemptOutcome::Failed(why) = &ended.outcome else { panic!("it failed") };
    expect!["Container main for pod default/train-1-72jkz failed with exit code 42 matching FailJob rule at index 0"]
        .assert_eq(&why.message);
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 persist dead 5/1 Error, ending 5 PodFailurePolicy
        0 stop 5/0 3000 Stopped
        0 report 1: [5 running 0/0/0/1  ending 1]
        0 persist dead 5/0 Stopped, ended 5
    "#]],
    );
}

#[test]
fn what_a_rule_passes_over_is_replaced_without_being_counted() {
    let attempt = indexed(1, 1, rules(vec![on_exit(FailureAction::Ignore, 7)]));
    let mut rig = Rig::with(vec![with_spec(attempt, |spec| spec.backoff_limit = 0)]);
    rig.seen(pod(5, 0), exit(7));
    rig.pass(10_000);
    rig.seen(pod(5, 1), exit(8));
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0
        0 start 5/0 index 0 node 0 gpus [0]
        0 persist dead 5/0 Error
        0 report 1: [5 running 0/0/0/0]
        5000 report 2: [5 running 0/0/0/0]
        10000 persist pod 5/1
        10000 start 5/1 index 0 node 0 gpus [0]
        10000 reconnect 1
        10000 persist dead 5/1 Error, ending 5 BackoffLimitExceeded, ended 5
    "#]],
    );
}

#[test]
fn an_index_past_its_limit_fails_and_the_others_go_on() {
    let limits = JobRules { backoff_limit_per_index: Some(1), ..JobRules::default() };
    let attempt = with_spec(indexed(2, 3, limits), |spec| spec.backoff_limit = u32::MAX);
    let mut rig = Rig::with(vec![attempt]);
    rig.seen(pod(5, 0), failed());
    rig.seen(pod(5, 1), completed());
    rig.pass(10_000);
    rig.seen(pod(5, 3), failed());
    rig.seen(pod(5, 2), completed());
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 persist dead 5/0 Error, pod 5/2
        0 start 5/2 index 2 node 0 gpus [0]
        0 report 1: [5 running 2/0/0/1  failed  of 1:0]
        0 persist dead 5/1 Completed
        5000 report 2: [5 running 1/0/1/1 1 failed  of 1:0]
        10000 persist pod 5/3
        10000 start 5/3 index 0 node 0 gpus [1]
        10000 reconnect 1
        10000 persist dead 5/3 Error
        10000 persist dead 5/2 Completed, ending 5 FailedIndexes, ended 5
    "#]],
    );
}

#[test]
fn too_many_failed_indexes_fail_the_job() {
    let limits =
        JobRules { backoff_limit_per_index: Some(0), max_failed_indexes: Some(1), ..JobRules::default() };
    let mut rig = Rig::with(vec![with_spec(indexed(3, 9, limits), |spec| spec.backoff_limit = u32::MAX)]);
    rig.seen(pod(5, 0), failed());
    rig.seen(pod(5, 1), failed());
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1, pod 5/2
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 start 5/2 index 2 node 0 gpus [2]
        0 persist dead 5/0 Error, pod 5/3
        0 start 5/3 index 3 node 0 gpus [0]
        0 report 1: [5 running 3/0/0/1  failed 0 of]
        0 persist dead 5/1 Error, ending 5 MaxFailedIndexesExceeded
        0 stop 5/2 3000 Stopped
        0 stop 5/3 3000 Stopped
    "#]],
    );
}

#[test]
fn a_rule_fails_an_index_whatever_is_left_of_its_limit() {
    let limits =
        JobRules { backoff_limit_per_index: Some(9), ..rules(vec![on_exit(FailureAction::FailIndex, 3)]) };
    let mut rig = Rig::with(vec![with_spec(indexed(1, 2, limits), |spec| spec.backoff_limit = u32::MAX)]);
    rig.seen(pod(5, 0), exit(3));
    rig.seen(pod(5, 1), completed());
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0
        0 start 5/0 index 0 node 0 gpus [0]
        0 persist dead 5/0 Error, pod 5/1
        0 start 5/1 index 1 node 0 gpus [0]
        0 report 1: [5 running 1/0/0/1  failed 0 of]
        0 persist dead 5/1 Completed, ending 5 FailedIndexes, ended 5
    "#]],
    );
}

#[test]
fn some_completions_are_enough_where_the_job_says_so() {
    let enough = SuccessRule { indexes: Some("0".into()), count: None };
    let mut rig =
        Rig::with(vec![indexed(2, 9, JobRules { on_success: vec![enough], ..JobRules::default() })]);
    rig.seen(pod(5, 1), completed());
    rig.seen(pod(5, 0), completed());
    rig.seen(pod(5, 2), end(EndReason::Stopped, Some(143)));
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 persist dead 5/1 Completed, pod 5/2
        0 start 5/2 index 2 node 0 gpus [1]
        0 report 1: [5 running 2/0/1/0 1]
        0 persist dead 5/0 Completed, ending 5 Succeeded
        0 stop 5/2 3000 Stopped
        0 persist dead 5/2 Stopped, ended 5
    "#]],
    );
}

#[test]
fn an_eviction_counts_only_where_a_rule_says_so() {
    for (action, want) in [
        (
            None,
            expect![[r#"
            0 persist dead 5/0 Stopped
            0 report 1: [5 running 0/0/0/0  ending 1]
            0 persist dead 5/1 Stopped, ended 5
        "#]],
        ),
        (
            Some(FailureAction::Ignore),
            expect![[r#"
            0 persist dead 5/0 Stopped
            0 report 1: [5 running 0/0/0/0  ending 1]
            0 persist dead 5/1 Stopped, ended 5
        "#]],
        ),
        (
            Some(FailureAction::Count),
            expect![[r#"
            0 persist dead 5/0 Stopped
            0 report 1: [5 running 0/0/0/1  ending 1]
            0 persist dead 5/1 Stopped, ended 5
        "#]],
        ),
        (
            Some(FailureAction::FailJob),
            expect![[r#"
            0 persist dead 5/0 Stopped
            0 report 1: [5 running 0/0/0/1  ending 1]
            0 persist dead 5/1 Stopped, ended 5
        "#]],
        ),
    ] {
        let attempt = indexed(2, 2, rules(action.map(on_disruption).into_iter().collect()));
        let mut rig = Rig::with(vec![attempt.clone()]);
        rig.delta(vec![DesiredAttempt { stop: Some(StopReason::Evicted), ..attempt }], &[]);
        rig.take_log();
        rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
        rig.seen(pod(5, 1), end(EndReason::Stopped, Some(143)));
        check(rig, &want);
    }
}

#[test]
fn a_suspension_is_no_disruption() {
    let attempt = indexed(1, 1, rules(vec![on_disruption(FailureAction::FailJob)]));
    let mut rig = Rig::with(vec![attempt.clone()]);
    rig.delta(vec![DesiredAttempt { stop: Some(StopReason::Suspended), ..attempt }], &[]);
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    assert_eq!(rig.machine.phase(Epoch(5)).map(|phase| format!("{phase:?}").contains("Failed")), Some(false));
}

#[test]
fn failures_by_index_survive_a_move_to_another_attempt() {
    let limits = JobRules { backoff_limit_per_index: Some(2), ..JobRules::default() };
    let mut attempt = with_spec(indexed(3, 3, limits), |spec| spec.backoff_limit = u32::MAX);
    attempt.index_failures = IndexFailures { failed: "0".into(), counts: "2:1".into() };
    let mut rig = Rig::with(vec![attempt]);
    rig.seen(pod(5, 0), failed());
    rig.seen(pod(5, 1), completed());
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1
        0 start 5/0 index 1 node 0 gpus [0]
        0 start 5/1 index 2 node 0 gpus [1]
        0 persist dead 5/0 Error
        0 report 1: [5 running 1/0/0/1  failed 0,1 of]
        0 persist dead 5/1 Completed, ending 5 FailedIndexes, ended 5
    "#]],
    );
}

#[test]
fn by_default_only_the_failed_pod_of_a_gang_starts_again() {
    let mut rig = Rig::with(vec![indexed(2, 2, JobRules::default())]);
    rig.seen(pod(5, 1), failed());
    rig.pass(10_000);
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 persist dead 5/1 Error
        0 report 1: [5 running 1/0/0/1]
        5000 report 2: [5 running 1/0/0/1]
        10000 persist pod 5/2
        10000 start 5/2 index 1 node 0 gpus [1]
        10000 reconnect 1
    "#]],
    );
}

#[test]
fn a_gang_that_asks_for_it_starts_anew_as_a_whole() {
    let mut rig = Rig::with(vec![indexed(3, 3, JobRules { gang_restart: true, ..JobRules::default() })]);
    rig.seen(pod(5, 2), completed());
    rig.seen(pod(5, 1), failed());
    rig.seen(pod(5, 0), failed());
    rig.pass(10_000);
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1, pod 5/2
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 start 5/2 index 2 node 0 gpus [2]
        0 persist dead 5/2 Completed
        0 report 1: [5 running 2/0/1/0 2]
        0 persist dead 5/1 Error
        0 stop 5/0 3000 Stopped
        0 persist dead 5/0 Error
        5000 report 2: [5 running 0/0/0/1]
        10000 persist pod 5/3, pod 5/4, pod 5/5
        10000 start 5/3 index 0 node 0 gpus [0]
        10000 start 5/4 index 1 node 0 gpus [1]
        10000 start 5/5 index 2 node 0 gpus [2]
        10000 reconnect 1
    "#]],
    );
}

#[test]
fn a_gang_waits_for_its_last_pod_before_it_starts_anew_also_after_a_restart_of_the_agent() {
    let gang = indexed(2, 2, JobRules { gang_restart: true, ..JobRules::default() });
    let mut rig = Rig::with(vec![gang.clone()]);
    rig.running(5, 0);
    rig.seen(pod(5, 1), failed());
    rig.journal = rig.machine.snapshot();
    rig.take_log();
    rig.restart(1, vec![(pod(5, 0), Observation::Running { since: TimeMs(1) })]);
    rig.open();
    rig.ack(0, &[]);
    rig.full(vec![gang]);
    rig.seen(pod(5, 0), completed());
    rig.pass(10_000);
    check(
        rig,
        &expect![[r#"
        0 persist life
        0 stop 5/0 3000 Stopped
        0 hello session 2 [5 running 0/0/0/1  ending 1]
        0 report 1: [5 running 0/0/0/1  ending 1]
        0 persist dead 5/0 Completed
        5000 report 2: [5 running 0/0/0/1]
        10000 persist pod 5/2, pod 5/3
        10000 start 5/2 index 0 node 0 gpus [0]
        10000 start 5/3 index 1 node 0 gpus [1]
        10000 reconnect 2
    "#]],
    );
}

#[test]
fn a_smaller_job_stops_pods_of_indexes_that_it_has_no_more() {
    let mut rig = Rig::with(vec![indexed(3, 3, JobRules::default())]);
    rig.seen(pod(5, 1), completed());
    rig.delta(
        vec![DesiredAttempt {
            claims: vec![PodClaim { pod_set: 0, node: 0, pods: 3 }],
            ..indexed(1, 1, JobRules::default())
        }],
        &[],
    );
    rig.seen(pod(5, 2), end(EndReason::Stopped, Some(143)));
    rig.seen(pod(5, 0), completed());
    check(
        rig,
        &expect![[r#"
        0 persist attempt 5, pod 5/0, pod 5/1, pod 5/2
        0 start 5/0 index 0 node 0 gpus [0]
        0 start 5/1 index 1 node 0 gpus [1]
        0 start 5/2 index 2 node 0 gpus [2]
        0 persist dead 5/1 Completed
        0 report 1: [5 running 2/0/1/0 1]
        0 persist attempt 5
        0 stop 5/2 3000 Stopped
        0 persist dead 5/2 Stopped
        0 persist dead 5/0 Completed, ending 5 Succeeded, ended 5
    "#]],
    );
}
