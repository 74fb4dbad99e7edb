use expect_test::expect;
use muster_model::{
    Deletion, Finish, FinishReason, Job, JobPhase, MemberName, Object, Reservation, Status as State, TimeMs,
};

use super::KIND;
use super::tests::{PLAIN, with};
use crate::kinds::samples::{NOW, assignment, object, row, running_job, status};

fn in_phase(phase: JobPhase) -> Object {
    let mut object = running_job();
    let State::Job(job) = &mut object.status else { panic!("a job") };
    **job = Job { phase, attempt: None, ..Job::clone(job) };
    object
}

#[test]
fn status_as_the_job_controller_writes_it() {
    let later = TimeMs(NOW.0 + 65_000);
    expect![[r#"
        {
          "active": 2,
          "completedIndexes": "0",
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "on onprem-a because it costs 1.00 per hour, 2.00 less than the next",
              "reason": "Placed",
              "status": "True",
              "type": "Placed"
            }
          ],
          "failed": 1,
          "ready": 1,
          "startTime": "2026-11-20T10:44:05Z",
          "succeeded": 1,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]]
    .assert_eq(&status(&KIND, &running_job()));
    expect![[r#"
        {
          "active": 2,
          "completedIndexes": "0",
          "completionTime": "2026-11-20T10:45:10Z",
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:45:10Z",
              "message": "Reached expected number of succeeded pods",
              "reason": "CompletionsReached",
              "status": "True",
              "type": "SuccessCriteriaMet"
            },
            {
              "lastTransitionTime": "2026-11-20T10:45:10Z",
              "message": "Reached expected number of succeeded pods",
              "reason": "CompletionsReached",
              "status": "True",
              "type": "Complete"
            },
            {
              "lastTransitionTime": "2026-11-20T10:44:06Z",
              "message": "on aws-use1-spot because it is the cheapest",
              "reason": "Placed",
              "status": "True",
              "type": "Placed"
            }
          ],
          "failed": 1,
          "ready": 1,
          "startTime": "2026-11-20T10:44:05Z",
          "succeeded": 1,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]]
    .assert_eq(&status(&KIND, &in_phase(JobPhase::Finished(finish(later, None)))));
    let why = FinishReason {
        reason: "BackoffLimitExceeded".into(),
        message: "Job has reached the specified \"backoff\" limit".into(),
    };
    let failed = in_phase(JobPhase::Finished(finish(later, Some(why))));
    expect![[r#"
        {
          "active": 2,
          "completedIndexes": "0",
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:45:10Z",
              "message": "Job has reached the specified \"backoff\" limit",
              "reason": "BackoffLimitExceeded",
              "status": "True",
              "type": "FailureTarget"
            },
            {
              "lastTransitionTime": "2026-11-20T10:45:10Z",
              "message": "Job has reached the specified \"backoff\" limit",
              "reason": "BackoffLimitExceeded",
              "status": "True",
              "type": "Failed"
            },
            {
              "lastTransitionTime": "2026-11-20T10:44:06Z",
              "message": "on aws-use1-spot because it is the cheapest",
              "reason": "Placed",
              "status": "True",
              "type": "Placed"
            }
          ],
          "failed": 1,
          "ready": 1,
          "startTime": "2026-11-20T10:44:05Z",
          "succeeded": 1,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]]
    .assert_eq(&status(&KIND, &failed));
    expect![[r#"
        {
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "waits for a place; `muster why` says for what",
              "reason": "Queued",
              "status": "False",
              "type": "Placed"
            }
          ],
          "ready": 0,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]]
    .assert_eq(&status(&KIND, &object(&KIND, PLAIN)));
    expect![[r#"
        {
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "Job suspended",
              "reason": "JobSuspended",
              "status": "True",
              "type": "Suspended"
            }
          ],
          "ready": 0,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]]
    .assert_eq(&status(&KIND, &object(&KIND, &with("suspend: true, ", ""))));
    let held = Reservation { assignment: assignment(), expires: later, held: true };
    expect![[r#"
        {
          "active": 2,
          "completedIndexes": "0",
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "has a place on onprem-a because it costs 1.00 per hour, 2.00 less than the next, and gets it when the attempts in the way have ended",
              "reason": "Reserved",
              "status": "False",
              "type": "Placed"
            }
          ],
          "failed": 1,
          "ready": 1,
          "startTime": "2026-11-20T10:44:05Z",
          "succeeded": 1,
          "terminating": 0,
          "uncountedTerminatedPods": {}
        }"#]].assert_eq(&status(&KIND, &in_phase(JobPhase::Reserved(Box::new(held)))));
}

#[test]
fn rows_as_kubectl_prints_them() {
    let later = TimeMs(NOW.0 + 125_000);
    expect![[r#"
        Name: "train"
        Status: "Running"
        Completions: "1/4"
        Duration: "2m5s"
        Age: "2m5s"
        Cluster: "onprem-a"
        Containers: "main,side"
        Images: "registry.example:5000/train,side@sha256:0123"
        Selector: "batch.kubernetes.io/controller-uid=0a1b2c3d-0000-4000-8000-0000000000ff""#]]
    .assert_eq(&row(&KIND, &running_job(), later));
    let state =
        |object: &Object| row(&KIND, object, later).lines().skip(1).take(3).collect::<Vec<_>>().join(", ");
    expect![[r#"Status: "Queued", Completions: "0/1", Duration: """#]]
        .assert_eq(&state(&object(&KIND, PLAIN)));
    let done = JobPhase::Finished(finish(TimeMs(NOW.0 + 65_000), None));
    expect![[r#"Status: "Complete", Completions: "1/4", Duration: "65s""#]]
        .assert_eq(&state(&in_phase(done)));
    let mut deleted = running_job();
    deleted.meta.deletion = Some(Deletion { at: NOW, grace_s: 30 });
    expect![[r#"Status: "Terminating", Completions: "1/4", Duration: "2m5s""#]].assert_eq(&state(&deleted));
    expect![[r#"Status: "Queued", Completions: "0/1 of 3", Duration: """#]]
        .assert_eq(&state(&object(&KIND, &with("parallelism: 3, ", ""))));
}

fn finish(at: TimeMs, failure: Option<FinishReason>) -> Finish {
    let granted_at = TimeMs(NOW.0 + 1_000);
    Finish {
        at,
        failure,
        member: MemberName::new("aws-use1-spot"),
        because: "it is the cheapest".into(),
        granted_at,
    }
}
