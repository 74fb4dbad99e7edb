//! Opens the backend that a member's entry names.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use muster_model::Backend as BackendKind;

use super::Backend;
use super::process::{ProcessBackend, ProcessConfig, ShimCommand};
use super::simulated::SimulatedBackend;
use crate::shim::clock::SystemClock;
use crate::shim::isolation::IsolationRequest;

/// The backend of this kind on a state folder.
pub(crate) fn open_backend(
    kind: BackendKind,
    shim: &ShimCommand,
    state: &Path,
) -> anyhow::Result<Arc<dyn Backend>> {
    Ok(match kind {
        BackendKind::Process => Arc::new(ProcessBackend::open(ProcessConfig {
            state: state.to_owned(),
            shim: shim.clone(),
            log_cap_bytes: ProcessConfig::LOG_CAP_BYTES,
            isolation: IsolationRequest::Auto,
        })?),
        BackendKind::Simulated => Arc::new(SimulatedBackend::open(state, Arc::new(SystemClock))?),
        BackendKind::Kubernetes => {
            bail!("backend: this version runs `process` and `simulated` members, not `kubernetes`")
        }
    })
}
