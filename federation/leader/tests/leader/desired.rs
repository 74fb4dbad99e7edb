//! What a member is told to run.

use std::sync::Arc;

use expect_test::expect;
use muster_leader::Action;
use muster_model::*;

use crate::hub::{Hub, job_spec, running, show, succeeded};

fn replace(name: &str, spec: JobSpec) -> Command {
    Command::Put(Box::new(Put {
        key: Key::job("default", name),
        mode: PutMode::Replace(Precondition::default()),
        spec: Spec::Job(Arc::new(spec)),
        typed_version: 1,
        document: Document::default(),
        finalizers: vec![],
        owners: vec![],
        principal: Principal::new("dana"),
        idempotency: None,
    }))
}

#[test]
fn a_placed_job_is_told_as_a_delta_and_its_end_as_gone() {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    expect![[r#"
        propose plan j on a
        to 1: delta [j] gone 0
    "#]]
    .assert_eq(&show(&hub.create_job("j", PartitionPolicy::Keep)));
    let report = hub.report("j", running());
    hub.say(1, ToHub::Reports { seq: 1, reports: vec![report] });
    expect![[r#"
        to 1: taken 1
    "#]]
    .assert_eq(&show(&hub.commit()));
    let (_, actions) = hub.apply(replace("j", JobSpec { suspend: true, ..job_spec(PartitionPolicy::Keep) }));
    expect![[r#"
        to 1: delta [j stop Suspended] gone 0
    "#]]
    .assert_eq(&show(&actions));
    let report = hub.report("j", succeeded());
    hub.say(1, ToHub::Reports { seq: 2, reports: vec![report] });
    expect![[r#"
        to 1: delta [] gone 1
        to 1: taken 2
    "#]]
    .assert_eq(&show(&hub.commit()));
}

#[test]
fn only_what_changed_is_told() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("one", PartitionPolicy::Keep);
    expect![[r#"
        propose plan two on a
        to 1: delta [two] gone 0
    "#]]
    .assert_eq(&show(&hub.create_job("two", PartitionPolicy::Keep)));
}

#[test]
fn an_attempt_that_the_hub_does_not_know_is_gone() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::Keep);
    let known = hub.report("j", running());
    let unknown = AttemptReport { epoch: Epoch(known.epoch.0 - 1), ..known.clone() };
    expect![[r#"
        close 1: the agent opened a newer session
        start read
        to 2: ack 0 renews 1
        to 2: full [j]
        to 2: delta [] gone 1
        propose reports of a/1: j
    "#]]
    .assert_eq(&show(&hub.connect_as(2, "a", 1, vec![unknown, known])));
}

#[test]
fn the_attempt_comes_with_all_that_it_needs() {
    let mut hub = Hub::new(&["a"]);
    hub.create_job("j", PartitionPolicy::Fence);
    hub.at = 5_000;
    let actions = hub.connect(1, "a");
    let full = actions.iter().find_map(|action| match action {
        Action::Send { message: ToMember::Full { attempts, .. }, .. } => attempts.first(),
        _ => None,
    });
    let desired = full.expect("a full set with one attempt");
    let policy = GrantPolicy { partition: PartitionPolicy::Fence, fence_after: DurationMs::from_secs(60) };
    assert_eq!(desired.epoch, hub.epoch("j"));
    assert_eq!(desired.policy, policy);
    assert_eq!(desired.claims, [PodClaim { pod_set: 0, node: 0, pods: 1 }]);
    assert_eq!(desired.requests.len(), 1);
    assert_eq!(desired.gpu_model, Some(GpuModel::new("A100")));
    assert_eq!(desired.grace, DurationMs::from_secs(30));
    assert_eq!(desired.active_deadline_left, Some(DurationMs::from_secs(595)));
}

#[test]
fn a_job_deleted_while_it_runs_is_told_to_stop_with_the_deletion_s_grace() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::Keep);
    let (_, actions) = hub.apply(Command::Delete(Delete {
        key: Key::job("default", "j"),
        precondition: Precondition::default(),
        propagation: Propagation::Background,
        grace_s: Some(3),
        principal: Principal::new("dana"),
    }));
    expect![[r#"
        to 1: delta [j stop Deleted] gone 0
    "#]]
    .assert_eq(&show(&actions));
    let told = actions.iter().find_map(|action| match action {
        Action::Send { message: ToMember::Delta { changed, .. }, .. } => changed.first(),
        _ => None,
    });
    assert_eq!(told.map(|desired| desired.grace), Some(DurationMs::from_secs(3)));
}
