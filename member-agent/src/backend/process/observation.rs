//! What a pod's folder and `/proc` say together: running, ended or unknown.

use std::path::Path;

use super::leftovers;
use crate::backend::error::BackendError;
use crate::backend::folder::system;
use crate::backend::pod::{PodId, PodState};
use crate::shim::clock::{Clock, SystemClock};
use crate::shim::durable::{self, Durability};
use crate::shim::error::ShimError;
use crate::shim::identity::{Liveness, boot_id};
use crate::shim::isolation::Isolation;
use crate::shim::launch::take_lock;
use crate::shim::record::{ContainerStatus, ExitReason, ExitRecord, ShimRecord};
use crate::shim::spec::{CONTAINERS_FILE, EXIT_FILE, SHIM_FILE, ShimSpec};

/// A pod with what is needed to act on it.
pub(crate) struct Observation {
    pub(crate) spec: ShimSpec,
    pub(crate) shim: Option<ShimRecord>,
    pub(crate) state: PodState,
}

/// Looks at the folder `dir` of `pod`. An end that nobody recorded, but that is certain, is put on record here.
pub(crate) fn observe(pod: &PodId, dir: &Path) -> Result<Observation, BackendError> {
    let spec = ShimSpec::read(dir)?;
    if let Some(exit) = exit_record(dir)? {
        return Ok(Observation { spec, shim: None, state: PodState::Ended(exit) });
    }
    if spec.boot_id != boot_id().map_err(system("read the boot id"))? {
        // Records that need not survive a power failure may be torn after one, so they are not looked at.
        let state = settle(dir, ExitReason::Lost, "the machine was booted since")?;
        return Ok(Observation { spec, shim: None, state });
    }
    let Some(shim) = durable::read_json::<ShimRecord>(dir, SHIM_FILE)? else {
        let why = "its shim is starting, or never came up".to_owned();
        return Ok(Observation { spec, shim: None, state: PodState::Unknown { why } });
    };
    let state = match shim.shim.liveness().map_err(system("look at the shim"))? {
        Liveness::Alive => PodState::Running { started_at_ms: shim.started_at_ms },
        Liveness::Dead | Liveness::EarlierBoot => after_shim(pod, dir, &shim)?,
    };
    Ok(Observation { spec, shim: Some(shim), state })
}

/// The shim is gone. It may have left its record just now.
fn after_shim(pod: &PodId, dir: &Path, shim: &ShimRecord) -> Result<PodState, BackendError> {
    if let Some(exit) = exit_record(dir)? {
        return Ok(PodState::Ended(exit));
    }
    match shim.isolation {
        Isolation::PidNamespace => {
            settle(dir, ExitReason::Lost, "the shim was killed, and every process with it")
        }
        Isolation::Subreaper => {
            let left = leftovers::find(pod).len();
            let why = format!("its shim was killed; {left} marked processes are left, unmarked ones may be");
            Ok(PodState::Unknown { why })
        }
    }
}

/// How the containers of a pod stand. The last word of a shim that was killed says what was, not what is.
pub(crate) fn containers(dir: &Path, state: &PodState) -> Vec<ContainerStatus> {
    match state {
        PodState::Ended(exit) => exit.containers.clone(),
        PodState::Running { .. } | PodState::Unknown { .. } => {
            durable::read_json(dir, CONTAINERS_FILE).ok().flatten().unwrap_or_default()
        }
    }
}

/// How the pod ended, if that is on record.
pub(crate) fn exit_record(dir: &Path) -> Result<Option<ExitRecord>, ShimError> {
    durable::read_json(dir, EXIT_FILE)
}

/// Puts an end on record that the shim did not. Under the folder's lock: while it is held no shim can start, and
/// one that comes later finds the record and refuses.
pub(crate) fn settle(dir: &Path, reason: ExitReason, message: &str) -> Result<PodState, BackendError> {
    let Some(_lock) = take_lock(dir)? else {
        return Ok(PodState::Unknown { why: "its shim is starting or ending".to_owned() });
    };
    if let Some(exit) = exit_record(dir)? {
        return Ok(PodState::Ended(exit));
    }
    // Torn or absent: then the start is not known, which is what none says.
    let started = durable::read_json::<ShimRecord>(dir, SHIM_FILE).ok().flatten();
    let exit = ExitRecord {
        started_at_ms: started.map(|shim| shim.started_at_ms),
        finished_at_ms: SystemClock.now().real_ms,
        code: None,
        signal: None,
        reason,
        message: message.to_owned(),
        dropped_log_bytes: 0,
        containers: Vec::new(),
    };
    durable::write_json(dir, EXIT_FILE, &exit, Durability::Synced).map_err(system("write exit.json"))?;
    Ok(PodState::Ended(exit))
}
