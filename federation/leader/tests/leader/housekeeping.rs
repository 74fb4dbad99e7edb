//! What time alone removes, and when planning starts.

use expect_test::expect;
use muster_leader::Action;
use muster_model::*;

use crate::hub::{Hub, create, job_spec, show, succeeded};

#[test]
fn finished_jobs_expire_one_entry_at_a_time() {
    let mut hub = Hub::new(&["a"]);
    hub.connect(1, "a");
    hub.create_job("j", PartitionPolicy::Keep);
    let reports = vec![hub.report("j", succeeded())];
    hub.say(1, ToHub::Reports { seq: 1, reports });
    hub.commit();
    expect![[""]].assert_eq(&show(&hub.wait(4_999)));
    expect![[r#"
        propose Expire { limit: 1000 }
    "#]]
    .assert_eq(&show(&hub.wait(500)));
    hub.commit();
    assert!(hub.state.get(&Key::job("default", "j")).is_none());
}

#[test]
fn a_job_is_planned_as_soon_as_it_is_there_and_one_plan_is_under_way() {
    let mut hub = Hub::new(&["a"]);
    let job =
        |name: &str| create(Key::job("default", name), Spec::Job(job_spec(PartitionPolicy::Keep).into()));
    expect![[r#"
        propose plan one on a
    "#]]
    .assert_eq(&show(&hub.apply(job("one")).1));
    expect![[""]].assert_eq(&show(&hub.apply(job("two")).1));
    expect![[r#"
        propose plan two on a
    "#]]
    .assert_eq(&show(&hub.commit()));
    assert_eq!(hub.leader.waiting(), 0);
}

#[test]
fn what_apply_refused_is_tried_again_after_a_while() {
    let mut hub = Hub::new(&["a"]);
    hub.apply(create(Key::job("default", "j"), Spec::Job(job_spec(PartitionPolicy::Keep).into())));
    let id = *hub.open.keys().next().expect("a plan");
    hub.open.clear();
    let refused =
        PlanAnswer { placed: 0, rejected: vec![(Key::job("default", "j"), "the member is cordoned")] };
    let outcome = muster_leader::Outcome::Answered(Answer::Planned(refused));
    assert_eq!(hub.step(muster_leader::Input::ProposalDone { id, outcome }), []);
    assert_eq!(hub.wait(900), []);
    expect![[r#"
        propose plan j on a
    "#]]
    .assert_eq(&show(&hub.wait(200)));
}

#[test]
fn a_job_that_waits_is_explained_with_its_position() {
    let mut hub = Hub::new(&["a"]);
    hub.create_job("first", PartitionPolicy::Keep);
    let mut big = job_spec(PartitionPolicy::Keep);
    big.pod_sets[0].request.gpu_milli = 64_000;
    hub.apply(create(Key::job("default", "big"), Spec::Job(big.into())));
    let key = Key::job("default", "big");
    let report = hub.leader.explain_stored(&key, TimeMs(0)).expect("a job");
    assert_eq!(hub.leader.position(&key), Some(1));
    expect![[r#"
        default/big: no cluster can ever take it as it is; a: 64 GPU on one Node needed; the largest Node with A100 has 8
          a
            no: 64 GPU on one Node needed; the largest Node with A100 has 8
            fix: ask for at most 8 GPU, 96 CPU, 1024 GiB per pod, or add larger Nodes
    "#]].assert_eq(&report.to_string());
    let proposed = hub.wait(5_000).iter().filter(|a| matches!(a, Action::Propose { .. })).count();
    assert_eq!(proposed, 0, "nothing is planned while nothing was gained");
}
