//! What members hold of datasets is committed when it is news; each target is told its open transfers.

use std::sync::Arc;

use expect_test::expect;
use muster_model::*;

use crate::hub::{Hub, create, show};

const SIZE: u64 = 8 << 20;

fn corpus() -> Key {
    Key::new(kinds::DATASET, "default", "corpus")
}

fn dataset() -> Command {
    let spec = DatasetSpec {
        version: "1".into(),
        size_bytes: SIZE,
        replicas: vec![],
        allowed_regions: vec![],
        partial: vec![],
        digest: Some(ContentDigest([1; 32])),
    };
    create(corpus(), Spec::Dataset(Arc::new(spec)))
}

fn holds(missing_bytes: u64) -> DataReport {
    let copy = DataCopy {
        version: "1".into(),
        digest: ContentDigest([1; 32]),
        size_bytes: SIZE,
        missing_bytes,
        folder: "/datasets".into(),
    };
    DataReport { copies: vec![HeldCopy { dataset: corpus(), copy }], transfers: vec![] }
}

/// What was proposed of data, and which transfers were told.
fn news(actions: &[muster_leader::Action]) -> String {
    let lines = show(actions);
    let of_data = |line: &&str| line.contains("ReportData") || line.contains("transfers");
    let short = |line: &str| match line.split_once("ReportData(") {
        Some((_, report)) => {
            let count = |what: &str| report.matches(what).count();
            format!(
                "propose {} copies, {} gone, {} failed\n",
                count("DataCopy"),
                usize::from(!report.contains("gone: []")),
                count("failed: Some")
            )
        }
        None => format!("{line}\n"),
    };
    lines.lines().filter(of_data).map(short).collect()
}

fn hub() -> Hub {
    let mut hub = Hub::new(&["a", "b"]);
    hub.connect(1, "a");
    hub.connect(2, "b");
    hub
}

/// A job on `b` whose data comes from `a`.
fn place(hub: &mut Hub) -> Vec<muster_leader::Action> {
    hub.create_job("j", PartitionPolicy::Keep);
    // Taken off the member that the planner chose, so that its data has a way to go.
    let key = Key::job("default", "j");
    let attempt = hub.job("j").attempt.clone().expect("the planner placed it");
    let uid = hub.state.get(&key).expect("the job").meta.uid;
    let eviction = Eviction { job: key.clone(), epoch: attempt.epoch, message: "test".into() };
    let data = DataUse { dataset: "corpus".into(), version: "1".into(), digest: ContentDigest([1; 32]) };
    let fetch = DataFetch { source: MemberName::new("a"), bytes: SIZE, egress: MicroUsd(7) };
    let assignment = Assignment {
        member: MemberName::new("b"),
        data: vec![DataNeed { data, fetch: Some(fetch) }],
        after: vec![],
        ..attempt.assignment
    };
    let plan =
        |assignments, evictions| Command::CommitPlan(Plan { based_on: Revision(0), assignments, evictions });
    hub.apply(plan(vec![], vec![eviction]));
    hub.apply(plan(vec![(key, uid, assignment)], vec![]));
    let ended = hub.report(
        "j",
        ReportedState::Ended {
            outcome: AttemptOutcome::Stopped,
            exit_code: None,
            at: TimeMs(crate::hub::START),
        },
    );
    let member = attempt.assignment.member.clone();
    let incarnation = crate::hub::incarnation(1);
    hub.apply(Command::ReportAttempts { member, incarnation, reports: vec![ended] }).1
}

#[test]
fn what_is_news_is_committed_and_nothing_else() {
    let mut hub = hub();
    assert_eq!(news(&hub.say(1, ToHub::Data(holds(0)))), "", "no such dataset yet");
    hub.apply(dataset());
    expect![[r#"
        propose 1 copies, 0 gone, 0 failed
    "#]]
    .assert_eq(&news(&hub.wait(100)));
    hub.commit();
    assert_eq!(news(&hub.say(1, ToHub::Data(holds(0)))), "", "it is what is committed");
    expect![[r#"
        propose 0 copies, 1 gone, 0 failed
    "#]]
    .assert_eq(&news(&hub.say(1, ToHub::Data(DataReport::default()))));
}

#[test]
fn parts_are_told_at_most_once_a_second() {
    let mut hub = hub();
    hub.apply(dataset());
    let first = hub.say(1, ToHub::Data(holds(9)));
    assert!(news(&first).starts_with("propose 1 copies"));
    hub.commit();
    assert_eq!(news(&hub.say(1, ToHub::Data(holds(8)))), "");
    assert!(news(&hub.wait(1_000)).starts_with("propose 1 copies"));
    hub.commit();
    assert!(news(&hub.say(1, ToHub::Data(holds(0)))).starts_with("propose 1 copies"), "a whole one at once");
}

#[test]
fn a_target_is_told_what_to_fetch_and_when_it_is_over() {
    let mut hub = hub();
    hub.apply(dataset());
    hub.say(1, ToHub::Data(holds(0)));
    hub.commit();
    expect![[r#"
        to 2: 1 transfers
    "#]]
    .assert_eq(&news(&place(&mut hub)));
    hub.connect(3, "b");
    assert_eq!(hub.state.transfer_orders(&MemberName::new("b")).len(), 1, "it is told in a new session too");
    hub.say(3, ToHub::Data(holds(0)));
    expect![[r#"
        to 3: 0 transfers
    "#]]
    .assert_eq(&news(&hub.commit()));
}

#[test]
fn a_member_that_works_at_what_is_over_is_told_so() {
    let mut hub = hub();
    let transfer = Key::transfer("default", "corpus", "b");
    let progress = TransferProgress::default();
    let news_of = TransferNews { transfer, uid: Uid(1), progress, failed: None };
    let report = DataReport { copies: vec![], transfers: vec![news_of] };
    expect![[r#"
        to 2: 0 transfers
    "#]]
    .assert_eq(&news(&hub.say(2, ToHub::Data(report))));
}
