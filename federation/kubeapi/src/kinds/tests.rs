//! Reading and showing of the smaller kinds.

use expect_test::{Expect, expect};
use muster_model::{Deletion, Key, Object, Spec, TimeMs};
use serde_json::{Value, json};

use super::samples::{self, NOW, UID, lines, object, reading, row, shown};
use super::*;
use crate::document;

fn check_read(kind: &StoredKind, text: &str, want: &Expect) {
    want.assert_eq(&reading(kind, text));
}

#[test]
fn namespaces() {
    let kind = &namespace::KIND;
    check_read(
        kind,
        "metadata: {name: a, annotations: {muster.sh/wait-cost-per-hour: '0.75'}}",
        &expect![[r#"
        Namespace(
            NamespaceSpec {
                wait_cost_per_hour: MicroUsd(
                    750000,
                ),
            },
        )
    "#]],
    );
    check_read(
        kind,
        "metadata: {name: a, annotations: {muster.sh/wait-cost-per-hour: '-1'}}",
        &expect![[
            r#"metadata.annotations[muster.sh/wait-cost-per-hour]: Invalid value: "-1": must be greater than or equal to 0"#
        ]],
    );
    let mut object = object(kind, "metadata: {name: a}");
    expect![[r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z","labels":{"kubernetes.io/metadata.name":"a"}},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}"#]].assert_eq(&shown(kind, &object));
    object.meta.deletion = Some(Deletion { at: NOW, grace_s: 0 });
    expect![[r#"
        Name: "a"
        Status: "Terminating"
        Age: "0s""#]]
    .assert_eq(&row(kind, &object, NOW));
}

#[test]
fn the_default_namespace_can_be_stored() {
    let muster_model::Command::Put(put) = default_namespace() else { panic!("a put") };
    assert_eq!(put.key, Key::namespace("default"));
    assert_eq!(put.spec, Spec::Namespace(muster_model::NamespaceSpec::default()));
    assert!(
        put.document.metadata_text("default", "u").contains("\"kubernetes.io/metadata.name\":\"default\"")
    );
}

#[test]
fn config_maps() {
    let kind = &config_map::KIND;
    let meta = "metadata: {name: c, namespace: a}\n";
    let object = object(kind, &format!("{meta}data: {{a: '1', b: c}}\nbinaryData: {{x: AAE=}}\n"));
    expect![[r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"7","creationTimestamp":"2026-11-20T10:44:05Z"},"binaryData":{"x":"AAE="},"data":{"a":"1","b":"c"}}"#]].assert_eq(&shown(kind, &object));
    expect![[r#"
        Name: "c"
        Data: 3
        Age: "0s""#]]
    .assert_eq(&row(kind, &object, NOW));
    check_read(
        kind,
        &format!("{meta}data: {{'..': x}}\nbinaryData: {{y: '%'}}"),
        &expect![[r#"
        data[..]: Invalid value: "..": must not be '..'
        binaryData[y]: Invalid value: "%": must be base64: Invalid symbol 37, offset 0."#]],
    );
    let large = format!("{meta}data: {{a: {}}}", "x".repeat(1024 * 1024 + 1));
    check_read(kind, &large, &expect!["[]: Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn immutable_config_maps_stay() {
    let kind = &config_map::KIND;
    let old = render::value(
        kind,
        &object(kind, "metadata: {name: c, namespace: a}\nimmutable: true\ndata: {a: '1'}"),
    );
    let change = |field: &str, value: Value| {
        let mut new = old.clone();
        new[field] = value;
        admit(kind, new, Some(&old)).err().unwrap_or_default()
    };
    expect!["data: Forbidden: field is immutable when `immutable` is set"]
        .assert_eq(&lines(&change("data", json!({"a": "2"}))));
    expect!["immutable: Forbidden: field is immutable when `immutable` is set"]
        .assert_eq(&lines(&change("immutable", json!(false))));
    assert_eq!(change("binaryData", json!({})), []);
}

#[test]
fn events() {
    let kind = &event::KIND;
    expect![[r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"train.00000000000000ff","namespace":"team-a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"8","creationTimestamp":"2026-11-20T10:44:05Z"},"involvedObject":{"kind":"Job","apiVersion":"batch/v1","namespace":"team-a","name":"train","uid":"0a1b2c3d-0000-4000-8000-0000000000ff"},"reason":"Placed","message":"on onprem-a because \"near\"","source":{"component":"muster"},"firstTimestamp":"2026-11-20T10:44:05Z","lastTimestamp":"2026-11-20T10:44:10Z","count":2,"type":"Normal","eventTime":null,"reportingComponent":"muster","reportingInstance":""}"#]].assert_eq(&shown(kind, &samples::event()));
    expect![[r#"
        Last Seen: "60s"
        Type: "Normal"
        Reason: "Placed"
        Object: "job/train"
        Subobject: ""
        Source: "muster"
        Message: "on onprem-a because \"near\""
        First Seen: "65s"
        Count: 2
        Name: "train.00000000000000ff""#]]
    .assert_eq(&row(kind, &samples::event(), TimeMs(NOW.0 + 65_000)));
    let text = "
metadata: {name: e, namespace: a}
involvedObject: {kind: Pod, name: p, namespace: a, fieldPath: 'spec.containers{c}'}
reason: Pulled
message: done
type: Normal
source: {component: kubelet}
firstTimestamp: 2026-11-20T10:43:05Z
lastTimestamp: 2026-11-20T10:44:05Z
count: 3
";
    expect![[r#"
        Last Seen: "0s"
        Type: "Normal"
        Reason: "Pulled"
        Object: "pod/p"
        Subobject: "spec.containers{c}"
        Source: "kubelet"
        Message: "done"
        First Seen: "60s"
        Count: 3
        Name: "e""#]]
    .assert_eq(&row(kind, &object(kind, text), NOW));
    check_read(
        kind,
        &text.replace("namespace: a, fieldPath", "namespace: b, fieldPath"),
        &expect![[r#"involvedObject.namespace: Invalid value: "b": does not match event.namespace"#]],
    );
}

#[test]
fn an_event_of_the_hub_that_a_client_labels_is_shown_once() {
    let kind = &event::KIND;
    let mut written = render::value(kind, &samples::event());
    written["metadata"]["labels"] = json!({"seen": "yes"});
    let admitted = admit(kind, written, None).unwrap();
    let labelled = Object { document: admitted.document, ..samples::event() };
    let text = shown(kind, &labelled);
    let parsed = document::parse(text.as_bytes(), document::Encoding::Json, None).unwrap();
    assert_eq!(parsed.findings, Vec::<String>::new(), "no field twice");
    assert_eq!(parsed.value["metadata"]["labels"]["seen"], "yes");
}

#[test]
fn placements() {
    let kind = &placement::KIND;
    check_read(
        kind,
        samples::PLACEMENT,
        &expect![[r#"
        Placement(
            PlacementSpec {
                cluster_selector: Selector(
                    [
                        In(
                            "tier",
                            [
                                "fast",
                            ],
                        ),
                        NotIn(
                            "zone",
                            [
                                "a",
                                "b",
                            ],
                        ),
                        Absent(
                            "gone",
                        ),
                    ],
                ),
                gpus: Ordered(
                    [
                        GpuChoice {
                            model: GpuModel(
                                "H100",
                            ),
                            count: Some(
                                4,
                            ),
                        },
                        GpuChoice {
                            model: GpuModel(
                                "A100",
                            ),
                            count: None,
                        },
                    ],
                ),
                datasets: [
                    "imagenet",
                ],
                spot: Require,
                max_hourly_cost: Some(
                    MicroUsd(
                        12500000,
                    ),
                ),
                expected_duration: Some(
                    DurationMs(
                        5400000,
                    ),
                ),
                deadline: Some(
                    TimeMs(
                        1796083200000,
                    ),
                ),
                checkpoint: Some(
                    Checkpoint {
                        path: "s3://b/c",
                        interval: DurationMs(
                            600000,
                        ),
                        size_bytes: 42949672960,
                    },
                ),
                partition_policy: Fence,
                fence_after: Some(
                    DurationMs(
                        120000,
                    ),
                ),
            },
        )
    "#]],
    );
    expect![[r#"
        Name: "cheap"
        GPUs: "4x H100 > A100"
        Spot: "require"
        Max Hourly: "12.50"
        Partition: "Fence after 2m"
        Age: "0s"
        Duration: "1h30m"
        Deadline: "2026-12-01T00:00:00Z"
        Datasets: "imagenet"
        Checkpoint: "10m""#]]
    .assert_eq(&row(kind, &object(kind, samples::PLACEMENT), NOW));
    check_read(
        kind,
        "
metadata: {name: p, namespace: a}
spec:
  clusterSelector: {matchExpressions: [{key: a, operator: In}, {key: a, operator: Exists, values: [x]}, {key: a, operator: Like}]}
  gpus: {anyOf: [{model: A, count: 0}, {model: A}], ordered: [{model: B}]}
  datasets: [a, a, 'B b']
  maxHourlyCost: free
  expectedDuration: 0s
  checkpoint: {interval: '10', size: 99Ei}
  fenceAfter: 10m
",
        &expect![[r#"
            spec.clusterSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
            spec.clusterSelector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
            spec.clusterSelector.matchExpressions[2].operator: Invalid value: "Like": not a valid selector operator
            spec.gpus.ordered: Forbidden: may not be given together with anyOf
            spec.datasets[1]: Duplicate value: "a"
            spec.datasets[2]: Invalid value: "B b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.maxHourlyCost: Invalid value: "free": must be a decimal amount in USD such as "12.34"
            spec.expectedDuration: Invalid value: "0s": must be greater than 0
            spec.checkpoint.size: Invalid value: "99Ei": is too large
            spec.checkpoint.interval: Invalid value: "10": must be a duration such as 90s, 10m or 1h30m
            spec.fenceAfter: Forbidden: may only be set when partitionPolicy is Fence"#]],
    );
    check_read(
        kind,
        "metadata: {name: p, namespace: a}\nspec: {partitionPolicy: Fence, fenceAfter: 5s}",
        &expect![[
            r#"spec.fenceAfter: Invalid value: "5s": must be greater than 8s: terminationGracePeriodSeconds, the kill budget and three heartbeats"#
        ]],
    );
}

#[test]
fn datasets() {
    let kind = &dataset::KIND;
    check_read(
        kind,
        samples::DATASET,
        &expect![[r#"
        Dataset(
            DatasetSpec {
                version: "v2",
                size_bytes: 161061273600,
                replicas: [
                    Location {
                        provider: "aws",
                        region: "eu-west-1",
                        zone: None,
                    },
                    Location {
                        provider: "onprem",
                        region: "berlin",
                        zone: None,
                    },
                ],
                allowed_regions: [
                    "eu-west-1",
                    "berlin",
                    "gcp/europe-west4",
                ],
            },
        )
    "#]],
    );
    expect![[r#"
        Name: "imagenet"
        Version: "v2"
        Size: "150Gi"
        Replicas: "aws/eu-west-1,onprem/berlin"
        Age: "0s"
        Allowed Regions: "eu-west-1,berlin,gcp/europe-west4""#]]
    .assert_eq(&row(kind, &object(kind, samples::DATASET), NOW));
    check_read(
        kind,
        "
metadata: {name: d, namespace: a}
spec: {size: 1, replicas: [{provider: aws, region: x}, {provider: aws, region: eu}], allowedRegions: [eu]}
",
        &expect![[r#"spec.replicas[0]: Invalid value: "aws/x": must be one of allowedRegions"#]],
    );
    check_read(
        kind,
        "
metadata: {name: d, namespace: a}
spec: {size: -1, replicas: [{region: r}, {provider: aws, region: x}], allowedRegions: [{provider: aws}, eu]}
",
        &expect![[r#"
            spec.size: Invalid value: -1: must be greater than or equal to 0
            spec.replicas[0].provider: Required value
            spec.allowedRegions[0]: Invalid value: {"provider":"aws"}: must be a region such as "eu-west-1" or {provider: aws, region: eu-west-1}"#]],
    );
}

#[test]
fn price_books() {
    let kind = &price_book::KIND;
    check_read(
        kind,
        samples::PRICE_BOOK,
        &expect![[r#"
        PriceBook(
            PriceBookSpec {
                compute: [
                    GpuPrice {
                        place: Location {
                            provider: "aws",
                            region: "us-east-1",
                            zone: None,
                        },
                        gpu_model: GpuModel(
                            "A100",
                        ),
                        on_demand: MicroUsd(
                            5120000,
                        ),
                        spot: Some(
                            MicroUsd(
                                1910000,
                            ),
                        ),
                        interruptions_milli_per_hour: 50,
                        source: "list",
                        as_of: TimeMs(
                            1793491200000,
                        ),
                    },
                    GpuPrice {
                        place: Location {
                            provider: "aws",
                            region: "us-east-1",
                            zone: Some(
                                "us-east-1a",
                            ),
                        },
                        gpu_model: GpuModel(
                            "A100",
                        ),
                        on_demand: MicroUsd(
                            5000000,
                        ),
                        spot: None,
                        interruptions_milli_per_hour: 0,
                        source: "",
                        as_of: TimeMs(
                            1794312000000,
                        ),
                    },
                ],
                egress: [
                    EgressPrice {
                        from: Location {
                            provider: "aws",
                            region: "us-east-1",
                            zone: None,
                        },
                        to: Location {
                            provider: "gcp",
                            region: "us-central1",
                            zone: None,
                        },
                        per_gib: MicroUsd(
                            90000,
                        ),
                        mbps: 2500,
                        source: "list",
                        as_of: TimeMs(
                            1792454400000,
                        ),
                    },
                ],
            },
        )
    "#]],
    );
    expect![[r#"
        Name: "sample"
        Compute: 2
        Egress: 1
        Oldest: "31d"
        Age: "0s""#]]
    .assert_eq(&row(kind, &object(kind, samples::PRICE_BOOK), NOW));
    check_read(
        kind,
        "
metadata: {name: b}
spec:
  compute:
  - {provider: aws, region: r, gpuModel: A, onDemand: '-1', asOf: yesterday}
  - {provider: aws, region: r, gpuModel: A, onDemand: 'NaN', spot: '1.0000001', interruptionsPerHour: -1}
  egress: [{from: {provider: a, region: b}, to: {}, perGiB: '0.09', gbps: 0}]
",
        &expect![[r#"
            spec.compute[0].onDemand: Invalid value: "-1": must be greater than or equal to 0
            spec.compute[0].asOf: Invalid value: "yesterday": must be a day such as 2026-01-31 or an RFC 3339 time such as 2026-01-31T09:30:00Z
            spec.compute[1].onDemand: Invalid value: "NaN": must be a decimal amount in USD such as "12.34"
            spec.compute[1].spot: Invalid value: "1.0000001": must have at most 6 decimals
            spec.compute[1].interruptionsPerHour: Invalid value: -1: must be greater than or equal to 0
            spec.compute[1]: Duplicate value: "aws/r A"
            spec.egress[0].gbps: Invalid value: 0: must be greater than 0
            spec.egress[0].to.provider: Required value
            spec.egress[0].to.region: Required value"#]],
    );
}

#[test]
fn a_price_that_is_a_number_is_refused_with_the_reason() {
    let text = samples::PRICE_BOOK.replace("'5.12'", "5.12");
    let resource = &price_book::KIND.resource;
    let refused = crate::validate::decode(
        resource,
        text.as_bytes(),
        document::Encoding::Yaml,
        crate::validate::FieldValidation::Ignore,
    );
    let status = refused.unwrap_err();
    assert_eq!(status.code, 422);
    expect![[r#"PriceBook.muster.sh "sample" is invalid: spec.compute[0].onDemand: Invalid value: "number": spec.compute[0].onDemand in body must be of type string: "number" (a JSON number is a binary fraction, which cannot hold most amounts of money exactly: put it in quotes, such as "12.34")"#]].assert_eq(&status.message);
}

#[test]
fn runs() {
    let kind = &run::KIND;
    expect![[r#"{"apiVersion":"muster.sh/v1alpha1","kind":"Run","metadata":{"name":"train-1000000000009","namespace":"team-a","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","resourceVersion":"8","creationTimestamp":"2026-11-20T10:44:05Z"},"spec":{"job":"train","epoch":"281474976710665","cluster":"onprem-a"},"status":{"phase":"Failed","start":"2026-11-20T10:44:05Z","end":"2026-11-20T10:45:35Z","exitCode":3,"cost":[{"line":"compute","amount":"1.25"},{"line":"egress","amount":"0.09"}],"lostGpuSeconds":61}}"#]].assert_eq(&shown(kind, &samples::run()));
    expect![[r#"
        Name: "train-1000000000009"
        Job: "train"
        Cluster: "onprem-a"
        Phase: "Failed"
        Epoch: "281474976710665"
        Cost: "1.34"
        Duration: "90s"
        Age: "60m"
        Exit Code: "3"
        Lost GPU Time: "61s""#]]
    .assert_eq(&row(kind, &samples::run(), TimeMs(NOW.0 + 3_600_000)));
}

fn pod(phase: PodPhase) -> PodMirror {
    PodMirror {
        namespace: "team-a".to_owned(),
        name: "train-1-abcde".to_owned(),
        job: "train".to_owned(),
        job_uid: UID,
        epoch: 9,
        index: Some(1),
        labels: vec![("app".to_owned(), "train".to_owned())],
        cluster: "onprem-a".to_owned(),
        node: "node-0".to_owned(),
        container: "main".to_owned(),
        phase,
        started: Some(NOW),
        version: (2 << 40) | 7,
        ..PodMirror::default()
    }
}

#[test]
fn pods() {
    let text = |pod: &PodMirror| {
        let mut out = String::new();
        pod_into(&mut out, pod);
        out
    };
    expect![[r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"train-1-abcde","namespace":"team-a","uid":"766f3578-ee05-9ad3-2cc4-ea36bd41f8ba","resourceVersion":"2199023255559","creationTimestamp":"2026-11-20T10:44:05Z","labels":{"app":"train","batch.kubernetes.io/controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","batch.kubernetes.io/job-completion-index":"1","batch.kubernetes.io/job-name":"train","controller-uid":"0a1b2c3d-0000-4000-8000-0000000000ff","job-name":"train","muster.sh/cluster":"onprem-a"},"annotations":{"muster.sh/epoch":"9","batch.kubernetes.io/job-completion-index":"1"},"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"train","uid":"0a1b2c3d-0000-4000-8000-0000000000ff","controller":true,"blockOwnerDeletion":true}]},"spec":{"restartPolicy":"Never","nodeName":"node-0","containers":[{"name":"main"}]},"status":{"phase":"Running","startTime":"2026-11-20T10:44:05Z","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-20T10:44:05Z"}],"containerStatuses":[{"name":"main","image":"","imageID":"","ready":true,"started":true,"restartCount":0,"state":{"running":{"startedAt":"2026-11-20T10:44:05Z"}}}]}}"#]].assert_eq(&text(&pod(PodPhase::Running)));
    let killed = PodMirror { signal: Some(9), finished: Some(NOW), ..pod(PodPhase::Failed) };
    let shown: Value = serde_json::from_str(&text(&killed)).unwrap();
    expect![[r#"{"conditions":[{"lastTransitionTime":"2026-11-20T10:44:05Z","status":"False","type":"Ready"}],"containerStatuses":[{"image":"","imageID":"","name":"main","ready":false,"restartCount":0,"started":false,"state":{"terminated":{"exitCode":137,"finishedAt":"2026-11-20T10:44:05Z","reason":"Error","signal":9,"startedAt":"2026-11-20T10:44:05Z"}}}],"phase":"Failed","startTime":"2026-11-20T10:44:05Z"}"#]].assert_eq(&shown["status"].to_string());
    let waiting = PodMirror { started: None, ..pod(PodPhase::Pending) };
    let shown: Value = serde_json::from_str(&text(&waiting)).unwrap();
    expect![[r#"{"waiting":{"reason":"ContainerCreating"}}"#]]
        .assert_eq(&shown["status"]["containerStatuses"][0]["state"].to_string());
    for (pod, want) in [
        (
            pod(PodPhase::Running),
            json!(["train-1-abcde", "1/1", "Running", "0", "60s", "<none>", "node-0", "onprem-a", "<none>"]),
        ),
        (
            killed,
            json!(["train-1-abcde", "0/1", "Error", "0", "60s", "<none>", "node-0", "onprem-a", "<none>"]),
        ),
        (
            waiting,
            json!([
                "train-1-abcde",
                "0/1",
                "Pending",
                "0",
                "<unknown>",
                "<none>",
                "node-0",
                "onprem-a",
                "<none>"
            ]),
        ),
    ] {
        let cells = pod_cells(&pod, TimeMs(NOW.0 + 60_000));
        assert_eq!(Value::Array(cells), want);
    }
}
