use expect_test::{Expect, expect};
use muster_model::{DurationMs, Object};
use serde_json::{Value, json};

use super::KIND;
use crate::kinds::samples::{JOB, NOW, decoded, lines, object, reading};
use crate::kinds::{admit, render};

/// A job that says no more than it must.
pub(super) const PLAIN: &str = "
metadata: {name: x, namespace: default}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, command: [run]}]}}}
";

fn check_read(text: &str, want: &Expect) {
    want.assert_eq(&reading(&KIND, text));
}

/// The job of `PLAIN` with these fields of its spec and annotations.
pub(super) fn with(spec: &str, annotations: &str) -> String {
    format!(
        "metadata: {{name: x, namespace: default, annotations: {{{annotations}}}}}\nspec: {{{spec}template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: i, command: [run]}}]}}}}}}\n"
    )
}

#[test]
fn a_gpu_job_is_read() {
    check_read(
        JOB,
        &expect![[r#"
            Job(
                JobSpec {
                    pod_sets: [
                        PodSet {
                            name: "main",
                            count: 2,
                            request: Resources {
                                gpu_milli: 8000,
                                cpu_milli: 9000,
                                memory_bytes: 69256347648,
                            },
                        },
                    ],
                    completion: Completion {
                        parallelism: 2,
                        completions: Some(
                            4,
                        ),
                        indexed: true,
                    },
                    backoff_limit: 6,
                    active_deadline: Some(
                        DurationMs(
                            600000,
                        ),
                    ),
                    ttl_after_finished: Some(
                        DurationMs(
                            60000,
                        ),
                    ),
                    grace: DurationMs(
                        30000,
                    ),
                    suspend: false,
                    placement: Default,
                    tolerations: [
                        Toleration {
                            key: Some(
                                "nvidia.com/gpu",
                            ),
                            value: None,
                            effect: Some(
                                NoSchedule,
                            ),
                        },
                        Toleration {
                            key: Some(
                                "team",
                            ),
                            value: Some(
                                "a",
                            ),
                            effect: None,
                        },
                    ],
                    node_selector: Selector(
                        [
                            In(
                                "tier",
                                [
                                    "fast",
                                ],
                            ),
                        ],
                    ),
                    gpu_model: Some(
                        GpuModel(
                            "NVIDIA-A100-SXM4-80GB",
                        ),
                    ),
                    rules: JobRules {
                        backoff_limit_per_index: None,
                        max_failed_indexes: None,
                        on_failure: [],
                        on_success: [],
                        gang_restart: false,
                        containers: [],
                    },
                },
            )
            warning: spec.template.spec.containers[0].image is ignored by members with the process backend
            warning: spec.template.spec.containers[1].image is ignored by members with the process backend"#]],
    );
}

#[test]
fn a_job_without_parallelism_of_its_own_is_one_pod() {
    check_read(
        PLAIN,
        &expect![[r#"
            Job(
                JobSpec {
                    pod_sets: [
                        PodSet {
                            name: "main",
                            count: 1,
                            request: Resources {
                                gpu_milli: 0,
                                cpu_milli: 0,
                                memory_bytes: 0,
                            },
                        },
                    ],
                    completion: Completion {
                        parallelism: 1,
                        completions: Some(
                            1,
                        ),
                        indexed: false,
                    },
                    backoff_limit: 6,
                    active_deadline: None,
                    ttl_after_finished: None,
                    grace: DurationMs(
                        30000,
                    ),
                    suspend: false,
                    placement: Default,
                    tolerations: [],
                    node_selector: Selector(
                        [],
                    ),
                    gpu_model: None,
                    rules: JobRules {
                        backoff_limit_per_index: None,
                        max_failed_indexes: None,
                        on_failure: [],
                        on_success: [],
                        gang_restart: false,
                        containers: [],
                    },
                },
            )
            warning: spec.template.spec.containers[0].image is ignored by members with the process backend"#]],
    );
}

#[test]
fn what_is_wrong_is_told_by_field() {
    check_read(
        &with("completionMode: Indexed, parallelism: 200000, ", ""),
        &expect![[r#"
        spec.completions: Required value: when completion mode is Indexed
        spec.parallelism: Invalid value: 200000: must be less than or equal to 100000 when completion mode is Indexed"#]],
    );
    check_read(
        &with("parallelism: 200000, managedBy: me, backoffLimitPerIndex: 1, ", ""),
        &expect![[r#"
        spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")
        spec.parallelism: Invalid value: 200000: must be less than or equal to 100000
        spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"#]],
    );
    check_read(
        &with("selector: {matchLabels: {a: b}}, ", ""),
        &expect![[
            r#"spec.selector: Invalid value: {"matchLabels":{"a":"b","batch.kubernetes.io/controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff"}}: `selector` not auto-generated"#
        ]],
    );
    check_read(
        &with("manualSelector: true, selector: {matchLabels: {a: b}}, ", ""),
        &expect![
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"
        ],
    );
    check_read(&with("manualSelector: true, ", ""), &expect!["spec.selector: Required value"]);
    check_read(
        "
metadata: {name: x, namespace: default}
spec:
  podFailurePolicy: {rules: [{action: Sleep, onExitCodes: {operator: In, values: [1]}}, {action: Count}]}
  template:
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: -1
      nodeSelector: {'a b': c}
      tolerations: [{operator: Equal}, {key: a, operator: Exists, value: b}, {key: a, effect: Never}]
      volumes: [{name: v}, {name: v}]
      containers:
      - name: c
        image: ' i'
        env: [{name: ''}, {name: A, value: x, valueFrom: {fieldRef: {fieldPath: a}}}]
        ports: [{containerPort: 70000}]
        volumeMounts: [{name: gone}]
        resources:
          limits: {cpu: 1, nvidia.com/gpu: '0.5', memory: '-1'}
          requests: {cpu: 2, amd.com/gpu: 1}
",
        &expect![[r#"
            spec.podFailurePolicy.rules[0].action: Unsupported value: "Sleep": supported values: "Count", "FailIndex", "FailJob", "Ignore"
            spec.podFailurePolicy.rules[1]: Invalid value: {"action":"Count"}: specifying one of OnExitCodes and OnPodConditions is required
            spec.template.spec.volumes[1].name: Duplicate value: "v"
            spec.template.spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace
            spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive
            spec.template.spec.containers[0].env[0].name: Required value
            spec.template.spec.containers[0].env[1].valueFrom: Invalid value: "": may not be specified when `value` is not empty
            spec.template.spec.containers[0].volumeMounts[0].name: Not found: "gone"
            spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value
            spec.template.spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0
            spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]: Invalid value: "0.5": must be an integer
            spec.template.spec.containers[0].resources.requests[cpu]: Invalid value: 2: must be less than or equal to cpu limit of 1
            spec.template.spec.containers[0].resources.limits: Invalid value: "nvidia.com/gpu,amd.com/gpu": a container asks for GPUs of one vendor, found nvidia.com/gpu and amd.com/gpu
            spec.template.spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0
            spec.template.spec.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.template.spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
            spec.template.spec.tolerations[1].operator: Invalid value: "Exists": value must be empty when `operator` is 'Exists'
            spec.template.spec.tolerations[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
            spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified"#]],
    );
}

#[test]
fn placement_is_named_or_carried() {
    let placement = |annotations: &str| {
        let text = with("", annotations);
        let shown = reading(&KIND, &text);
        match shown.split_once("placement: ") {
            Some((_, rest)) => rest.split("\n        tolerations").next().unwrap_or_default().to_owned(),
            None => shown,
        }
    };
    expect![[r#"
        Named(
                    "cheap",
                ),"#]]
    .assert_eq(&placement("muster.sh/placement: cheap"));
    expect![[r#"
        Inline(
                    PlacementSpec {
                        cluster_selector: Selector(
                            [],
                        ),
                        gpus: AnyOf(
                            [
                                GpuChoice {
                                    model: GpuModel(
                                        "H100",
                                    ),
                                    count: None,
                                },
                            ],
                        ),
                        datasets: [],
                        spot: Never,
                        max_hourly_cost: Some(
                            MicroUsd(
                                3500000,
                            ),
                        ),
                        expected_duration: None,
                        deadline: None,
                        checkpoint: None,
                        partition_policy: Keep,
                        fence_after: None,
                    },
                ),"#]].assert_eq(&placement(
        r#"muster.sh/placement-spec: '{"spot":"never","maxHourlyCost":"3.5","gpus":{"anyOf":[{"model":"H100"}]}}'"#,
    ));
    expect!["keep one of the two"]
        .assert_eq(&placement("muster.sh/placement: cheap, muster.sh/placement-spec: '{}'"));
    expect![[r#"metadata.annotations[muster.sh/placement]: Invalid value: "Not A Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"#]].assert_eq(&placement("muster.sh/placement: Not A Name"));
    expect![[r#"metadata.annotations[muster.sh/placement-spec]: Invalid value: "spot: never": must be the spec of a Placement as JSON: json parse error: expected value at line 1 column 1"#]].assert_eq(&placement("muster.sh/placement-spec: 'spot: never'"));
    expect![[r#"metadata.annotations[muster.sh/placement-spec]: Invalid value: "[]": must be the spec of a Placement as a JSON object"#]].assert_eq(&placement("muster.sh/placement-spec: '[]'"));
    expect![[r#"
        metadata.annotations[muster.sh/placement-spec]: Invalid value: "{\"spot\":\"maybe\",\"maxHourlyCost\":3.5,\"speed\":1,\"spot\":\"no\",\"partitionPolicy\":\"Fence\",\"fenceAfter\":\"30s\",\"checkpoint\":{}}": unknown field "speed"
        metadata.annotations[muster.sh/placement-spec]: Invalid value: "{\"spot\":\"maybe\",\"maxHourlyCost\":3.5,\"speed\":1,\"spot\":\"no\",\"partitionPolicy\":\"Fence\",\"fenceAfter\":\"30s\",\"checkpoint\":{}}": duplicate field "spot"
        metadata.annotations[muster.sh/placement-spec].maxHourlyCost: Invalid value: "number": maxHourlyCost in body must be of type string: "number" (a JSON number is a binary fraction, which cannot hold most amounts of money exactly: put it in quotes, such as "12.34")
        metadata.annotations[muster.sh/placement-spec].spot: Unsupported value: "no": supported values: "never", "prefer", "require"
        metadata.annotations[muster.sh/placement-spec].checkpoint.interval: Required value: the time between two checkpoints, such as 10m
        metadata.annotations[muster.sh/placement-spec].fenceAfter: Invalid value: "30s": must be greater than 38s: terminationGracePeriodSeconds, the kill budget and three heartbeats"#]].assert_eq(&placement(
        r#"muster.sh/placement-spec: '{"spot":"maybe","maxHourlyCost":3.5,"speed":1,"spot":"no","partitionPolicy":"Fence","fenceAfter":"30s","checkpoint":{}}'"#,
    ));
}

#[test]
fn defaults_are_idempotent() {
    let mut once = decoded(&KIND, JOB);
    (KIND.resource.default)(&mut once);
    let mut twice = once.clone();
    (KIND.resource.default)(&mut twice);
    assert_eq!(once, twice);
}

fn check_update(old: &Value, change: impl FnOnce(&mut Value), want: &Expect) {
    let mut new = old.clone();
    change(&mut new);
    let errors = admit(&KIND, new, Some(old)).err().unwrap_or_default();
    let texts: Vec<_> =
        lines(&errors).lines().map(|line| line.chars().take(160).collect::<String>()).collect();
    want.assert_eq(&texts.join("\n"));
}

#[test]
fn what_may_change_after_creation() {
    let shown = |text: &str| render::value(&KIND, &object(&KIND, text));
    let plain = shown(PLAIN);
    check_update(&plain, |new| new["spec"]["parallelism"] = json!(3), &expect![[""]]);
    check_update(&plain, |new| new["spec"]["suspend"] = json!(true), &expect![[""]]);
    check_update(&plain, |new| new["metadata"]["labels"]["more"] = json!("x"), &expect![[""]]);
    check_update(
        &plain,
        |new| new["spec"]["completions"] = json!(3),
        &expect!["spec.completions: Invalid value: 3: field is immutable"],
    );
    check_update(
        &plain,
        |new| new["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"}),
        &expect![[
            r#"spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","batch.kubernetes.io/job-name":"#
        ]],
    );
    check_update(
        &plain,
        |new| new["spec"]["completionMode"] = json!("Indexed"),
        &expect![[r#"spec.completionMode: Invalid value: "Indexed": field is immutable"#]],
    );
    let held = shown(&with("suspend: true, ", ""));
    check_update(
        &held,
        |new| new["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"}),
        &expect![[""]],
    );
    check_update(
        &held,
        |new| new["spec"]["template"]["spec"]["dnsPolicy"] = json!("Default"),
        &expect![[
            r#"spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","batch.kubernetes.io/job-name":"#
        ]],
    );
    let elastic = shown(&with("completionMode: Indexed, completions: 2, parallelism: 2, ", ""));
    let resize = |new: &mut Value| {
        new["spec"]["completions"] = json!(4);
        new["spec"]["parallelism"] = json!(4);
    };
    check_update(&elastic, resize, &expect![[""]]);
    check_update(
        &elastic,
        |new| new["spec"]["completions"] = json!(4),
        &expect!["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"],
    );
}

#[test]
fn alike_jobs_share_their_document_and_their_reading() {
    let named = |name: &str| object(&KIND, &PLAIN.replace("name: x", &format!("name: {name}")));
    let (one, mut two) = (named("train-1"), named("train-2"));
    assert_eq!(one.document, two.document);
    two.document = one.document.clone();
    two.meta.uid = muster_model::Uid(2);
    let mut rows = crate::kinds::Rows::new(NOW);
    let selector = |object: &Object, rows: &mut crate::kinds::Rows| (KIND.cells)(object, rows)[8].clone();
    for object in [&one, &two] {
        let want = format!("batch.kubernetes.io/controller-uid={}", object.meta.uid);
        assert_eq!(selector(object, &mut rows), want);
    }
}

#[test]
fn the_default_grace_and_deadline_are_read_in_milliseconds() {
    let object = object(&KIND, &with("activeDeadlineSeconds: 90, ttlSecondsAfterFinished: 0, ", ""));
    let spec = &object.job().unwrap().spec;
    assert_eq!(spec.active_deadline, Some(DurationMs(90_000)));
    assert_eq!(spec.ttl_after_finished, Some(DurationMs(0)));
    assert_eq!(spec.grace, DurationMs(30_000));
}

#[test]
fn a_job_without_parallelism_is_held() {
    let is_held = |text: &str| object(&KIND, &with(text, "")).job().unwrap().spec.is_held();
    assert!(is_held("parallelism: 0, "));
    assert!(is_held("suspend: true, "));
    assert!(!is_held("parallelism: 1, "));
    assert!(!is_held("parallelism: 0, completions: 0, "));
}
