//! One run: a safety phase with faults, then a liveness phase without.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::client::FOUNDER;
use super::counts::Counts;
use super::event::{Event, MEMBERS, REPLICAS};
use super::schedule::{Fault, SAFETY_MS, Scenario};
use super::trace::Show;
use super::workload::{declare_lost, founding, probe};
use super::world::World;
use crate::invariants::{Violation, unfinished_jobs, unready_members};

/// L1: a leader so long after healing.
const LEADER_MS: u64 = 2_000;
/// L1: an acknowledged write.
const SERVICE_MS: u64 = 5_000;
/// Members are ready.
const READY_MS: u64 = 40_000;
/// L3: all jobs came to their end. The longest has several pods of 100 s one after the other, back-offs between them, and a
/// queue before it.
const FINISH_MS: u64 = 900_000;

/// What is run.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// The seed.
    pub seed: u64,
    /// What it is about.
    pub scenario: Scenario,
    /// The faults, if they are not those of the seed.
    pub plan: Option<Vec<Fault>>,
    /// Where the trace goes.
    pub show: Show,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// The seed.
    pub seed: u64,
    /// The scenario.
    pub scenario: Scenario,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What was done.
    pub counts: Counts,
    /// Hash over all lines of the trace.
    pub trace_hash: u64,
}

/// Runs one seed. A panic of the parts under test is a broken promise, too.
pub fn run(spec: &RunSpec) -> RunReport {
    let plan = spec.plan.clone().unwrap_or_else(|| spec.scenario.plan(spec.seed));
    let mut world = World::new(spec.seed, spec.scenario, plan, spec.show);
    let ended = catch_unwind(AssertUnwindSafe(|| world.play()));
    let panic = ended.err().map(|panic| Violation { promise: "panic".to_owned(), seen: panic_text(&*panic) });
    if let Some(violation) = &panic {
        world.trace.line(
            world.now,
            "world",
            "violation",
            format_args!("{} {}", violation.promise, violation.seen),
        );
    }
    let violation = panic.or_else(|| world.checks.found.first().cloned());
    let mut counts = world.counts.clone();
    counts.messages_hurt = world.network.hurt;
    counts.jobs = world.checks.acknowledged.count() as u64;
    counts.entries = world.checks.raft.entries() as u64;
    counts.terms = world.checks.raft.terms() as u64;
    counts.virtual_ms = world.now;
    RunReport { seed: spec.seed, scenario: spec.scenario, violation, counts, trace_hash: world.trace.hash() }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}

impl World {
    fn play(&mut self) {
        self.begin_all();
        self.run_until(SAFETY_MS, |_| false);
        if self.checks.found.is_empty() {
            self.heal();
        }
        if let Some(violation) = self.checks.found.first() {
            let now = self.now;
            self.trace.line(
                now,
                "world",
                "violation",
                format_args!("{} {}", violation.promise, violation.seen),
            );
        }
    }

    fn begin_all(&mut self) {
        (0..REPLICAS).for_each(|replica| self.start_replica(replica));
        (0..MEMBERS).for_each(|member| self.start_agent(member));
        self.found(founding());
        for client in 0..FOUNDER {
            self.queue.push(4_000 + 100 * client as u64, Event::Client { client, turn: 0 });
        }
        for number in 0..self.plan.len() {
            self.queue.push(self.plan[number].at, Event::Fault { number });
        }
    }

    /// The liveness phase.
    fn heal(&mut self) {
        let healed = self.now;
        self.clients_work = false;
        self.lift_all();
        self.found(vec![probe(1)]);
        self.demand("L1", "a leader", healed + LEADER_MS, |world| world.leader().is_some());
        let founder_is_idle = |world: &World| world.clients[FOUNDER].is_idle();
        self.demand("L1", "an acknowledged write", healed + SERVICE_MS, founder_is_idle);
        self.demand("L3", "every client's answer", healed + READY_MS, World::clients_are_idle);
        self.demand("L3", "all members ready", healed + READY_MS, |world| world.lacks().0.is_empty());
        // What a restarted machine ran under `Keep` only an operator can declare lost.
        self.found((0..MEMBERS).map(declare_lost).collect());
        self.demand("L3", "the end of every job", healed + FINISH_MS, |world| world.lacks().1.is_empty());
        let settled = self.now + 3_000;
        self.run_until(settled, |_| false);
        self.check_at_the_end();
    }

    /// Something must happen by then.
    fn demand(&mut self, promise: &str, what: &str, by: u64, holds: impl Fn(&World) -> bool) {
        let mut next_look = self.now;
        // Looked at ten times a second: looking costs more than most events.
        self.run_until(by, |world| {
            let due = world.now >= next_look;
            if due {
                next_look = world.now + 100;
            }
            due && holds(world)
        });
        if self.checks.found.is_empty() && !holds(self) {
            let lacks = self.lacks();
            self.checks
                .fail(promise, format!("after healing, not in time: {what}; still missing: {lacks:?}"));
        }
    }

    /// Members that are not ready and jobs that are not finished, as the leader's state has it.
    fn lacks(&self) -> (Vec<String>, Vec<String>) {
        let Some(process) = self.leader().and_then(|leader| self.replicas[leader].process.as_ref()) else {
            return (vec!["a leader".to_owned()], vec!["a leader".to_owned()]);
        };
        let state = process.driver.machine().view().0;
        let names = |keys: Vec<muster_model::Key>| keys.iter().map(|key| key.name.to_string()).collect();
        (names(unready_members(state, &self.incarnations())), names(unfinished_jobs(state)))
    }

    fn check_at_the_end(&mut self) {
        if !self.checks.found.is_empty() {
            return;
        }
        for replica in 0..REPLICAS {
            let Some(process) = &self.replicas[replica].process else { continue };
            let state = process.driver.machine().view().0;
            self.checks.acknowledged.check(replica, state, &mut self.checks.found);
            self.checks.state.look(state, &mut self.checks.found);
        }
    }
}
