//! Faults of a replica's disk.

use muster_consensus::log_store::{DiskFault, MemoryDisk};

use super::Undo;
use super::target::Target;
use crate::sim::operator::Care;
use crate::sim::replica::Replica;
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_disk(&mut self, fault: &Fault, target: &Target) -> Option<Undo> {
        match fault.kind {
            FaultKind::ReplicaPower => self.kill_replica(target.replica, true, fault.lasts),
            FaultKind::AllPower => self.kill_all(fault.lasts),
            FaultKind::DiskFull => self.break_disk(target.replica, DiskFault::Full),
            FaultKind::FsyncFails => self.break_disk(target.replica, DiskFault::FailedSync),
            FaultKind::WriteTorn => self.die_at_write(target.replica, true),
            FaultKind::WriteLate => self.die_at_write(target.replica, false),
            FaultKind::DiskSlow => {
                self.replicas[target.replica].process.as_ref()?;
                self.replicas[target.replica].slow_ms = fault.pick % 700 + 50;
                Some(Undo::Quicken(target.replica))
            }
            FaultKind::LogDamaged => self.damage(target.replica, fault, MemoryDisk::flip_log),
            FaultKind::SnapshotDamaged => self.damage(target.replica, fault, MemoryDisk::flip_snapshot),
            FaultKind::ReplicaWiped => self.take_folder(target.replica, Care::Wipe),
            FaultKind::ReplicaOlderFolder => self.take_folder(target.replica, Care::Older),
            _ => None,
        }
    }

    /// The next write reaches the disk, or it does not; nobody hears of it.
    fn die_at_write(&mut self, replica: usize, power_lost: bool) -> Option<Undo> {
        let process = self.replicas[replica].process.as_mut()?;
        process.dies_at_write = Some(power_lost);
        self.break_disk(replica, DiskFault::FailedSync)
    }

    /// The machine goes down, and its disk does not keep what it was given. One replica at a time: with two of them the hub
    /// would be gone.
    fn damage(&mut self, replica: usize, fault: &Fault, flip: fn(&MemoryDisk, u64) -> bool) -> Option<Undo> {
        self.may_lose_folder(replica)?;
        if !flip(&self.replicas[replica].disk, fault.pick) {
            return None;
        }
        self.replicas[replica].care = Some(Care::Damaged);
        self.kill_replica(replica, true, fault.lasts.min(5_000))
    }

    fn take_folder(&mut self, replica: usize, care: Care) -> Option<Undo> {
        self.may_lose_folder(replica)?;
        if care == Care::Older && self.replicas[replica].older.is_none() {
            // A copy is made now; a later fault of this kind brings it back.
            self.replicas[replica].older = Some(self.replicas[replica].disk.copy());
            return None;
        }
        self.stop_replica(replica, true);
        self.replicas[replica].care = Some(care);
        self.call_operator(replica);
        Some(Undo::Nothing)
    }

    /// Whether all replicas run and none waits for an operator.
    fn may_lose_folder(&self, replica: usize) -> Option<()> {
        let whole = |node: &Replica| node.care.is_none();
        (self.replicas[replica].process.is_some() && self.replicas.iter().all(whole)).then_some(())
    }

    pub(super) fn break_disk(&mut self, replica: usize, fault: DiskFault) -> Option<Undo> {
        self.replicas[replica].process.as_ref()?;
        self.replicas[replica].disk.inject(fault);
        Some(Undo::Nothing)
    }
}
