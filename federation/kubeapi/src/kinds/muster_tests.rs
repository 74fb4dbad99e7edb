//! Reading and showing of Placement, Dataset and PriceBook.

use expect_test::{Expect, expect};

use super::samples::{self, NOW, object, reading, row};
use super::*;
use crate::document;

fn check_read(kind: &StoredKind, text: &str, want: &Expect) {
    want.assert_eq(&reading(kind, text));
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
                partial: [],
                digest: None,
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
        &format!(
            "
metadata: {{name: d, namespace: a}}
spec: {{version: 'v/1', size: 10, digest: 'sha256:{0}'}}
",
            "ab".repeat(31)
        ),
        &expect![[r#"
            spec.version: Invalid value: "v/1": of a dataset with a digest must be 1 to 63 letters, digits, '.', '_' and '-', and not begin with '.'
            spec.digest: Invalid value: "sha256:ababababababababababababababababababababababababababababababab": must be sha256: and 64 hexadecimal digits, as `muster dataset digest FOLDER` prints it"#]],
    );
    check_read(
        kind,
        &format!(
            "
metadata: {{name: d, namespace: a}}
spec: {{version: v1, size: 10, digest: 'sha256:{0}', replicas: [{{provider: aws, region: x, held: 4}}]}}
",
            "ab".repeat(32)
        ),
        &expect![[r#"
            Dataset(
                DatasetSpec {
                    version: "v1",
                    size_bytes: 10,
                    replicas: [],
                    allowed_regions: [],
                    partial: [
                        PartialReplica {
                            place: Location {
                                provider: "aws",
                                region: "x",
                                zone: None,
                            },
                            held_bytes: 4,
                        },
                    ],
                    digest: Some(
                        sha256:abababababababababababababababababababababababababababababababab,
                    ),
                },
            )
        "#]],
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
                        held: None,
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
                        held: None,
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
                        held: None,
                    },
                ],
                max_age: None,
            },
        )
    "#]],
    );
    expect![[r#"
        Name: "sample"
        Compute: 2
        Egress: 1
        Oldest: "31d"
        Held: "0"
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
