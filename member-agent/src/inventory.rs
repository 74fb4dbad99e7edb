//! What the member has: by its entry in the members file, or what NVML and the kernel see.

use std::collections::BTreeMap;

use muster_model::{
    Backend, CapacityChange, ClusterSpec, GpuModel, GpuSource, Incarnation, Location, MemberName, NodeShape,
    PriceClass, Resources,
};
use nvml_wrapper::Nvml;

/// One entry of a members file, read by the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEntry {
    /// How the member describes itself when it joins.
    pub spec: ClusterSpec,
    /// Its Nodes by shape; empty: this machine, as it is found.
    pub nodes: Vec<NodeShape>,
}

/// A member without an entry: on premises, in a site of its own name.
pub(crate) fn default_spec(name: &str) -> ClusterSpec {
    ClusterSpec {
        location: Location::region("onprem", name),
        price_class: PriceClass::OnPrem,
        backend: Backend::Process,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        unschedulable: false,
        transfer_bytes_per_second: None,
    }
}

/// The member's capacity. GPUs of an entry are declared, not looked for, and labelled so.
pub(crate) fn capacity(
    member: &MemberName,
    incarnation: Incarnation,
    entry: Option<&MemberEntry>,
    can_fence: bool,
) -> CapacityChange {
    let declared = entry.map(|entry| entry.nodes.clone()).filter(|nodes| !nodes.is_empty());
    let (shapes, gpu_source) = match declared {
        Some(nodes) => (nodes, GpuSource::Simulated),
        None => (vec![this_machine()], GpuSource::Nvml),
    };
    CapacityChange {
        member: member.clone(),
        incarnation,
        shapes,
        agent_version: env!("CARGO_PKG_VERSION").into(),
        gpu_source,
        can_fence,
    }
}

fn this_machine() -> NodeShape {
    let (gpu_model, gpus) = gpus().unwrap_or_else(|error| {
        tracing::info!(%error, "no GPUs by NVML");
        (None, 0)
    });
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    NodeShape {
        gpu_model,
        allocatable: Resources {
            gpu_milli: gpus * 1000,
            cpu_milli: cpus * 1000,
            memory_bytes: memory_bytes().unwrap_or(0),
        },
        nodes: 1,
    }
}

/// The model that most GPUs have, and how many have it. One Node has one model here: the others stay unused.
fn gpus() -> Result<(Option<GpuModel>, u64), nvml_wrapper::error::NvmlError> {
    let nvml = Nvml::init()?;
    let mut models = BTreeMap::<String, u64>::new();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        tracing::info!(index, name = device.name()?, memory_bytes = device.memory_info()?.total, "GPU found");
        *models.entry(product(&device.name()?)).or_default() += 1;
    }
    let most = models.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.map_or((None, 0), |(model, count)| (Some(GpuModel::new(model)), count)))
}

/// The product as GPU feature discovery labels it: `NVIDIA A100-SXM4-80GB` becomes `NVIDIA-A100-SXM4-80GB`.
fn product(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_an_entry_is_one_node_as_it_is_found() {
        let incarnation = Incarnation { folder: 1, boot: 2 };
        let found = capacity(&MemberName::new("m"), incarnation, None, true);
        assert_eq!(found.shapes.len(), 1);
        assert!(found.shapes[0].allocatable.cpu_milli >= 1000);
        assert!(found.shapes[0].allocatable.memory_bytes > 1 << 20);
        assert_eq!(product("NVIDIA A100-SXM4-80GB"), "NVIDIA-A100-SXM4-80GB");
    }
}
