//! Members.

use muster_model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Of;
use super::words::*;

pub fn cluster_spec() -> Of<ClusterSpec> {
    let taint = each!(Taint { key: text(), value: text(), effect: taint_effect() });
    each!(ClusterSpec {
        location: location(),
        price_class: one_of![PriceClass::OnPrem, PriceClass::OnDemand, PriceClass::Spot],
        backend: one_of![Backend::Process, Backend::Simulated, Backend::Kubernetes],
        labels: proptest::collection::btree_map(text(), text(), 0..4),
        taints: vec(taint, 0..3),
        unschedulable: any::<bool>(),
        transfer_bytes_per_second: proptest::option::of(any::<u64>()),
    })
}

pub fn cluster() -> Of<Cluster> {
    let status = each!(ClusterStatus {
        joined_at: option::of(time()),
        certificates_from: time(),
        ready: readiness(),
        incarnation: option::of(incarnation()),
        nodes: nodes(),
        overcommitted: any::<bool>(),
        agent_version: text(),
        gpu_source: gpu_source(),
        can_fence: any::<bool>(),
        draining: any::<bool>(),
        drains: texts(),
    });
    each!(Cluster { spec: cluster_spec(), status: status })
}

pub fn readiness() -> Of<Readiness> {
    prop_oneof![
        Just(Readiness::Unknown),
        time().prop_map(|since| Readiness::Ready { since }),
        time().prop_map(|since| Readiness::Lapsed { since }),
    ]
    .boxed()
}

pub fn incarnation() -> Of<Incarnation> {
    each!(Incarnation { folder: any::<u128>(), boot: any::<u128>() })
}

pub fn gpu_source() -> Of<GpuSource> {
    one_of![GpuSource::Nvml, GpuSource::Simulated, GpuSource::Kubernetes]
}

pub fn node_shape() -> Of<NodeShape> {
    each!(NodeShape { gpu_model: option::of(gpu_model()), allocatable: resources(), nodes: any::<u32>() })
}

/// Nodes whose shapes are there.
pub fn nodes() -> Of<Nodes> {
    let free = |shapes: Vec<NodeShape>| {
        let shape = 0..shapes.len().max(1) as u16;
        let count = if shapes.is_empty() { 0..1 } else { 0..4 };
        let node = each!(NodeFree { shape: shape, free: resources() });
        vec(node, count).prop_map(move |free| Nodes { shapes: shapes.clone(), free })
    };
    vec(node_shape(), 0..3).prop_flat_map(free).boxed()
}
