//! Pod failure policy, success policy, limits per index: what is refused, and what becomes of the rest.

use expect_test::{Expect, expect};
use muster_model::{Finish, FinishReason, IndexFailures, JobPhase, MemberName, Status as State, TimeMs};

use super::KIND;
use super::tests::with;
use crate::kinds::samples::{NOW, object, reading, running_job, status};

/// The rules of a job with these fields of its spec and annotations, or what is wrong with them.
fn check(spec: &str, annotations: &str, want: &Expect) {
    let shown = reading(&KIND, &with(spec, annotations));
    let rules = match shown.split_once("rules: JobRules ") {
        Some((_, rest)) => rest.split("\n    },\n)").next().unwrap_or_default().to_owned(),
        None => shown,
    };
    want.assert_eq(&rules);
}

const INDEXED: &str = "completionMode: Indexed, completions: 5, parallelism: 5, ";

#[test]
fn rules_are_read_in_order() {
    check(
        "completionMode: Indexed, completions: 5, backoffLimitPerIndex: 1, maxFailedIndexes: 2, podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {containerName: c, operator: In, values: [42]}}, {action: FailIndex, onExitCodes: {operator: NotIn, values: [0, 7]}}, {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}, ",
        "",
        &expect![[r#"
            {
                        backoff_limit_per_index: Some(
                            1,
                        ),
                        max_failed_indexes: Some(
                            2,
                        ),
                        on_failure: [
                            FailureRule {
                                action: FailJob,
                                pattern: ExitCodes(
                                    ExitCodes {
                                        container: Some(
                                            "c",
                                        ),
                                        negated: false,
                                        values: [
                                            42,
                                        ],
                                    },
                                ),
                            },
                            FailureRule {
                                action: FailIndex,
                                pattern: ExitCodes(
                                    ExitCodes {
                                        container: None,
                                        negated: true,
                                        values: [
                                            0,
                                            7,
                                        ],
                                    },
                                ),
                            },
                            FailureRule {
                                action: Ignore,
                                pattern: PodConditions(
                                    [
                                        ConditionPattern {
                                            kind: "DisruptionTarget",
                                            status: "True",
                                        },
                                    ],
                                ),
                            },
                        ],
                        on_success: [],
                        gang_restart: false,
                        containers: [
                            "c",
                        ],
                    },"#]],
    );
    check(
        "completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededIndexes: '0,2-3', succeededCount: 2}, {succeededCount: 4}]}, ",
        "",
        &expect![[r#"
            {
                        backoff_limit_per_index: None,
                        max_failed_indexes: None,
                        on_failure: [],
                        on_success: [
                            SuccessRule {
                                indexes: Some(
                                    "0,2-3",
                                ),
                                count: Some(
                                    2,
                                ),
                            },
                            SuccessRule {
                                indexes: None,
                                count: Some(
                                    4,
                                ),
                            },
                        ],
                        gang_restart: false,
                        containers: [],
                    },"#]],
    );
    check(
        INDEXED,
        "'muster.sh/gang-restart': 'true'",
        &expect![[r#"
            {
                        backoff_limit_per_index: None,
                        max_failed_indexes: None,
                        on_failure: [],
                        on_success: [],
                        gang_restart: true,
                        containers: [],
                    },"#]],
    );
}

#[test]
fn what_is_wrong_with_a_failure_policy_is_told_by_field() {
    for (rules, want) in [
        (
            "[{action: FailIndex, onExitCodes: {operator: In, values: [1]}}]",
            expect![[
                r#"spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set"#
            ]],
        ),
        (
            "[{action: FailJob, onExitCodes: {operator: Among, values: []}}]",
            expect![[r#"
            spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: "Among": supported values: "In", "NotIn"
            spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one value is required"#]],
        ),
        (
            "[{onExitCodes: {containerName: d, values: [3, 1, 1, 0]}}]",
            expect![[r#"
            spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]
            spec.podFailurePolicy.rules[0].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]
            spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "d": must be one of the container or initContainer names in the pod template
            spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 1
            spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,1,1,0]: must be ordered"#]],
        ),
        (
            "[{action: FailJob, onExitCodes: {operator: In, values: [0]}}]",
            expect![
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"
            ],
        ),
        (
            "[{action: Ignore, onPodConditions: [{type: 'a b', status: Maybe}]}]",
            expect![[r#"
            spec.podFailurePolicy.rules[0].onPodConditions[0].type: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown""#]],
        ),
        (
            "[{action: Ignore, onPodConditions: [{type: A}], onExitCodes: {operator: In, values: [1]}}]",
            expect![[
                r#"spec.podFailurePolicy.rules[0]: Invalid value: {"action":"Ignore","onExitCodes":{"operator":"In","values":[1]},"onPodConditions":[{"status":"True","type":"A"}]}: specifying both OnExitCodes and OnPodConditions is not supported"#
            ]],
        ),
    ] {
        check(&format!("podFailurePolicy: {{rules: {rules}}}, "), "", &want);
    }
    let many = vec!["{action: Ignore, onPodConditions: [{type: A}]}"; 21].join(", ");
    check(
        &format!("podFailurePolicy: {{rules: [{many}]}}, "),
        "",
        &expect!["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"],
    );
    check(
        "podReplacementPolicy: TerminatingOrFailed, podFailurePolicy: {rules: []}, ",
        "",
        &expect![[
            r#"spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed""#
        ]],
    );
}

#[test]
fn what_is_wrong_with_a_success_policy_is_told_by_field() {
    for (rules, want) in [
        (
            "[]",
            expect![
                "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified"
            ],
        ),
        (
            "[{}]",
            expect![
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"
            ],
        ),
        (
            "[{succeededIndexes: '0-2,2'}, {succeededIndexes: '5'}, {succeededIndexes: '3-1'}]",
            expect![[r#"
            spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-2,2": error parsing succeededIndexes: non-increasing order, previous: 2, current: 2
            spec.successPolicy.rules[1].succeededIndexes: Invalid value: "5": error parsing succeededIndexes: too large index: "5"
            spec.successPolicy.rules[2].succeededIndexes: Invalid value: "3-1": error parsing succeededIndexes: non-increasing order, previous: 3, current: 1"#]],
        ),
        (
            "[{succeededIndexes: '0-1-2'}, {succeededIndexes: 'x'}, {succeededIndexes: '-1'}]",
            expect![[r#"
            spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-1-2": error parsing succeededIndexes: the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'
            spec.successPolicy.rules[1].succeededIndexes: Invalid value: "x": error parsing succeededIndexes: cannot convert string to integer for index: "x"
            spec.successPolicy.rules[2].succeededIndexes: Invalid value: "-1": error parsing succeededIndexes: cannot convert string to integer for index: """#]],
        ),
        (
            "[{succeededCount: 6}, {succeededCount: -1}, {succeededIndexes: '0,1', succeededCount: 3}]",
            expect![[r#"
                spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)
                spec.successPolicy.rules[1].succeededCount: Invalid value: -1: must be greater than or equal to 0
                spec.successPolicy.rules[2].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"#]],
        ),
    ] {
        check(&format!("{INDEXED}successPolicy: {{rules: {rules}}}, "), "", &want);
    }
    check(
        "successPolicy: {rules: [{succeededCount: 1}]}, ",
        "",
        &expect![[
            r#"spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed completion mode"#
        ]],
    );
}

#[test]
fn limits_that_do_not_fit_are_told_by_field() {
    check(
        &format!("{INDEXED}maxFailedIndexes: 1, "),
        "",
        &expect!["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
    );
    check(
        &format!("{INDEXED}maxFailedIndexes: 6, backoffLimitPerIndex: 0, "),
        "",
        &expect!["spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"],
    );
    check(
        "",
        "'muster.sh/gang-restart': 'true'",
        &expect![[
            r#"metadata.annotations[muster.sh/gang-restart]: Invalid value: "true": needs a gang: completionMode Indexed, with parallelism equal to completions and above 0"#
        ]],
    );
    check(
        INDEXED,
        "'muster.sh/gang-restart': 'maybe'",
        &expect![[
            r#"metadata.annotations[muster.sh/gang-restart]: Unsupported value: "maybe": supported values: "false", "true""#
        ]],
    );
}

#[test]
fn a_policy_that_was_met_is_the_reason_of_the_end() {
    let end = |spec: &str, failure: Option<FinishReason>, member: &str| {
        let mut object = running_job();
        let spec = self::object(&KIND, &with(spec, "")).job().unwrap().spec.clone();
        let State::Job(job) = &mut object.status else { panic!("a job") };
        job.spec = spec;
        job.attempt = None;
        job.completed_indexes = "0,2".into();
        job.index_failures = IndexFailures { failed: "1".into(), counts: "".into() };
        let (at, granted_at) = (TimeMs(NOW.0 + 1_000), NOW);
        let (member, because) = (MemberName::new(member), "".into());
        job.phase = JobPhase::Finished(Finish { at, failure, member, because, granted_at });
        let shown = status(&KIND, &object);
        let told = |line: &&str| {
            ["failedIndexes", "reason", "message", "\"type\""].iter().any(|field| line.contains(field))
        };
        shown.lines().filter(told).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        "message": "Matched rules at index 1",
        "reason": "SuccessPolicy",
        "type": "SuccessCriteriaMet"
        "message": "Matched rules at index 1",
        "reason": "SuccessPolicy",
        "type": "Complete"
        "message": "on onprem-a",
        "reason": "Placed",
        "type": "Placed""#]].assert_eq(&end(
        "completionMode: Indexed, completions: 5, successPolicy: {rules: [{succeededCount: 4}, {succeededIndexes: '2'}]}, ",
        None,
        "onprem-a",
    ));
    let why = FinishReason { reason: "FailedIndexes".into(), message: "Job has failed indexes".into() };
    expect![[r#"
        "message": "Job has failed indexes",
        "reason": "FailedIndexes",
        "type": "FailureTarget"
        "message": "Job has failed indexes",
        "reason": "FailedIndexes",
        "type": "Failed"
        "message": "on onprem-a",
        "reason": "Placed",
        "type": "Placed"
        "failedIndexes": "1","#]]
    .assert_eq(&end(
        "completionMode: Indexed, completions: 3, backoffLimitPerIndex: 0, ",
        Some(why),
        "onprem-a",
    ));
    expect![[r#"
        "message": "Reached expected number of succeeded pods",
        "reason": "CompletionsReached",
        "type": "SuccessCriteriaMet"
        "message": "Reached expected number of succeeded pods",
        "reason": "CompletionsReached",
        "type": "Complete""#]]
    .assert_eq(&end("completions: 0, ", None, ""));
}
