//! Retries are bounded (S12): however pods end, and however often the job moves, no limit of the job is passed.

use std::collections::BTreeMap;

use muster_member_machine::*;
use muster_model::*;
use proptest::prelude::*;

use crate::rig::*;

/// How a pod ends.
#[derive(Clone, Copy, Debug)]
enum Exit {
    Success,
    Failure,
    /// By a rule it counts for nothing.
    PassedOver,
    /// The attempt is evicted, and the job placed again.
    Moved,
}

#[derive(Clone, Debug)]
struct Limits {
    all: u32,
    per_index: Option<u32>,
    gang_restart: bool,
}

const PODS: u32 = 2;
const INDEXES: u32 = 4;

fn exits() -> impl Strategy<Value = Vec<(u8, Exit)>> {
    let exit = prop_oneof![
        2 => Just(Exit::Success),
        5 => Just(Exit::Failure),
        1 => Just(Exit::PassedOver),
        1 => Just(Exit::Moved),
    ];
    prop::collection::vec((any::<u8>(), exit), 1..60)
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..4u32, prop::option::of(0..3u32), any::<bool>()).prop_map(|(all, per_index, gang)| Limits {
        all: if per_index.is_some() { u32::MAX } else { all },
        per_index,
        gang_restart: gang && per_index.is_none(),
    })
}

/// A job under test, over its attempts.
struct Run {
    rig: Rig,
    limits: Limits,
    attempt: DesiredAttempt,
    /// Failures that count, by index.
    failures: BTreeMap<u32, u32>,
    /// When an index may run again at the earliest.
    not_before: BTreeMap<u32, u64>,
}

impl Run {
    fn new(limits: Limits) -> Run {
        let attempt = with_spec(desired(1, PODS, Some(INDEXES)), |spec| {
            spec.completion.indexed = true;
            spec.backoff_limit = limits.all;
            let codes = ExitCodes { container: None, negated: false, values: vec![7] };
            let rule =
                FailureRule { action: FailureAction::Ignore, pattern: FailurePattern::ExitCodes(codes) };
            spec.rules = JobRules {
                backoff_limit_per_index: limits.per_index,
                on_failure: vec![rule],
                gang_restart: limits.gang_restart,
                ..JobRules::default()
            };
        });
        let rig = Rig::with(vec![attempt.clone()]);
        Run { rig, limits, attempt, failures: BTreeMap::new(), not_before: BTreeMap::new() }
    }

    fn live(&self) -> Vec<(PodId, u32, u64)> {
        let live = self.rig.machine.pods().filter(|view| view.pod.is_live());
        live.map(|view| (view.id, view.pod.index.unwrap_or(0), view.pod.created.boot_ms)).collect()
    }

    fn apply(&mut self, pick: u8, exit: Exit) {
        self.rig.pass(9_000);
        self.check_starts();
        // Longer than any back-off: the lease passes too, and what runs goes on.
        self.rig.now.boot_ms += 400_000;
        self.rig.now.real_ms += 400_000;
        self.keep_session();
        let live = self.live();
        let Some((id, index, _)) = live.get(usize::from(pick) % live.len().max(1)).copied() else { return };
        match exit {
            Exit::Success => self.rig.seen(id, completed()),
            Exit::PassedOver => self.fails(id, index, 7),
            Exit::Failure => {
                *self.failures.entry(index).or_default() += 1;
                self.fails(id, index, 1);
            }
            Exit::Moved => self.move_on(),
        }
        self.check_limits();
    }

    fn fails(&mut self, id: PodId, index: u32, code: i32) {
        self.not_before.insert(index, self.rig.now.boot_ms + 10_000);
        self.rig.seen(id, end(EndReason::Error, Some(code)));
        self.stop_stale();
    }

    /// What the machine asked to stop stops.
    fn stop_stale(&mut self) {
        if self.limits.gang_restart {
            for (id, _, _) in self.live() {
                self.rig.seen(id, end(EndReason::Stopped, Some(143)));
            }
        }
    }

    fn keep_session(&mut self) {
        self.rig.open();
        self.rig.ack(0, &[]);
        self.rig.full(vec![self.attempt.clone()]);
    }

    /// The job is evicted and gets another attempt, which is told what the member reported.
    fn move_on(&mut self) {
        let evicted = DesiredAttempt { stop: Some(StopReason::Evicted), ..self.attempt.clone() };
        self.rig.delta(vec![evicted], &[]);
        for (id, _, _) in self.live() {
            self.rig.seen(id, end(EndReason::Stopped, Some(143)));
        }
        self.rig.open();
        let Some(report) = self.rig.reports.get(&self.attempt.epoch).cloned() else { return };
        let over = matches!(self.rig.machine.phase(self.attempt.epoch),
            Some(Phase::Ended(ended)) if ended.outcome != AttemptOutcome::Stopped);
        if over {
            return;
        }
        self.not_before.clear();
        self.attempt.epoch = Epoch(self.attempt.epoch.0 + 1);
        self.attempt.before = PodCounts { active: 0, ready: 0, terminating: 0, ..report.pods };
        self.attempt.completed_indexes = report.completed_indexes;
        self.attempt.index_failures = report.index_failures;
        self.keep_session();
    }

    /// Nothing is started within ten seconds of the failure before it.
    fn check_starts(&self) {
        for (id, index, created) in self.live() {
            let earliest = self.not_before.get(&index).copied().unwrap_or(0);
            assert!(created >= earliest, "{id:?} was started too early");
        }
    }

    fn check_limits(&self) {
        let total: u32 = self.failures.values().sum();
        // Pods that run at the time of the last failure may fail as well, and no more.
        assert!(total <= self.limits.all.saturating_add(PODS), "{total} failures of {:?}", self.limits);
        let Some(limit) = self.limits.per_index else { return };
        for (index, failures) in &self.failures {
            assert!(*failures <= limit + 1, "index {index} failed {failures} times of {limit}");
        }
    }
}

fn run(limits: &Limits, exits: &[(u8, Exit)]) {
    let mut run = Run::new(limits.clone());
    exits.iter().for_each(|(pick, exit)| run.apply(*pick, *exit));
}

#[cfg(not(mutants))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_limit_is_passed_however_pods_end(limits in limits(), exits in exits()) {
        run(&limits, &exits);
    }
}

#[cfg(mutants)]
#[test]
fn each_mutant_is_caught_within_500_jobs() {
    use proptest::test_runner::{Config, TestRunner};
    let _turn = MUTANTS.lock().unwrap();
    for mutant in ["index_limit_ignored", "failures_not_counted", "failures_forgotten_by_a_move"] {
        muster_model::mutants::choose(Some(mutant));
        let config =
            Config { cases: 500, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let caught = TestRunner::new(config).run(&(limits(), exits()), |(limits, exits)| {
            run(&limits, &exits);
            Ok(())
        });
        muster_model::mutants::choose(None);
        assert!(caught.is_err(), "{mutant} is not caught");
    }
}
