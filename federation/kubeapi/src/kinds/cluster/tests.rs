use std::cell::Cell;

use expect_test::{Expect, expect};
use muster_model::{
    Cluster, GpuModel, GpuSource, MemberName, NodeShape, Nodes, Object, Readiness, Resources, Spec,
    Status as State, TimeMs,
};
use serde_json::Value;

use super::{KIND, cluster_document};
use crate::kinds::samples::{CLUSTER, NOW, admitted, object, reading, row, status};
use crate::kinds::{Lease, Live, render};

fn check_read(text: &str, want: &Expect) {
    want.assert_eq(&reading(&KIND, text));
}

#[test]
fn a_member_is_read() {
    check_read(
        CLUSTER,
        &expect![[r#"
        Cluster(
            ClusterSpec {
                location: Location {
                    provider: "aws",
                    region: "us-east-1",
                    zone: Some(
                        "us-east-1a",
                    ),
                },
                price_class: Spot,
                backend: Process,
                labels: {
                    "muster.sh/price-class": "spot",
                    "muster.sh/provider": "aws",
                    "team": "ml",
                    "tier": "fast",
                    "topology.kubernetes.io/region": "us-east-1",
                    "topology.kubernetes.io/zone": "us-east-1a",
                },
                taints: [
                    Taint {
                        key: "spot",
                        value: "true",
                        effect: NoSchedule,
                    },
                ],
                unschedulable: false,
                transfer_bytes_per_second: None,
            },
        )
    "#]],
    );
    check_read(
        "metadata: {name: site}\nspec: {location: {site: berlin}}\n",
        &expect![[r#"
        Cluster(
            ClusterSpec {
                location: Location {
                    provider: "onprem",
                    region: "berlin",
                    zone: None,
                },
                price_class: OnPrem,
                backend: Process,
                labels: {
                    "muster.sh/price-class": "onPrem",
                    "muster.sh/provider": "onprem",
                    "topology.kubernetes.io/region": "berlin",
                },
                taints: [],
                unschedulable: false,
                transfer_bytes_per_second: None,
            },
        )
    "#]],
    );
}

#[test]
fn what_is_wrong_is_told_by_field() {
    check_read(
        "metadata: {name: m}\n",
        &expect![[r#"
        spec.location.provider: Required value
        spec.location.region: Required value"#]],
    );
    check_read(
        "
metadata: {name: m}
spec:
  location: {provider: a b, region: r}
  labels: {a: 'not ok'}
  taints: [{key: '', effect: NoSchedule}]
  nodes: [{count: -1, cpu: '-1', memory: 99Ei, gpu: {model: '', count: 1}}]
",
        &expect![[r#"
            spec.location.provider: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.labels: Invalid value: "not ok": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.taints[0].key: Invalid value: "": name part must be non-empty
            spec.taints[0].key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.nodes[0].count: Invalid value: -1: must be greater than or equal to 0
            spec.nodes[0].gpu.model: Required value: such as NVIDIA-A100-SXM4-80GB
            spec.nodes[0].cpu: Invalid value: "-1": must be greater than or equal to 0
            spec.nodes[0].memory: Invalid value: "99Ei": is too large"#]],
    );
}

#[test]
fn a_document_made_from_a_spec_reads_as_that_spec() {
    let Spec::Cluster(spec) = admitted(&KIND, CLUSTER).unwrap().spec else { panic!("a cluster") };
    let document = cluster_document(&spec);
    let text = format!("{{\"metadata\":{{\"name\":\"m\",{}}},{}}}", document.metadata, document.body);
    assert_eq!(admitted(&KIND, &text).unwrap().spec, Spec::Cluster(spec));
}

fn connected() -> Object {
    let mut object = object(&KIND, CLUSTER);
    let State::Cluster(cluster) = &mut object.status else { panic!("a cluster") };
    let Cluster { status, .. } = &mut **cluster;
    status.joined_at = Some(NOW);
    status.ready = Readiness::Ready { since: TimeMs(NOW.0 + 1000) };
    status.agent_version = "0.1.0".into();
    status.gpu_source = GpuSource::Nvml;
    status.can_fence = true;
    let allocatable = Resources { gpu_milli: 8_000, cpu_milli: 96_000, memory_bytes: 1 << 40 };
    let a100 = Some(GpuModel::new("NVIDIA-A100-SXM4-80GB"));
    let shape = NodeShape { gpu_model: a100, allocatable, nodes: 3 };
    let cpu = NodeShape { gpu_model: None, allocatable: Resources { gpu_milli: 0, ..allocatable }, nodes: 1 };
    status.nodes = Nodes::new(vec![shape, cpu]);
    assert!(status.nodes.take(1, &Resources { gpu_milli: 6_000, ..Resources::default() }));
    object
}

#[test]
fn status_tells_contact_and_capacity() {
    expect![[r#"
        {
          "agentVersion": "0.1.0",
          "capacity": [
            {
              "free": 18,
              "model": "NVIDIA-A100-SXM4-80GB",
              "shapes": [
                {
                  "gpus": 8,
                  "nodes": 2
                },
                {
                  "gpus": 2,
                  "nodes": 1
                }
              ],
              "total": 24
            }
          ],
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:06Z",
              "message": "The agent renews its lease",
              "reason": "LeaseHeld",
              "status": "True",
              "type": "Ready"
            },
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "An agent joined under this name",
              "reason": "TokenAccepted",
              "status": "True",
              "type": "Joined"
            }
          ],
          "gpuSource": "nvml"
        }"#]]
    .assert_eq(&status(&KIND, &connected()));
    expect![[r#"
        {
          "capacity": [],
          "conditions": [
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "No agent has connected under this name",
              "reason": "NeverConnected",
              "status": "Unknown",
              "type": "Ready"
            },
            {
              "lastTransitionTime": "2026-11-20T10:44:05Z",
              "message": "Join it with the line that `muster cluster join` prints",
              "reason": "NotJoined",
              "status": "False",
              "type": "Joined"
            }
          ]
        }"#]]
    .assert_eq(&status(&KIND, &object(&KIND, CLUSTER)));
}

#[test]
fn the_lease_is_what_the_hub_knows_now() {
    let asked = Cell::new(0);
    let lease = |member: &MemberName| {
        asked.set(asked.get() + 1);
        (member.as_str() == "aws-use1-spot")
            .then_some(Lease { renewed_at: NOW, expires_at: TimeMs(NOW.0 + 10_000) })
    };
    let live = Live { lease: Some(&lease), now: None };
    let shown: Value = serde_json::from_str(&render::object(&KIND, &connected(), &live)).unwrap();
    assert_eq!(shown["status"]["lease"]["renewedAt"], "2026-11-20T10:44:05Z");
    assert_eq!(shown["status"]["lease"]["expiresAt"], "2026-11-20T10:44:15Z");
    assert_eq!(asked.get(), 1);
}

#[test]
fn the_row_of_a_member() {
    expect![[r#"
        Name: "aws-use1-spot"
        Location: "aws/us-east-1/us-east-1a"
        Price: "spot"
        GPUs: "18/24"
        Ready: "Ready"
        Age: "60s"
        Models: "NVIDIA-A100-SXM4-80GB 18/24"
        Nodes: "4"
        Backend: "process"
        Agent: "0.1.0"
        Fencing: "yes"
        Taints: "spot=true:NoSchedule""#]]
    .assert_eq(&row(&KIND, &connected(), TimeMs(NOW.0 + 60_000)));
}
