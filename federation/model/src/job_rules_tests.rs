use super::*;

fn exits(action: FailureAction, container: Option<&str>, negated: bool, values: &[i32]) -> FailureRule {
    let codes = ExitCodes { container: container.map(Into::into), negated, values: values.to_vec() };
    FailureRule { action, pattern: FailurePattern::ExitCodes(codes) }
}

fn disrupted(action: FailureAction) -> FailureRule {
    let pattern = ConditionPattern { kind: DISRUPTION.into(), status: "True".into() };
    FailureRule { action, pattern: FailurePattern::PodConditions(vec![pattern]) }
}

fn exit(container: Option<&str>, code: i32) -> ContainerExit {
    ContainerExit { container: container.map(Into::into), code }
}

#[test]
fn the_first_rule_that_matches_decides() {
    use FailureAction::{Count, FailIndex, FailJob, Ignore};
    let rules = JobRules {
        on_failure: vec![
            exits(FailJob, Some("main"), false, &[42, 43]),
            exits(FailIndex, None, false, &[7]),
            disrupted(Ignore),
            exits(Count, None, true, &[99]),
        ],
        containers: vec!["main".into(), "side".into()],
        ..JobRules::default()
    };
    for (exits, disrupted, want) in [
        (vec![exit(Some("main"), 42)], false, Some((FailJob, 0))),
        (vec![exit(Some("side"), 42)], false, Some((Count, 3))),
        (vec![exit(Some("side"), 7)], false, Some((FailIndex, 1))),
        (vec![exit(Some("side"), 7), exit(Some("main"), 42)], false, Some((FailJob, 0))),
        (vec![exit(Some("main"), 99)], false, None),
        (vec![exit(None, 42)], false, Some((Count, 3))),
        (vec![exit(Some("main"), 0)], false, None),
        (vec![exit(Some("main"), 143)], true, Some((Ignore, 2))),
        (vec![], true, Some((Ignore, 2))),
        (vec![], false, None),
    ] {
        let found = rules.failure(&PodFailure { exits: &exits, disrupted });
        assert_eq!(found.map(|found| (found.action, found.rule)), want, "{exits:?}");
    }
    let found = rules.failure(&PodFailure { exits: &[exit(Some("main"), 43)], disrupted: false });
    let want = "Container main for pod ns/p failed with exit code 43 matching FailJob rule at index 0";
    assert_eq!(found.map(|found| found.message("ns/p")).as_deref(), Some(want));
    let want = "Pod ns/p has condition DisruptionTarget matching Ignore rule at index 2";
    assert_eq!(rules.disruption().map(|found| found.message("ns/p")).as_deref(), Some(want));
}

#[test]
fn a_container_that_is_not_told_is_the_only_one() {
    let one = JobRules {
        on_failure: vec![exits(FailureAction::FailJob, Some("main"), false, &[1])],
        containers: vec!["main".into()],
        ..JobRules::default()
    };
    let found = one.failure(&PodFailure { exits: &[exit(None, 1)], disrupted: false });
    assert_eq!(found.map(|found| found.rule), Some(0));
}

#[test]
fn some_completions_are_enough() {
    let rule = |indexes: Option<&str>, count| SuccessRule { indexes: indexes.map(Into::into), count };
    let met = |rules: Vec<SuccessRule>, completed: &str| {
        JobRules { on_success: rules, ..JobRules::default() }.success(&IndexSet::parse(completed, 10), 10)
    };
    for (rules, completed, want) in [
        (vec![], "0-9", None),
        (vec![rule(None, Some(2))], "4", None),
        (vec![rule(None, Some(2))], "4,9", Some(0)),
        (vec![rule(Some("0"), None)], "1-9", None),
        (vec![rule(Some("0"), None)], "0", Some(0)),
        (vec![rule(Some("0-2"), Some(2))], "2,5", None),
        (vec![rule(Some("0-2"), Some(2))], "0,2", Some(0)),
        (vec![rule(Some("0-2"), None), rule(None, Some(3))], "0,1,7", Some(1)),
        (vec![rule(None, Some(0))], "", None),
    ] {
        assert_eq!(met(rules.clone(), completed), want, "{rules:?} {completed}");
    }
}
