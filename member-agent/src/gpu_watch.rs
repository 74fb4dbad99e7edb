//! Which GPUs do not work: looked at while the agent runs, so that what failed is out of the hub's books within seconds.
//!
//! ```text
//!  NVML, or a file --every 2 s--> GpuWatch --changed--> machine: starts nothing there; hub: so much less is free
//! ```
//!
//! A GPU of this machine has failed when NVML does not find it any more, cannot talk to it, or counts uncorrected ECC errors
//! since the driver was loaded. GPUs that are only declared fail when the file `failed-gpus` of the state folder names them,
//! by the numbers of Node and GPU, one a line: for rehearsals. What runs on a failed GPU is left alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster_member_machine::{Input, capacity_without};
use muster_model::{CapacityChange, GpuSource};
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};
use nvml_wrapper::error::NvmlError;
use tokio::sync::mpsc;

use crate::agent::Event;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of declared GPUs: which have failed.
const FILE: &str = "failed-gpus";

/// The positions of Node and GPU.
type Places = BTreeSet<(u32, u32)>;

/// Looks at the GPUs now and then.
pub(crate) struct GpuWatch {
    whole: CapacityChange,
    file: PathBuf,
    events: mpsc::UnboundedSender<Event>,
}

impl GpuWatch {
    /// Of the capacity that the agent found at its start.
    pub(crate) fn new(whole: CapacityChange, state: &Path, events: mpsc::UnboundedSender<Event>) -> GpuWatch {
        GpuWatch { whole, file: state.join(FILE), events }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let mut known = Places::new();
        let uuids = match self.whole.gpu_source {
            GpuSource::Nvml => tokio::task::block_in_place(uuids).unwrap_or_default(),
            GpuSource::Simulated | GpuSource::Kubernetes => Vec::new(),
        };
        loop {
            let failed = tokio::task::block_in_place(|| self.failed(&uuids));
            if let Some(failed) = failed.filter(|failed| *failed != known) {
                tracing::warn!(now = ?failed, before = ?known, "GPUs that do not work changed");
                let capacity = capacity_without(&self.whole, &failed);
                known = failed.clone();
                // The agent ends before this task does.
                let _ = self.events.send(Event::Input(Input::GpusFailed { gpus: failed }));
                let _ = self.events.send(Event::Input(Input::CapacityChanged(capacity)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// None if nobody can tell.
    fn failed(&self, uuids: &[String]) -> Option<Places> {
        match self.whole.gpu_source {
            GpuSource::Nvml if uuids.is_empty() => None,
            GpuSource::Nvml => failed_by_nvml(uuids).ok(),
            GpuSource::Simulated => {
                Some(std::fs::read_to_string(&self.file).map_or_else(|_| Places::new(), |text| places(&text)))
            }
            GpuSource::Kubernetes => None,
        }
    }
}

/// Lines `NODE GPU`; what is none is passed over, with a warning.
fn places(text: &str) -> Places {
    let place = |line: &str| {
        let (node, gpu) = line.split_once(char::is_whitespace)?;
        Some((node.trim().parse().ok()?, gpu.trim().parse().ok()?))
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            let found = place(line);
            if found.is_none() {
                tracing::warn!(line, "failed-gpus: a line is two numbers, of Node and GPU");
            }
            found
        })
        .collect()
}

fn uuids() -> Result<Vec<String>, NvmlError> {
    let nvml = Nvml::init()?;
    (0..nvml.device_count()?).map(|index| nvml.device_by_index(index)?.uuid()).collect()
}

/// The agent of a machine without a cluster is one Node.
fn failed_by_nvml(uuids: &[String]) -> Result<Places, NvmlError> {
    let nvml = Nvml::init()?;
    let fails = |uuid: &String| match nvml.device_by_uuid(uuid.as_str()) {
        Ok(device) => match device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile) {
            Ok(errors) => errors > 0,
            Err(NvmlError::NotSupported) => false,
            Err(_) => true,
        },
        Err(_) => true,
    };
    Ok((0..).zip(uuids).filter(|(_, uuid)| fails(uuid)).map(|(gpu, _)| (0, gpu)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_node_and_a_gpu_and_others_are_passed_over() {
        let found = places("0 3\n\n 12\t7 \nall of them\n1\n-1 2\n");
        assert_eq!(found, Places::from([(0, 3), (12, 7)]));
    }
}
