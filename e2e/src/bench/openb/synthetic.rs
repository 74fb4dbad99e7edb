//! A small made-up cluster and queue with what makes the real one hard: fractions of GPUs, Nodes of several shapes, pods
//! that need more CPU or memory than their share, and pods that insist on a model.

use muster_model::{GpuModel, NodeShape, Nodes, Resources};
use muster_placement::Ask;

use super::trace::Trace;

/// 40 Nodes with 200 GPUs, and 230 pods.
pub fn synthetic() -> Trace {
    let shape = |model: &str, nodes, gpus: u64, cores, gib| NodeShape {
        gpu_model: Some(GpuModel::new(model)),
        allocatable: resources(gpus * 1000, cores, gib),
        nodes,
    };
    let nodes = Nodes::new(vec![
        shape("large", 16, 8, 96, 384),
        shape("small", 20, 2, 104, 512),
        shape("lean", 4, 8, 64, 256),
    ]);
    let pods = |count, gpu_milli, cores, gib, model: &str| {
        let models = if model.is_empty() { Vec::new() } else { vec![GpuModel::new(model)] };
        std::iter::repeat_n(Ask { request: resources(gpu_milli, cores, gib), models }, count)
    };
    let pods = [
        pods(70, 1000, 11, 48, ""),
        pods(12, 1000, 24, 32, ""),
        pods(30, 800, 3, 6, ""),
        pods(40, 470, 10, 40, ""),
        pods(30, 300, 4, 16, ""),
        pods(6, 1000, 8, 30, "large"),
        pods(4, 8000, 80, 300, ""),
        pods(8, 2000, 20, 60, ""),
        pods(30, 0, 14, 50, ""),
    ];
    Trace { nodes, pods: pods.into_iter().flatten().collect() }
}

fn resources(gpu_milli: u64, cores: u64, gib: u64) -> Resources {
    Resources { gpu_milli, cpu_milli: cores * 1000, memory_bytes: gib << 30 }
}
