//! The operator: does what the procedures ask for, and only when they allow it.
//!
//! ```text
//!  replica refuses its folder --> the others run and agree? --yes--> folder moved away (or an older copy) --> starts
//!                                       ^---- no: looks again ----'
//! ```

use muster_consensus::{DriverError, Status};
use muster_model::{ClusterStatus, Key, TimeMs};

use super::client::FOUNDER;
use super::event::{Event, Life, REPLICAS};
use super::member::{Certificate, MEMBER_NAMES};
use super::replica::REPLICA_NAMES;
use super::workload::joining;
use super::world::World;

/// Between two looks at the replicas.
const LOOKS_EVERY_MS: u64 = 300;

/// What has to be done to a replica's folder before it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// What lies in it does not check out: it has to be moved away.
    Damaged,
    /// It is to be moved away for another reason.
    Wipe,
    /// An older copy is to take its place.
    Older,
}

impl World {
    /// A member gets a new token and joins again.
    pub(super) fn rejoin(&mut self, member: usize) {
        let Some(from) = self.issue_certificate(member) else {
            return self.queue.push(self.now + 500, Event::Rejoin { member });
        };
        self.next_token += 1;
        self.found(joining(member, self.next_token, from).into());
        self.queue.push(self.now + 500, Event::Rejoined { member, from });
    }

    /// When the certificate is issued that a member gets which joins now, as the leader's edge decides it.
    fn issue_certificate(&self, member: usize) -> Option<TimeMs> {
        let leader = self.leader()?;
        let now = TimeMs(self.hosts[leader].clock.real(self.now));
        Some(self.status_at(leader, member)?.joined_from(now))
    }

    fn status_at(&self, replica: usize, member: usize) -> Option<&ClusterStatus> {
        let state = self.replicas[replica].process.as_ref()?.driver.machine().view().0;
        let key = Key::cluster(MEMBER_NAMES[member]);
        state.get(&key)?.cluster().map(|cluster| &cluster.status)
    }

    /// The member starts with its new certificate, if that is what counts by now; else it joins once more.
    pub(super) fn rejoined(&mut self, member: usize, from: TimeMs) {
        let status = self.leader().and_then(|leader| self.status_at(leader, member));
        let is_newest = status.map(|status| status.certificates_from == from);
        if !self.clients[FOUNDER].is_idle() || is_newest.is_none() {
            return self.queue.push(self.now + 500, Event::Rejoined { member, from });
        }
        if is_newest == Some(false) {
            return self.rejoin(member);
        }
        let here = &mut self.members[member];
        (here.rejoins, here.certificate) = (false, Certificate::issued(from));
        self.stop_agent(member);
        self.restart_agent_in(member, 100);
    }

    /// A replica does not start. If its folder was damaged, it has to say so.
    pub(super) fn replica_refuses(&mut self, replica: usize, error: &DriverError) {
        if self.replicas[replica].care != Some(Care::Damaged) {
            return self.checks.fail("S16", format!("replica {replica} cannot start: {error}"));
        }
        self.trace.line(self.now, REPLICA_NAMES[replica], "refuses", format_args!("{error}"));
        self.call_operator(replica);
    }

    /// The operator looks after a replica that is down.
    pub(super) fn call_operator(&mut self, replica: usize) {
        let life = self.replicas[replica].life;
        self.queue.push(self.now + LOOKS_EVERY_MS, Event::CareForReplica { replica, life });
    }

    pub(super) fn care_for_replica(&mut self, replica: usize, _life: Life) {
        let node = &self.replicas[replica];
        let (Some(care), None) = (node.care, &node.process) else { return };
        if !self.others_agree(replica) {
            return self.call_operator(replica);
        }
        let node = &mut self.replicas[replica];
        match (care, node.older.take()) {
            (Care::Older, Some(older)) => node.disk.restore(&older),
            _ => node.disk.wipe(),
        }
        node.care = None;
        self.trace.line(self.now, REPLICA_NAMES[replica], "folder", format_args!("{care:?}"));
        self.start_replica(replica);
    }

    /// Whether all other replicas run, follow one of them, and have the same: what `muster replicas` shows.
    fn others_agree(&self, replica: usize) -> bool {
        let others = (0..REPLICAS).filter(|other| *other != replica);
        let Some(others) = others.map(|other| self.replicas[other].status()).collect::<Option<Vec<Status>>>()
        else {
            return false;
        };
        let Some(leader) = others.iter().find(|status| status.leader == Some(status.id)) else {
            return false;
        };
        let agrees = |status: &Status| {
            (status.leader, status.term) == (leader.leader, leader.term)
                && (status.applied, status.last_index) == (leader.applied, leader.last_index)
                && status.applied == status.last_index
        };
        others.iter().all(agrees)
    }
}
