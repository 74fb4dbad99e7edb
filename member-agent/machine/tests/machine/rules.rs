//! The rules of `batch/v1 Job` inside one attempt.

use expect_test::{Expect, expect};
use muster_member_machine::*;
use muster_model::*;

use crate::rig::*;

fn check(mut rig: Rig, want: &Expect) {
    want.assert_eq(&rig.take_log());
}

#[test]
fn a_pod_that_completes_completes_the_job() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.running(5, 0);
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.seen(pod(5, 0), completed());
    rig.hear(ToMember::ReportsTaken { seq: 2 });
    rig.hear(ToMember::ReportsTaken { seq: 3 });
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, pod 5/0
                 0 start 5/0 node 0 gpus [0]
                 0 report 1: [5 running 1/1/0/0]
                 0 persist dead 5/0 Completed, ending 5 Succeeded, ended 5
                 0 report 2: [5 Succeeded (0) 0/0/1/0]
                 0 persist taken 5
        "#]],
    );
}

#[test]
fn two_pods_never_share_a_gpu_and_a_third_waits() {
    let mut a = desired(5, 3, Some(3));
    a.claims = vec![PodClaim { pod_set: 0, node: 0, pods: 2 }, PodClaim { pod_set: 0, node: 1, pods: 1 }];
    let mut b = desired(6, 3, Some(3));
    b.uid = Uid(9);
    let mut rig = Rig::with(vec![a, b]);
    rig.seen(pod(5, 1), completed());
    rig.pass(500);
    check(
        rig,
        &expect![[r#"
            0 persist attempt 5, attempt 6, pod 5/0, pod 5/1, pod 5/2, pod 6/0, pod 6/1
            0 start 5/0 node 0 gpus [0]
            0 start 5/1 node 0 gpus [1]
            0 start 5/2 node 1 gpus [0]
            0 start 6/0 node 0 gpus [2]
            0 start 6/1 node 0 gpus [3]
            0 persist dead 5/1 Completed
            0 report 1: [5 running 2/0/1/0]
            500 persist pod 6/2
            500 start 6/2 node 0 gpus [1]
        "#]],
    );
}

#[test]
fn indexes_are_handed_out_lowest_first_without_those_completed_before() {
    let mut attempt = with_spec(desired(5, 2, Some(4)), |spec| spec.completion.indexed = true);
    attempt.completed_indexes = "1".into();
    attempt.before = PodCounts { succeeded: 1, ..PodCounts::default() };
    let mut rig = Rig::with(vec![attempt]);
    rig.seen(pod(5, 1), completed());
    rig.seen(pod(5, 0), completed());
    rig.seen(pod(5, 2), completed());
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, pod 5/0, pod 5/1
                 0 start 5/0 index 0 node 0 gpus [0]
                 0 start 5/1 index 2 node 0 gpus [1]
                 0 persist dead 5/1 Completed, pod 5/2
                 0 start 5/2 index 3 node 0 gpus [1]
                 0 report 1: [5 running 2/0/2/0 1,2]
                 0 persist dead 5/0 Completed
                 0 persist dead 5/2 Completed, ending 5 Succeeded, ended 5
        "#]],
    );
}

#[test]
fn a_failure_is_retried_after_a_growing_delay_until_the_limit() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    rig.seen(pod(5, 0), failed());
    rig.pass(9_500);
    rig.ack(4, &[]);
    rig.pass(500);
    rig.seen(pod(5, 1), failed());
    rig.pass(9_000);
    rig.ack(9, &[]);
    rig.pass(9_000);
    rig.ack(13, &[]);
    rig.pass(2_000);
    rig.seen(pod(5, 2), failed());
    check(
        rig,
        &expect![[r#"
            0 persist attempt 5, pod 5/0
            0 start 5/0 node 0 gpus [0]
            0 persist dead 5/0 Error
            0 report 1: [5 running 0/0/0/1]
            5000 report 2: [5 running 0/0/0/1]
            10000 persist pod 5/1
            10000 start 5/1 node 0 gpus [0]
            10000 report 3: [5 running 1/0/0/1]
            10000 persist dead 5/1 Error
            15000 report 4: [5 running 0/0/0/2]
            20000 report 5: [5 running 0/0/0/2]
            25000 report 6: [5 running 0/0/0/2]
            30000 persist pod 5/2
            30000 start 5/2 node 0 gpus [0]
            30000 report 7: [5 running 1/0/0/2]
            30000 persist dead 5/2 Error, ending 5 BackoffLimitExceeded, ended 5
        "#]],
    );
}

#[test]
fn failures_of_earlier_attempts_count_against_the_limit() {
    let mut attempt = desired(5, 1, Some(1));
    attempt.before = PodCounts { failed: 2, ..PodCounts::default() };
    let mut rig = Rig::with(vec![attempt]);
    rig.seen(pod(5, 0), end(EndReason::StartError, None));
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, pod 5/0
                 0 start 5/0 node 0 gpus [0]
                 0 persist dead 5/0 StartError, ending 5 BackoffLimitExceeded, ended 5
                 0 report 1: [5 BackoffLimitExceeded 0/0/0/3]
        "#]],
    );
}

/// A member that comes back is told its attempts again, with the counts that the hub has by then.
#[test]
fn what_the_hub_heard_of_an_attempt_is_not_counted_twice() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(3))]);
    rig.seen(pod(5, 0), completed());
    rig.seen(pod(5, 1), failed());
    for _ in 0..3 {
        rig.open();
        rig.ack(0, &[]);
        let mut again = desired(5, 1, Some(3));
        again.before = rig.reports[&Epoch(5)].pods;
        rig.full(vec![again]);
    }
    let pods = rig.reports[&Epoch(5)].pods;
    assert_eq!((pods.succeeded, pods.failed), (1, 1), "{}", rig.take_log());
}

#[test]
fn a_work_queue_is_done_when_one_completed_and_all_are_dead() {
    let mut rig = Rig::with(vec![desired(5, 2, None)]);
    rig.seen(pod(5, 0), completed());
    rig.pass(500);
    rig.seen(pod(5, 1), failed());
    check(
        rig,
        &expect![[r#"
            0 persist attempt 5, pod 5/0, pod 5/1
            0 start 5/0 node 0 gpus [0]
            0 start 5/1 node 0 gpus [1]
            0 persist dead 5/0 Completed
            0 report 1: [5 running 1/0/1/0]
            500 persist dead 5/1 Error, ending 5 Succeeded, ended 5
        "#]],
    );
}

#[test]
fn the_active_deadline_ends_the_attempt() {
    let mut attempt = with_spec(desired(5, 1, Some(1)), |s| s.active_deadline = Some(DurationMs(60_000)));
    attempt.active_deadline_left = Some(DurationMs(2_000));
    let mut rig = Rig::with(vec![attempt]);
    rig.pass(1_500);
    rig.pass(500);
    rig.seen(pod(5, 0), end(EndReason::DeadlineExceeded, Some(143)));
    check(
        rig,
        &expect![[r#"
            0 persist attempt 5, pod 5/0
            0 start 5/0 node 0 gpus [0]
            2000 persist ending 5 DeadlineExceeded
            2000 stop 5/0 3000 DeadlineExceeded
            2000 persist dead 5/0 DeadlineExceeded, ended 5
            2000 report 1: [5 DeadlineExceeded 0/0/0/0]
        "#]],
    );
}

#[test]
fn a_stop_is_an_end_only_when_every_pod_is_dead() {
    let mut rig = Rig::with(vec![desired(5, 2, Some(2))]);
    let mut stop = desired(5, 2, Some(2));
    stop.stop = Some(StopReason::Suspended);
    stop.grace = DurationMs(7_000);
    rig.delta(vec![stop], &[]);
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    rig.pass(5_000);
    rig.seen(pod(5, 1), Observation::Unknown);
    rig.pass(500);
    rig.seen(pod(5, 1), end(EndReason::Stopped, Some(137)));
    check(
        rig,
        &expect![[r#"
            0 persist attempt 5, pod 5/0, pod 5/1
            0 start 5/0 node 0 gpus [0]
            0 start 5/1 node 0 gpus [1]
            0 persist attempt 5, ending 5 Stopped
            0 stop 5/0 7000 Stopped
            0 stop 5/1 7000 Stopped
            0 persist dead 5/0 Stopped
            0 report 1: [5 running 0/0/0/0  ending 1]
            5000 stop 5/1 2000 Stopped
            5000 report 2: [5 running 0/0/0/0  ending 1]
            5500 persist dead 5/1 Stopped, ended 5
        "#]],
    );
}

#[test]
fn a_template_that_the_backend_refuses_fails_the_job() {
    let mut rig = Rig::with(vec![desired(5, 1, Some(1))]);
    let message = "spec.template.spec.containers[0].command: is missing".into();
    rig.seen(pod(5, 0), Observation::Refused { reason: "NoCommand".into(), message });
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, pod 5/0
                 0 start 5/0 node 0 gpus [0]
                 0 persist dead 5/0 Refused, ending 5 InvalidTemplate, ended 5
                 0 report 1: [5 InvalidTemplate 0/0/0/1]
        "#]],
    );
}

#[test]
fn more_parallelism_starts_pods_and_less_stops_the_youngest() {
    let claims = vec![PodClaim { pod_set: 0, node: 0, pods: 3 }];
    let wide = |parallelism| DesiredAttempt { claims: claims.clone(), ..desired(5, parallelism, Some(9)) };
    let mut rig = Rig::with(vec![wide(2)]);
    rig.delta(vec![wide(3)], &[]);
    rig.delta(vec![wide(1)], &[]);
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, pod 5/0, pod 5/1
                 0 start 5/0 node 0 gpus [0]
                 0 start 5/1 node 0 gpus [1]
                 0 persist attempt 5, pod 5/2
                 0 start 5/2 node 0 gpus [2]
                 0 persist attempt 5
                 0 stop 5/1 3000 Stopped
                 0 stop 5/2 3000 Stopped
        "#]],
    );
}

#[test]
fn a_job_without_completions_left_is_complete_at_once() {
    check(
        Rig::with(vec![desired(5, 1, Some(0))]),
        &expect![[r#"
                 0 persist attempt 5, ending 5 Succeeded, ended 5
                 0 report 1: [5 Succeeded (0) 0/0/0/0]
        "#]],
    );
}

#[test]
fn going_down_stops_what_runs_with_a_short_grace() {
    let waiting = DesiredAttempt {
        uid: Uid(9),
        claims: vec![PodClaim { pod_set: 0, node: 0, pods: 9 }],
        requests: vec![Resources { gpu_milli: 4000, ..Resources::default() }],
        ..desired(6, 1, Some(1))
    };
    let mut rig = Rig::with(vec![desired(5, 1, Some(1)), waiting]);
    rig.step(Input::Shutdown { grace_cap_ms: 1_000 });
    rig.seen(pod(5, 0), end(EndReason::Stopped, Some(143)));
    rig.hear(ToMember::ReportsTaken { seq: 1 });
    rig.hear(ToMember::ReportsTaken { seq: 2 });
    assert!(rig.machine.is_settled());
    check(
        rig,
        &expect![[r#"
                 0 persist attempt 5, attempt 6, pod 5/0
                 0 start 5/0 node 0 gpus [0]
                 0 persist ending 5 Stopped
                 0 stop 5/0 1000 Stopped
                 0 persist dead 5/0 Stopped, ended 5
                 0 report 1: [5 Stopped 0/0/0/0]
                 0 persist taken 5
        "#]],
    );
}

#[test]
fn restarts_in_place_count_against_the_limit_while_the_pod_runs() {
    let mut rig = Rig::with(vec![with_spec(desired(5, 1, Some(1)), |spec| spec.backoff_limit = 2)]);
    rig.running(5, 0);
    rig.step(Input::PodRestarted { pod: pod(5, 0), restarts: 1 });
    rig.take_log();
    rig.step(Input::PodRestarted { pod: pod(5, 0), restarts: 2 });
    check(
        rig,
        &expect![[r#"
            0 persist ending 5 BackoffLimitExceeded
            0 stop 5/0 3000 Stopped
        "#]],
    );
}

/// What failed is between what works: numbers do not move.
#[test]
fn nothing_is_started_on_a_gpu_that_failed_until_it_works_again() {
    let mut rig = Rig::new();
    rig.open();
    rig.ack(0, &[]);
    let gpus = std::collections::BTreeSet::from([(0, 0), (0, 2)]);
    rig.step(Input::GpusFailed { gpus: gpus.clone() });
    rig.step(Input::CapacityChanged(capacity_without(&capacity(1), &gpus)));
    rig.full(vec![desired(5, 3, Some(3))]);
    let held = |rig: &Rig, serial| rig.machine.pod(pod(5, serial)).map(|view| view.pod.gpus.clone());
    assert_eq!([0, 1, 2].map(|serial| held(&rig, serial)), [Some(vec![1]), Some(vec![3]), None]);
    rig.step(Input::GpusFailed { gpus: Default::default() });
    rig.step(Input::CapacityChanged(capacity(1)));
    assert_eq!(held(&rig, 2), Some(vec![0]));
}
