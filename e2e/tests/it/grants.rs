//! Every history of one job's grants, within bounds: one run at a time with all rules, and what goes wrong without each.
//!
//! ```text
//! MUSTER_MODEL_TICKS=6 MUSTER_MODEL_TERMS=3 cargo test --release -p muster-e2e --test it grants -- --nocapture
//! ```
//!
//! Without these it is 4 ticks and 2 leaders: enough for each rule's counter-example.

mod model;

use expect_test::{Expect, expect};
use stateright::{Checker, Model};

use model::{Grants, ONE_RUN, Policy, Rule};

fn grants(policy: Policy, left_out: Option<Rule>) -> Grants {
    let bound = |name: &str, default| std::env::var(name).map_or(default, |n| n.parse().expect("a number"));
    Grants {
        policy,
        left_out,
        horizon: bound("MUSTER_MODEL_TICKS", 4),
        terms: bound("MUSTER_MODEL_TERMS", 2),
    }
}

#[test]
fn with_all_rules_there_is_one_run_at_a_time() {
    for (policy, least) in [(Policy::Fence, 500_000), (Policy::Keep, 50_000)] {
        let checker = grants(policy, None).checker().threads(2).spawn_bfs().join();
        println!("{policy:?}: {} states", checker.unique_state_count());
        checker.assert_properties();
        assert!(checker.unique_state_count() > least, "{policy:?}: {}", checker.unique_state_count());
    }
}

/// The shortest history that breaks the promise when a rule is left out.
#[track_caller]
fn breaks(policy: Policy, left_out: Rule, expected: &Expect) {
    let checker = grants(policy, Some(left_out)).checker().spawn_bfs().join();
    let path = checker.discovery(ONE_RUN).unwrap_or_else(|| panic!("{left_out:?} is not needed"));
    let actions: Vec<String> = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
    let lines: Vec<String> = actions.chunks(8).map(|line| line.join(" ") + "\n").collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn without_read_index_a_deposed_leader_keeps_an_attempt_alive() {
    breaks(
        Policy::Fence,
        Rule::ReadIndex,
        &expect![[r#"
        Connect Send Hear Take GrantHere Elect Tick TickUnseen
        HubClockFast Send Hear Take Take Tick Lapse GrantElsewhere
    "#]],
    );
}

#[test]
fn without_final_deadlines_a_late_acknowledgement_revives_what_was_replaced() {
    breaks(
        Policy::Fence,
        Rule::FinalDeadline,
        &expect![[r#"
        Connect Send Tick Hear Send Confirm Hear Take
        GrantHere Tick Confirm Take Send Hear Confirm GrantElsewhere
        Take Retry
    "#]],
    );
}

#[test]
fn without_incarnations_an_emptied_folder_looks_like_an_end() {
    breaks(
        Policy::Fence,
        Rule::Incarnation,
        &expect![[r#"
        Connect Send Tick Hear Confirm Take GrantHere Take
        Wipe Connect Send Hear Confirm GrantElsewhere
    "#]],
    );
    breaks(
        Policy::Keep,
        Rule::Incarnation,
        &expect![[r#"
        Connect Send Hear Confirm Take GrantHere Tick Take
        Wipe Connect Send Hear Confirm GrantElsewhere
    "#]],
    );
}

#[test]
fn without_counting_drift_the_hub_is_a_tick_early() {
    breaks(
        Policy::Fence,
        Rule::ClockDrift,
        &expect![[r#"
        Connect Send Hear Confirm Take GrantHere Elect TickUnseen
        Take Send Tick Lapse GrantElsewhere
    "#]],
    );
}

#[test]
fn without_one_connection_an_old_start_is_carried_out() {
    breaks(
        Policy::Fence,
        Rule::OneConnection,
        &expect![[r#"
        Connect Send Tick Hear Confirm Take GrantHere Cut
        Connect Send TakeLeftover Hear Confirm Wipe TakeLeftover TakeLeftover
    "#]],
    );
}
