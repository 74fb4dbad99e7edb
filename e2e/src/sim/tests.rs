//! The simulator about itself.

use super::{RunSpec, Scenario, Show, run};

fn spec(seed: u64, scenario: Scenario) -> RunSpec {
    RunSpec { seed, scenario, plan: None, show: Show::Nothing }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let first = run(&spec(1, Scenario::Mixed));
    let second = run(&spec(1, Scenario::Mixed));
    assert_eq!(first, second);
    let other = run(&spec(2, Scenario::Mixed));
    assert_ne!(first.trace_hash, other.trace_hash);
}

#[test]
fn every_scenario_holds_and_does_its_work() {
    for scenario in Scenario::ALL {
        let report = run(&spec(7, scenario));
        assert_eq!(report.violation, None, "{}", scenario.name());
        assert!(report.counts.operations >= 200, "{}: {:?}", scenario.name(), report.counts);
        assert!(report.counts.virtual_ms >= 600_000);
        assert!(report.counts.jobs > 50 && report.counts.grants > 50 && report.counts.faults() > 20);
    }
}
