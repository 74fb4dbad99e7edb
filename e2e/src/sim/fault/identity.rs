//! Faults of who a member is: certificates, folders, copies of them.

use super::Undo;
use super::target::Target;
use crate::sim::event::{Event, SPARE};
use crate::sim::member::Member;
use crate::sim::schedule::{Fault, FaultKind};
use crate::sim::workload::revoke;
use crate::sim::world::World;

impl World {
    pub(super) fn hurt_identity(&mut self, fault: &Fault, target: &Target) -> Option<Undo> {
        let member = target.member;
        if self.members[member].rejoins {
            return None;
        }
        match fault.kind {
            FaultKind::CertificateExpired => {
                self.members[member].certificate.until = muster_model::TimeMs(0);
                self.reset_streams(member);
                Some(Undo::Nothing)
            }
            FaultKind::CertificateRevoked => {
                self.members[member].rejoins = true;
                self.found(vec![revoke(member)]);
                self.queue.push(self.now + fault.lasts.min(8_000), Event::Rejoin { member });
                Some(Undo::Nothing)
            }
            FaultKind::MemberWiped => self.wipe_member(member, fault.lasts),
            FaultKind::MemberCloned => self.clone_member(member, target.number),
            _ => None,
        }
    }

    /// The folder is gone, and with it who the member was. What runs there goes on under its shims, and nobody knows of it.
    fn wipe_member(&mut self, member: usize, down_ms: u64) -> Option<Undo> {
        self.members[member].agent.as_ref()?;
        self.stop_agent(member);
        self.next_folder += 1;
        self.members[member].wipe(self.next_folder);
        self.members[member].rejoins = true;
        self.queue.push(self.now + down_ms.min(8_000), Event::Rejoin { member });
        Some(Undo::Nothing)
    }

    /// Somebody starts an agent on another machine, from a copy of the folder. It finds nothing that runs there.
    fn clone_member(&mut self, member: usize, number: usize) -> Option<Undo> {
        let original = &self.members[member];
        if original.agent.is_none() || self.members[SPARE].agent.is_some() {
            return None;
        }
        self.members[SPARE] = Member::copy_of(original, self.members[SPARE].life, 1_000 + number as u128);
        self.start_agent(SPARE);
        Some(Undo::EndClone)
    }

    /// The copy is found and switched off.
    pub(super) fn end_clone(&mut self) {
        self.power_lost(SPARE);
        self.members[SPARE].pods.clear();
    }
}
