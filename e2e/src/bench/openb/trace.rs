//! Nodes and pods as the trace's CSV files have them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use muster_model::{GpuModel, NodeShape, Nodes, Resources};
use muster_placement::Ask;

/// A cluster, and what was asked of it.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The Nodes, alike ones together, otherwise in order of the file.
    pub nodes: Nodes,
    /// What each pod asks for, in order of the file.
    pub pods: Vec<Ask>,
}

impl Trace {
    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or a line is not as the header says.
    pub fn read(nodes: &Path, pods: &Path) -> anyhow::Result<Trace> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let in_file = |path: &Path| format!("{} is no file of this trace", path.display());
        let nodes_text = text(nodes)?;
        let pods_text = text(pods)?;
        Trace::parse(&nodes_text, &pods_text)
            .with_context(|| format!("{}, or {}", in_file(nodes), in_file(pods)))
    }

    /// Takes both files' text.
    ///
    /// # Errors
    /// If a line is not as the header says.
    pub fn parse(nodes: &str, pods: &str) -> anyhow::Result<Trace> {
        let columns = ["cpu_milli", "memory_mib", "gpu", "model"];
        let mut shapes: Vec<NodeShape> = Vec::new();
        let mut known = BTreeMap::new();
        for [cpu, memory, gpus, model] in rows(nodes, columns)? {
            let allocatable = resources(cpu, memory, number(gpus)? * 1000)?;
            let gpu_model = (!model.is_empty()).then(|| GpuModel::new(model));
            let at = *known.entry((allocatable, gpu_model.clone())).or_insert(shapes.len());
            if at == shapes.len() {
                shapes.push(NodeShape { gpu_model, allocatable, nodes: 0 });
            }
            shapes[at].nodes += 1;
        }
        let columns = ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"];
        let pods = rows(pods, columns)?.into_iter().map(ask).collect::<Result<Vec<_>, _>>()?;
        if shapes.is_empty() || pods.iter().all(|pod| pod.request.gpu_milli == 0) {
            bail!("there are no Nodes, or no pods with GPUs");
        }
        Ok(Trace { nodes: Nodes::new(shapes), pods })
    }

    /// Thousandths of GPUs of all Nodes.
    pub fn gpu_milli(&self) -> u64 {
        self.nodes.free.iter().map(|node| node.free.gpu_milli).sum()
    }
}

/// One GPU may be asked for in part; several are whole.
fn ask([cpu, memory, gpus, milli, models]: [&str; 5]) -> anyhow::Result<Ask> {
    let gpu_milli = match number(gpus)? {
        0 => 0,
        1 => number(milli)?,
        gpus => gpus * 1000,
    };
    let mut models: Vec<GpuModel> =
        models.split('|').filter(|model| !model.is_empty()).map(GpuModel::new).collect();
    models.sort();
    Ok(Ask { request: resources(cpu, memory, gpu_milli)?, models })
}

fn resources(cpu: &str, memory: &str, gpu_milli: u64) -> anyhow::Result<Resources> {
    Ok(Resources { gpu_milli, cpu_milli: number(cpu)?, memory_bytes: number(memory)? << 20 })
}

fn number(text: &str) -> anyhow::Result<u64> {
    let number: u32 = text.parse().with_context(|| format!("{text:?} is no number"))?;
    Ok(u64::from(number))
}

/// The named columns of each line.
fn rows<'a, const N: usize>(text: &'a str, columns: [&str; N]) -> anyhow::Result<Vec<[&'a str; N]>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut at = [0; N];
    for (at, column) in at.iter_mut().zip(columns) {
        let found = header.iter().position(|name| *name == column);
        *at = found.with_context(|| format!("there is no column {column} in its header"))?;
    }
    let row = |(number, line): (usize, &'a str)| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |at: usize| cells.get(at).copied();
        let mut row = [""; N];
        for (cell_of_row, at) in row.iter_mut().zip(at) {
            *cell_of_row = cell(at).with_context(|| format!("line {} has too few columns", number + 2))?;
        }
        Ok(row)
    };
    lines.enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str =
        "sn,cpu_milli,memory_mib,gpu,model\na,8000,1024,2,T4\nb,4000,512,0,\nc,8000,1024,2,T4\n";
    const PODS: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n\
                        p,1000,10,1,250,,LS\nq,2000,20,2,1000,T4|A10,BE\nr,3000,30,0,0,,BE\n";

    #[test]
    fn files_are_read_by_the_names_of_their_columns() {
        let trace = Trace::parse(NODES, PODS).expect("a trace");
        assert_eq!(trace.nodes.shapes.iter().map(|shape| shape.nodes).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(trace.gpu_milli(), 4000);
        let gpus: Vec<u64> = trace.pods.iter().map(|pod| pod.request.gpu_milli).collect();
        assert_eq!(gpus, [250, 2000, 0]);
        assert_eq!(trace.pods[1].models, [GpuModel::new("A10"), GpuModel::new("T4")]);
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let error =
            |nodes: &str, pods: &str| format!("{:#}", Trace::parse(nodes, pods).expect_err("refused"));
        assert_eq!(error("a,b\n", PODS), "there is no column cpu_milli in its header");
        assert_eq!(error("sn,cpu_milli,memory_mib,gpu,model\nx,1\n", PODS), "line 2 has too few columns");
        assert!(error(&NODES.replace("8000", "much"), PODS).contains("\"much\" is no number"));
        assert_eq!(
            error(NODES, "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"),
            "there are no Nodes, or no pods with GPUs"
        );
    }
}
