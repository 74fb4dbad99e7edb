//! Data that members carry: what a place costs that lacks it, shares a transfer of it, or must not have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::expect;
use muster_model::*;

use crate::fixture::{NOW, World, world};

const WORLD: &str = "
    price aws/us-east-1 A100 4.10
    price onprem/berlin A100 0.90
    egress onprem/berlin aws/us-east-1 0.05 1000
    egress onprem/munich aws/us-east-1 0.02 100
    namespace wait=6.00
    member aws-a onDemand aws/us-east-1 2*8xA100 limit=10485760
    member berlin onPrem onprem/berlin 1*cpu8
    member berlin-2 onPrem onprem/berlin 1*cpu8
    member munich onPrem onprem/munich 1*cpu8
    dataset corpus 30 carried
    job j 1x8 data=corpus";

fn data() -> DataUse {
    DataUse { dataset: "corpus".into(), version: "1".into(), digest: ContentDigest([1; 32]) }
}

fn corpus(world: &mut World, copies: &[(&str, u64)]) {
    let key = Key::new(kinds::DATASET, "default", "corpus");
    let spec = Arc::clone(&world.objects[&key].dataset().expect("it is there").spec);
    let copy = |missing_gib: u64| DataCopy {
        version: "1".into(),
        digest: ContentDigest([1; 32]),
        size_bytes: 30 << 30,
        missing_bytes: missing_gib << 30,
        folder: "/datasets".into(),
    };
    let copies: BTreeMap<_, _> =
        copies.iter().map(|(member, missing)| (MemberName::new(*member), copy(*missing))).collect();
    world.put(key, Status::Dataset(Arc::new(Dataset { spec, copies })), false);
}

fn transfer(world: &mut World, phase: TransferPhase) {
    let transfer = Transfer {
        data: data(),
        source: MemberName::new("berlin"),
        target: MemberName::new("aws-a"),
        folder: "/datasets".into(),
        bytes: 30 << 30,
        egress: MicroUsd(1_500_000),
        job: Key::job("default", "first"),
        epoch: Epoch(3),
        started: NOW,
        progress: TransferProgress { missing_bytes: 3 << 30, fetched_bytes: 27 << 30, refetched_chunks: 0 },
        phase,
    };
    let key = Key::transfer("default", "corpus", "aws-a");
    world.put(key, Status::Transfer(Arc::new(transfer)), false);
}

fn check(change: impl FnOnce(&mut World), expected: &expect_test::Expect) {
    let mut world = world(WORLD);
    change(&mut world);
    let report = world.explain("j").to_string();
    let aws: Vec<&str> = report
        .lines()
        .skip_while(|line| !line.starts_with("  aws-a"))
        .take_while(|line| !line.starts_with("  b"))
        .filter(|line| !line.contains("compute"))
        .map(|line| &line[2..])
        .collect();
    expected.assert_eq(&aws.join("\n"));
}

#[test]
fn missing_bytes_come_by_the_cheapest_route_no_faster_than_the_limit() {
    check(
        |world| corpus(world, &[("berlin", 0), ("munich", 0)]),
        &expect![[r#"
          aws-a $38.52 on A100
            egress $0.60: corpus 1: 30 GiB x $0.02/GiB, munich in onprem/munich to aws/us-east-1, sample of 2026-09-21
            transferWait $5.12: corpus: 30 GiB at 10 MiB/s, the cluster's transferLimit, takes 51m12s, x $6.00/h of waiting"#]],
    );
}

#[test]
fn of_a_partial_copy_only_the_rest_is_paid() {
    check(
        |world| corpus(world, &[("berlin", 0), ("aws-a", 5)]),
        &expect![[r#"
          aws-a $33.903333 on A100
            egress $0.25: corpus 1: 5 GiB of 30 GiB missing x $0.05/GiB, berlin in onprem/berlin to aws/us-east-1, sample of 2026-09-21
            transferWait $0.853333: corpus: 5 GiB at 10 MiB/s, the cluster's transferLimit, takes 8m32s, x $6.00/h of waiting"#]],
    );
}

#[test]
fn what_is_on_its_way_is_paid_by_whoever_it_was_begun_for() {
    check(
        |world| {
            corpus(world, &[("berlin", 0)]);
            transfer(world, TransferPhase::Open);
        },
        &expect![[r#"
              aws-a $33.312 on A100
                egress $0.00: corpus 1: 3 GiB on their way from berlin, paid by job first
                transferWait $0.512: corpus: 3 GiB at 10 MiB/s, the cluster's transferLimit, takes 5m7s, x $6.00/h of waiting"#]],
    );
}

#[test]
fn a_whole_copy_costs_nothing() {
    check(
        |world| corpus(world, &[("berlin", 0), ("aws-a", 0)]),
        &expect![[r#"
          aws-a $32.80 on A100
            egress $0.00: corpus 1 is on aws-a already"#]],
    );
}

#[test]
fn without_a_copy_to_read_from_the_job_waits_and_says_so() {
    check(
        |world| corpus(world, &[("aws-a", 5)]),
        &expect![[r#"
          aws-a
            no: no member in contact holds a whole copy of dataset corpus 1
            fix: put its files into datasets/NAMESPACE/corpus/1 of a member's state folder; spec.digest must be what `muster dataset digest` prints for them"#]],
    );
}

#[test]
fn where_it_failed_it_is_not_tried_again_for_a_while() {
    let failed = TransferPhase::Failed { at: NOW, reason: "from berlin: the disk is full".into() };
    check(
        |world| {
            corpus(world, &[("berlin", 0)]);
            transfer(world, failed);
        },
        &expect![[r#"
              aws-a
                no: dataset corpus could not be brought from berlin: from berlin: the disk is full
                fix: wait until 2026-11-20T10:46:05Z, or look at `kubectl describe dataset corpus`"#]],
    );
}

#[test]
fn within_a_region_bytes_are_free() {
    let mut world = world(
        "namespace wait=6.00
         member one onPrem onprem/berlin 1*8xA100
         member two onPrem onprem/berlin 1*cpu8
         dataset corpus 30 carried
         job j 1x8 data=corpus",
    );
    corpus(&mut world, &[("two", 0)]);
    expect![[r#"
        default/j: can start now on one for $0.00
          one $0.00 on A100
            compute $0.00: no price for A100 in onprem/berlin, which is owned
            egress $0.00: corpus 1: 30 GiB from two in the same region, free
          two
            no: has no GPUs, the job asks for GPUs
            fix: use a cluster with GPUs
    "#]]
    .assert_eq(&world.explain("j").to_string());
}

#[test]
fn an_assignment_says_what_must_be_fetched() {
    let mut world = world(WORLD);
    corpus(&mut world, &[("berlin", 0)]);
    let plan = muster_placement::plan(&world.view, NOW);
    let (_, _, assignment) = &plan.plan.assignments[0];
    let fetch = DataFetch { source: MemberName::new("berlin"), bytes: 30 << 30, egress: MicroUsd(1_500_000) };
    assert_eq!(assignment.data, [DataNeed { data: data(), fetch: Some(fetch) }]);
    assert_eq!(assignment.one_off, [CostLine { kind: CostKind::Egress, amount: MicroUsd(1_500_000) }]);
}

#[test]
fn progress_alone_opens_no_place_and_the_end_of_a_transfer_does() {
    let mut world = world(WORLD);
    let settle = |world: &mut World| {
        let plan = muster_placement::plan(&world.view, NOW);
        assert!(plan.plan.assignments.is_empty());
        world.view.note(&plan);
        assert!(!world.view.wants_plan(NOW));
    };
    settle(&mut world);
    corpus(&mut world, &[("aws-a", 5)]);
    assert!(!world.view.wants_plan(NOW), "a part is no source");
    transfer(&mut world, TransferPhase::Open);
    assert!(!world.view.wants_plan(NOW));
    transfer(&mut world, TransferPhase::Complete { at: NOW });
    assert!(world.view.wants_plan(NOW));
    settle(&mut world);
    corpus(&mut world, &[("aws-a", 0)]);
    assert!(world.view.wants_plan(NOW), "a whole copy is");
}

#[test]
fn a_declared_partial_replica_counts_for_what_it_holds() {
    let world = world(
        "egress onprem/berlin aws/us-east-1 0.05 1000
         price aws/us-east-1 A100 4.10
         namespace wait=6.00
         member aws-a onDemand aws/us-east-1 2*8xA100
         dataset images 150 onprem/berlin part:aws/us-east-1=100
         job j 1x8 data=images",
    );
    expect![[r#"
        default/j: can start now on aws-a for $36.015828
          aws-a $36.015828 on A100
            compute $32.80: 8 x $4.10/h x 1h (expected duration by default), on demand in aws/us-east-1, sample of 2026-09-21
            egress $2.50: images: 50 GiB of 150 GiB missing x $0.05/GiB, onprem/berlin to aws/us-east-1, sample of 2026-09-21
            transferWait $0.715828: images: 50 GiB at 1 Gbit/s takes 7m9s, x $6.00/h of waiting
    "#]].assert_eq(&world.explain("j").to_string());
}
