//! Members.

use muster_model::{
    Backend, Cluster, ClusterSpec, ClusterStatus, GpuSource, Incarnation, NodeFree, NodeShape, Nodes,
    PriceClass, Readiness, TimeMs,
};

use super::FieldError;
use super::durable::{Durable, value};
use super::pb::{self, readiness};

durable_enums! {
    PriceClass { OnPrem, OnDemand, Spot }
    Backend { Process, Simulated, Kubernetes }
    GpuSource { Nvml, Simulated, Kubernetes }
}

durable_structs! {
    Cluster => Cluster { spec: spec required, status: status required }
    ClusterSpec => ClusterSpec {
        location: location required,
        price_class: price_class,
        backend: backend,
        labels: labels,
        taints: taints,
        unschedulable: unschedulable,
        transfer_bytes_per_second: transfer_bytes_per_second,
    }
    ClusterStatus => ClusterStatus {
        joined_at: joined_at_ms,
        certificates_from: certificates_from_ms,
        ready: ready required,
        incarnation: incarnation,
        nodes: nodes required,
        overcommitted: overcommitted,
        agent_version: agent_version,
        gpu_source: gpu_source,
        can_fence: can_fence,
        draining: draining,
        drains: drains,
    }
    Incarnation => Incarnation { folder: folder, boot: boot }
    NodeShape => NodeShape { gpu_model: gpu_model, allocatable: allocatable required, nodes: nodes }
    NodeFree => NodeFree { shape: shape, free: free required }
}

impl Durable for Nodes {
    type Form = pb::Nodes;

    fn form(&self) -> pb::Nodes {
        pb::Nodes { shapes: self.shapes.form(), free: self.free.form() }
    }

    /// Whoever holds `Nodes` looks a Node's shape up without asking whether it is there.
    fn read(form: pb::Nodes) -> Result<Nodes, FieldError> {
        let nodes = Nodes { shapes: value("shapes", form.shapes)?, free: value("free", form.free)? };
        match nodes.free.iter().position(|node| usize::from(node.shape) >= nodes.shapes.len()) {
            None => Ok(nodes),
            Some(i) => {
                let problem =
                    format!("is {}, and there are {} shapes", nodes.free[i].shape, nodes.shapes.len());
                Err(FieldError::new(problem).inside(&format!("free[{i}].shape")))
            }
        }
    }
}

impl Durable for Readiness {
    type Form = pb::Readiness;

    fn form(&self) -> pb::Readiness {
        let since = |at: &TimeMs| readiness::Since { since_ms: at.0 };
        let state = match self {
            Readiness::Unknown => readiness::State::Unknown(readiness::Unknown {}),
            Readiness::Ready { since: at } => readiness::State::Ready(since(at)),
            Readiness::Lapsed { since: at } => readiness::State::Lapsed(since(at)),
        };
        pb::Readiness { state: Some(state) }
    }

    fn read(form: pb::Readiness) -> Result<Readiness, FieldError> {
        match form.state.ok_or_else(|| FieldError::missing("state"))? {
            readiness::State::Unknown(readiness::Unknown {}) => Ok(Readiness::Unknown),
            readiness::State::Ready(ready) => Ok(Readiness::Ready { since: TimeMs(ready.since_ms) }),
            readiness::State::Lapsed(lapsed) => Ok(Readiness::Lapsed { since: TimeMs(lapsed.since_ms) }),
        }
    }
}
