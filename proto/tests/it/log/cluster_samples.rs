//! Samples of members, for the golden files.

use muster_model::*;

use super::samples::{a100, at, eight_gpus, incarnation};

pub fn cluster() -> Cluster {
    Cluster {
        spec: cluster_spec(),
        status: ClusterStatus {
            joined_at: Some(at(1)),
            certificates_from: at(1),
            ready: Readiness::Lapsed { since: at(50) },
            incarnation: Some(incarnation()),
            nodes: Nodes {
                shapes: shapes(),
                free: vec![
                    NodeFree { shape: 0, free: Resources { gpu_milli: 500, cpu_milli: 1, memory_bytes: 0 } },
                    NodeFree { shape: 1, free: Resources::default() },
                ],
            },
            overcommitted: true,
            agent_version: "0.1.0".into(),
            gpu_source: GpuSource::Kubernetes,
            can_fence: true,
            draining: false,
            drains: Vec::new(),
        },
    }
}

pub fn cluster_spec() -> ClusterSpec {
    ClusterSpec {
        location: Location { zone: Some("us-east-1a".into()), ..Location::region("aws", "us-east-1") },
        price_class: PriceClass::Spot,
        backend: Backend::Process,
        labels: [("disk", "nvme"), ("tier", "gold")].map(|(k, v)| (k.into(), v.into())).into(),
        taints: vec![Taint {
            key: "spot".into(),
            value: "true".into(),
            effect: TaintEffect::PreferNoSchedule,
        }],
        unschedulable: true,
        transfer_bytes_per_second: None,
    }
}

pub fn shapes() -> Vec<NodeShape> {
    let cpu_only = Resources { gpu_milli: 0, cpu_milli: 64_000, memory_bytes: 256 << 30 };
    vec![
        NodeShape { gpu_model: Some(a100()), allocatable: eight_gpus(), nodes: 1 },
        NodeShape { gpu_model: None, allocatable: cpu_only, nodes: 1 },
    ]
}
