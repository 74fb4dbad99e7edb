//! Faults of a replica's disk.

use muster_consensus::log_store::DiskFault;

use super::Undo;
use super::target::Target;
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_disk(&mut self, fault: &Fault, target: &Target) -> Option<Undo> {
        match fault.kind {
            FaultKind::ReplicaPower => self.kill_replica(target.replica, true, fault.lasts),
            FaultKind::AllPower => self.kill_all(fault.lasts),
            FaultKind::DiskFull => self.break_disk(target.replica, DiskFault::Full),
            FaultKind::FsyncFails => self.break_disk(target.replica, DiskFault::FailedSync),
            _ => None,
        }
    }

    pub(super) fn break_disk(&mut self, replica: usize, fault: DiskFault) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.replicas[replica].disk.inject(fault);
        Some(Undo::Nothing)
    }
}
