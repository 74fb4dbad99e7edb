//! What one cycle does.

use expect_test::{Expect, expect};
use muster_model::*;
use muster_placement::{explain, plan};

use crate::fixture::{NOW, World, world};

/// Plans, applies, and plans again: nothing must be left to do. Gives the assignments as text.
fn run(world: &mut World) -> String {
    let out = plan(&world.view, NOW);
    world.apply(&out.plan);
    world.view.note(&out);
    assert_eq!(plan(&world.view, NOW).plan.assignments, []);
    let line = |(key, _, to): &(Key, Uid, Assignment)| {
        let claims: Vec<_> =
            to.claims.iter().map(|c| format!("{}:{}x{}", c.pod_set, c.node, c.pods)).collect();
        format!("{} -> {} [{}] ${}/h {}\n", key.name, to.member, claims.join(" "), to.hourly, to.because)
    };
    let placed = out.plan.assignments.iter().map(line);
    let unplaced = out.unplaced.iter().map(|(job, spec)| explain(&world.view, job, spec, NOW));
    placed.chain(unplaced.map(|r| format!("{} {:?}: {}\n", r.job.name, r.verdict, r.summary()))).collect()
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&run(&mut world(text)));
}

#[test]
fn oldest_first_each_to_the_cheapest_place_with_room() {
    check(
        "price aws/us-east-1 A100 4.10 spot=1.20
         price onprem/berlin A100 0.90
         member berlin onPrem onprem/berlin 1*8xA100
         member aws spot aws/us-east-1 2*8xA100
         job a 1x8
         job b 1x8
         job c 1x8
         job d 1x8
         job e 1x1",
        &expect![[r#"
            a -> berlin [0:0x1] $7.20/h lowest total of 2 clusters that may run it: $7.20
            b -> aws [0:0x1] $9.60/h lowest total of 2 clusters that may run it: $9.60; berlin is cheaper and has no room now
            c -> aws [0:1x1] $9.60/h lowest total of 2 clusters that may run it: $9.60; berlin is cheaper and has no room now
            d Wait: no cluster can take it now; berlin: 8 GPU needed, 0 free now
            e Wait: no cluster can take it now; berlin: 1 GPU needed, 0 free now
        "#]],
    );
}

#[test]
fn best_fit_keeps_whole_nodes_whole() {
    check(
        "member m onPrem onprem/berlin 1*8xA100 1*8xA100@6 1*8xA100@4 1*cpu16
         job two 1x2
         job four 1x4
         job eight 1x8
         job cpu 3x0",
        &expect![[r#"
            two -> m [0:1x1] $0.00/h the only cluster that may run it: $0.00
            four -> m [0:2x1] $0.00/h the only cluster that may run it: $0.00
            eight -> m [0:0x1] $0.00/h the only cluster that may run it: $0.00
            cpu -> m [0:3x3] $0.00/h the only cluster that may run it: $0.00
        "#]],
    );
}

#[test]
fn several_pod_sets_are_one_gang() {
    check(
        "member m onPrem onprem/berlin 2*8xA100 1*cpu16
         job train 1x0 3x4
         job next 1x0 2x4",
        &expect![[r#"
            train -> m [0:2x1 1:0x2 1:1x1] $0.00/h the only cluster that may run it: $0.00
            next Wait: no cluster can take it now; m: 8 GPU needed, 4 free now
        "#]],
    );
}

#[test]
fn a_job_that_found_no_place_is_looked_at_again_only_after_a_gain() {
    let mut world = world("member m onPrem onprem/berlin 1*8xA100@4\n job a 1x8\n job b 1x8");
    let first = plan(&world.view, NOW);
    assert_eq!(first.unplaced.len(), 1, "one report for all that ask for the same");
    world.view.note(&first);
    assert!(!world.view.wants_plan(NOW));

    world.line("member other onPrem onprem/berlin 1*8xL4 lapsed");
    assert!(world.view.wants_plan(NOW), "a new member is a gain");
    let second = plan(&world.view, NOW);
    world.view.note(&second);

    world.line("member m onPrem onprem/berlin 1*8xA100@6");
    assert!(!world.view.wants_plan(NOW), "less room is none");
    world.line("job c 1x8");
    assert!(!world.view.wants_plan(NOW), "it asks for what found no place");
    world.line("member m onPrem onprem/berlin 1*8xA100@0");
    assert_eq!(
        run(&mut world).lines().next(),
        Some("a -> m [0:0x1] $0.00/h the only cluster that may run it: $0.00")
    );
}

#[test]
fn a_job_whose_attempt_may_be_alive_gets_no_second_one() {
    let mut world = world("member m onPrem onprem/berlin 2*8xA100\n job a 1x8");
    let mut job = world.job("a").clone();
    let assignment = plan(&world.view, NOW).plan.assignments.remove(0).2;
    job.attempt = Some(Box::new(Attempt {
        epoch: Epoch(7),
        assignment,
        granted_at: NOW,
        incarnation: None,
        state: AttemptState::Stopping { reason: StopReason::Suspended, since: NOW, started: None },
    }));
    let key = Key::job("default", "a");
    world.put(key.clone(), Status::Job(Box::new(job.clone())), false);
    assert_eq!(plan(&world.view, NOW).plan.assignments, []);
    assert_eq!(world.view.position(&key), Some(1));
    assert_eq!(world.explain("a").summary(), "the last attempt on m has not ended");

    job.attempt = None;
    world.put(key, Status::Job(Box::new(job)), false);
    assert_eq!(plan(&world.view, NOW).plan.assignments.len(), 1);
}

#[test]
fn a_cycle_is_bounded_and_the_next_goes_on() {
    let mut text = "member m onPrem onprem/berlin 200*8xA100\n".to_owned();
    (0..1500).for_each(|i| text.push_str(&format!("job j{i:04} 1x1\n")));
    let mut world = world(&text);
    let first = plan(&world.view, NOW);
    assert_eq!(first.plan.assignments.len(), 1000);
    world.apply(&first.plan);
    world.view.note(&first);
    assert!(world.view.wants_plan(NOW));
    assert_eq!(run(&mut world).lines().count(), 500);
    assert_eq!(world.view.waiting(), 0);
}

#[test]
fn what_apply_refused_waits_for_a_gain_or_a_retry() {
    let mut world = world("member m onPrem onprem/berlin 2*8xA100\n job a 1x8");
    world.view.refused(&Key::job("default", "a"));
    assert!(!world.view.wants_plan(NOW));
    world.view.retry();
    assert!(world.view.wants_plan(NOW));
}

#[test]
fn the_grant_keeps_policy_and_one_off_costs() {
    let mut world = world(
        "egress onprem/berlin onprem/lab 0.01 1000
         dataset d 100 onprem/berlin
         member lab onPrem onprem/lab 1*8xA100
         job a 1x1 policy=Fence data=d",
    );
    let (_, _, assignment) = plan(&world.view, NOW).plan.assignments.remove(0);
    assert_eq!(
        assignment.policy,
        GrantPolicy { partition: PartitionPolicy::Fence, fence_after: DurationMs(600_000) }
    );
    assert_eq!(assignment.one_off, [CostLine { kind: CostKind::Egress, amount: MicroUsd(1_000_000) }]);
    world.remove(&Key::job("default", "a"));
    assert_eq!(world.view.waiting(), 0);
}

#[test]
fn positions_count_from_one_and_a_deleted_job_waits_no_more() {
    let mut world = world("job a 1x1\n job b 1x2\n job c 1x1");
    let position = |world: &World, name| world.view.position(&Key::job("default", name));
    assert_eq!(["a", "b", "c"].map(|name| position(&world, name)), [Some(1), Some(2), Some(3)]);
    let job = world.job("a").clone();
    world.put(Key::job("default", "a"), Status::Job(Box::new(job)), true);
    assert_eq!(["a", "b", "c"].map(|name| position(&world, name)), [None, Some(1), Some(2)]);
    let view = muster_placement::View::new(world.objects.values(), Revision(world.revision));
    assert_eq!(view.position(&Key::job("default", "c")), Some(2));
}

/// A gain at a member brings up only jobs that may fit what was gained, in order of the queue.
#[test]
fn room_goes_to_the_oldest_job_that_fits_it() {
    let mut world = world(
        "member m onPrem onprem/berlin 2*8xA100@8
         member n onPrem onprem/berlin 1*8xL4@8
         job eight 1x8
         job two 1x2
         job picky 1x2 model=L4
         job one 1x1",
    );
    assert_eq!(run(&mut world).lines().count(), 4, "no room at all");
    world.line("member m onPrem onprem/berlin 2*8xA100@5");
    expect![[r#"
        two -> m [0:0x1] $0.00/h lowest total of 2 clusters that may run it: $0.00
        one -> m [0:0x1] $0.00/h lowest total of 2 clusters that may run it: $0.00
    "#]]
    .assert_eq(&run(&mut world));
}
