//! Who has waited long gets Nodes reserved: it starts in bounded time, and nothing stays reserved for nobody.

use std::collections::BTreeMap;

use expect_test::expect;
use muster_model::*;
use muster_placement::{RESERVE_AFTER, explain, plan};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestError, TestRunner};

use crate::fixture::{NOW, World, world};

/// All jobs of the fixture have waited long by then.
const LATER: TimeMs = TimeMs(NOW.0 + 600_000);

fn come_to_rest(world: &mut World, now: TimeMs) {
    for _ in 0..1_000 {
        if !world.view.wants_plan(now) {
            return;
        }
        let found = plan(&world.view, now);
        world.view.note(&found);
        world.apply_at(&found.plan, now);
    }
    panic!("the planner does not come to rest");
}

/// The job is over, and gone.
fn end(world: &mut World, name: &str) {
    let key = Key::job("default", name);
    if let Some(attempt) = world.job(name).attempt.clone() {
        let member = Key::cluster(attempt.assignment.member.as_str());
        let mut cluster = world.objects[&member].cluster().expect("a cluster").clone();
        for claim in &attempt.assignment.claims {
            let amount = attempt.assignment.requests[usize::from(claim.pod_set)].times(u64::from(claim.pods));
            cluster.status.nodes.give(claim.node, &amount);
        }
        world.put(member, Status::Cluster(Box::new(cluster)), false);
    }
    world.remove(&key);
}

fn runs(world: &World, name: &str) -> bool {
    world.job(name).attempt.is_some()
}

fn why(world: &World, name: &str) -> String {
    world.explain(name).summary()
}

/// Two Nodes: one with a job that ends, one half full; a gang that needs both; and two that would fit the other half.
fn a_gang_and_two_behind_it() -> World {
    let mut world = world("member m onPrem onprem/berlin 2*8xA100\n job a 1x8 active=7200\n job b 1x4");
    come_to_rest(&mut world, LATER);
    for line in ["job gang 2x8", "job small 1x1", "job short 1x1 active=600"] {
        world.line(line);
        come_to_rest(&mut world, LATER);
    }
    world
}

#[test]
fn what_is_reserved_is_for_those_who_end_before() {
    let mut world = a_gang_and_two_behind_it();
    expect![[r#"
        no cluster can take it now; m: 16 GPU needed, 4 free now; 2 Nodes of m reserved for it since 2026-11-20T10:54:05Z, waits there for default/a and 1 other job"#]]
    .assert_eq(&why(&world, "gang"));
    expect![
        "no cluster can take it now; m: 2 Nodes with room reserved for default/gang, which has waited longer"
    ]
    .assert_eq(&why(&world, "small"));
    assert!(!runs(&world, "short"), "nobody knows when b ends");

    end(&mut world, "b");
    come_to_rest(&mut world, LATER);
    assert!(runs(&world, "short"), "it has ended before a must have");
    assert!(!runs(&world, "small"));
    expect!["wait until default/gang has started, or set activeDeadlineSeconds so that this job ends before 2026-11-20T12:54:35Z"]
        .assert_eq(world.explain("small").smallest_fix().unwrap_or_default().trim_start_matches("m: "));

    end(&mut world, "short");
    end(&mut world, "a");
    come_to_rest(&mut world, LATER);
    assert!(runs(&world, "gang"));
    assert!(!runs(&world, "small"), "nothing is free");
}

#[test]
fn what_nobody_waits_for_is_released() {
    type Happens = fn(&mut World);
    let told: [(&str, Happens); 4] = [
        ("the job is gone", |world| world.remove(&Key::job("default", "gang"))),
        ("it was placed elsewhere", |world| world.line("member n onPrem onprem/berlin 2*8xA100")),
        ("the member lost a Node", |world| world.line("member m onPrem onprem/berlin 1*8xA100@4")),
        ("the job is held", |world| {
            let key = Key::job("default", "gang");
            let mut job = world.job("gang").clone();
            job.phase = JobPhase::Suspended;
            world.put(key, Status::Job(Box::new(job)), false);
        }),
    ];
    for (what, happens) in told {
        let mut world = a_gang_and_two_behind_it();
        happens(&mut world);
        come_to_rest(&mut world, LATER);
        assert!(runs(&world, "small"), "{what}");
    }
}

#[test]
fn a_member_that_takes_no_jobs_is_not_waited_for() {
    let mut world = a_gang_and_two_behind_it();
    world.line("member n spot aws/us-east-1 2*8xA100@8");
    world.line("price aws/us-east-1 A100 4 spot=1");
    let cordon = |world: &mut World, on| {
        let mut cluster = world.cluster("m").clone();
        cluster.spec.unschedulable = on;
        world.put(Key::cluster("m"), Status::Cluster(Box::new(cluster)), false);
        come_to_rest(world, LATER);
        world.explain("gang").reserved.map(|reserved| reserved.member.to_string())
    };
    assert_eq!(cordon(&mut world, true).as_deref(), Some("n"));
    assert_eq!(cordon(&mut world, false).as_deref(), Some("n"), "what is reserved stays");
}

#[test]
fn nothing_stays_reserved_for_who_is_refused() {
    let mut world = a_gang_and_two_behind_it();
    world.view.refused(&Key::job("default", "gang"));
    assert!(
        !world.view.wants_plan(LATER),
        "neither the gang nor those behind it are looked at before a retry"
    );
    assert_eq!(world.explain("gang").reserved, None);
    world.view.retry();
    come_to_rest(&mut world, LATER);
    assert!(world.explain("gang").reserved.is_some(), "it is first again");
}

/// Reservations are the leader's. The next one knows only what is stored.
#[test]
fn a_new_leader_reserves_the_same_nodes() {
    let mut world = world(
        "member m onPrem onprem/berlin 4*8xA100
         job a 1x7
         job b 1x6
         job c 1x5
         job d 1x6
         job gang 2x8",
    );
    let reserved = |world: &World| world.explain("gang").reserved.expect("it waits long").waits_for;
    come_to_rest(&mut world, LATER);
    for number in 0..10 {
        world.line(&format!("job small{number} 1x1"));
    }
    come_to_rest(&mut world, LATER);
    let before = reserved(&world);
    assert_eq!(before, ["b", "c"].map(|name| Key::job("default", name)), "those with least on them");
    world.view = muster_placement::View::new(world.objects.values(), Revision(world.revision));
    come_to_rest(&mut world, TimeMs(LATER.0 + 1_000));
    assert_eq!(reserved(&world), before);
}

#[test]
fn who_waits_for_less_long_gets_nothing_reserved() {
    let mut world = world("member m onPrem onprem/berlin 2*8xA100\n job a 1x8\n job b 1x4\n job gang 2x8");
    let mut gang = world.job("gang").clone();
    gang.queued_at = NOW;
    world.put(Key::job("default", "gang"), Status::Job(Box::new(gang)), false);
    come_to_rest(&mut world, NOW);
    let after = |ms: u64| TimeMs(NOW.0 + RESERVE_AFTER.0 + ms - 1);
    assert!(!world.view.wants_plan(after(0)));
    assert!(world.view.wants_plan(after(1)), "its time has come");
    come_to_rest(&mut world, after(1));
    assert!(world.explain("gang").reserved.is_some());
}

#[test]
fn other_nodes_are_reserved_if_nobody_knows_when_these_come_free() {
    let mut world = world(
        "member m onPrem onprem/berlin 2*8xA100
         job a 1x6
         job b 1x4
         job c 1x3
         job whole 1x8
         job behind 1x2",
    );
    let reserved = |world: &World| {
        let report = explain(&world.view, &Key::job("default", "whole"), &world.job("whole").spec, LATER);
        report.reserved.expect("it waits long").waits_for
    };
    come_to_rest(&mut world, LATER);
    assert_eq!(reserved(&world), [Key::job("default", "a")], "the Node with least on it");
    end(&mut world, "b");
    come_to_rest(&mut world, LATER);
    assert!(runs(&world, "behind"), "on the other Node");
    end(&mut world, "behind");
    world.line("job late 1x2");
    come_to_rest(&mut world, TimeMs(LATER.0 + 60_000));
    assert_eq!(reserved(&world), [Key::job("default", "c")]);
    assert!(runs(&world, "late"), "on the Node that was reserved before");
}

/// One gang, and small jobs without end that each ask for one GPU.
#[derive(Clone, Copy, Debug)]
struct Stream {
    nodes: u64,
    gang: u64,
    /// Minutes that a small job runs at most.
    longest: u64,
    /// Every so many small jobs say how long they run at most.
    bounded_every: u64,
    seed: u64,
}

fn stream() -> impl Strategy<Value = Stream> {
    (1..5_u64, 1..5_u64, 2..30_u64, 1..4_u64, any::<u64>()).prop_map(
        |(nodes, gang, longest, bounded_every, seed)| Stream {
            nodes,
            gang: gang.min(nodes),
            longest,
            bounded_every,
            seed,
        },
    )
}

impl Stream {
    /// Minutes that the small job of this number runs.
    fn minutes(&self, number: u64) -> u64 {
        let mixed = (self.seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        1 + mixed % self.longest
    }

    /// A minute after the other, with always more small jobs than room. The gang is there from the 5th minute on, runs for
    /// ten, and must have started once those have that were before it in the queue, two for each GPU, and all have ended.
    fn plays(&self) -> TestCaseResult {
        let mut world = world(&format!("member m onPrem onprem/berlin {}*8xA100", self.nodes));
        let (mut ends, mut submitted) = (BTreeMap::new(), 0_u64);
        let bound = 5 + RESERVE_AFTER.0 / 60_000 + 3 * self.longest + 1;
        let mut started = None;
        for minute in 0..bound + 20 {
            let now = TimeMs(NOW.0 + minute * 60_000);
            let over: Vec<String> = ends
                .iter()
                .filter(|(_, at)| **at <= minute)
                .map(|(name, _): (&String, _)| name.clone())
                .collect();
            over.iter().for_each(|name| end(&mut world, name));
            ends.retain(|_, at| *at > minute);
            if minute == 5 {
                submit(&mut world, &format!("job gang {}x8", self.gang), now);
            }
            while world.view.waiting() < self.nodes as usize * 16 {
                submitted += 1;
                let minutes = self.minutes(submitted);
                let bound = if submitted.is_multiple_of(self.bounded_every) {
                    format!("active={}", minutes * 60)
                } else {
                    String::new()
                };
                submit(&mut world, &format!("job s{submitted} 1x1 {bound}"), now);
            }
            come_to_rest(&mut world, now);
            for object in world.objects.values().filter(|object| object.job().is_some_and(Job::is_live)) {
                let name = object.key.name.to_string();
                let is_gang = name == "gang";
                let lasts = if is_gang { 10 } else { self.minutes(name[1..].parse().expect("a number")) };
                ends.entry(name).or_insert(minute + lasts);
                started = started.or(is_gang.then_some(minute));
            }
        }
        prop_assert!(started.is_some_and(|at| at <= bound), "started {:?}, not by minute {}", started, bound);
        let free: u64 = world.cluster("m").status.nodes.free.iter().map(|node| node.free.gpu_milli).sum();
        prop_assert_eq!(free, 0, "nothing is reserved any more, and yet something is free");
        Ok(())
    }
}

fn submit(world: &mut World, line: &str, now: TimeMs) {
    let mut other = World::default();
    other.line(line);
    let (key, object) = other.objects.pop_first().expect("the job");
    let mut job = object.job().expect("a job").clone();
    job.queued_at = now;
    world.put(key, Status::Job(Box::new(job)), false);
}

fn play(cases: u32) -> Result<(), TestError<Stream>> {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(&stream(), |stream| stream.plays())
}

#[test]
fn a_gang_starts_in_bounded_time_under_an_endless_stream() {
    if let Err(TestError::Fail(why, least)) = play(48) {
        panic!("{why}: {least:#?}");
    }
}

/// Run alone, since a bug is switched on for the whole process: `cargo xtask mutants`.
#[cfg(mutants)]
#[test]
fn mutants_are_caught_by_an_endless_stream() {
    for name in ["reservation_ignored", "reservation_never_released"] {
        muster_model::mutants::choose(Some(name));
        let found = play(48);
        muster_model::mutants::choose(None);
        assert!(matches!(found, Err(TestError::Fail(..))), "{name} is not caught");
    }
}
