//! S7: GPUs are conserved, and none is counted twice.
//!
//! In the state: on each Node of a member that an entry touched, free and claimed make what was reported. In true time: a pod
//! that begins to run shares no GPU with another that runs. Both are counted here from events and pods alone.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::State;
use muster_model::{Assignment, Event, Job, JobPhase, Key, MemberName, Resources};

use super::{LivePod, Violation, job_change, note};

type Node = (MemberName, u32);

/// Who claims what.
#[derive(Debug, Default)]
pub struct GpusConserved {
    claims: BTreeMap<Node, BTreeMap<Key, Resources>>,
    nodes_of: BTreeMap<Key, BTreeSet<Node>>,
}

impl GpusConserved {
    /// What an entry changed, and the state after it.
    pub fn after(&mut self, events: &[Event], state: &State, found: &mut Vec<Violation>) {
        let mut touched = BTreeSet::new();
        for event in events {
            if let Some(change) = job_change(event) {
                self.claimed(change.key, change.new_job(), &mut touched);
            }
            if let Event::Changed { key, new: Some(new), .. } = event
                && new.cluster().is_some()
            {
                touched.insert(MemberName(key.name.clone()));
            }
        }
        for member in touched {
            self.check_member(&member, state, found);
        }
    }

    fn claimed(&mut self, key: &Key, job: Option<&Job>, touched: &mut BTreeSet<MemberName>) {
        for node in self.nodes_of.remove(key).unwrap_or_default() {
            touched.insert(node.0.clone());
            if let Some(claims) = self.claims.get_mut(&node) {
                claims.remove(key);
            }
        }
        let mut nodes = BTreeSet::new();
        for assignment in job.into_iter().flat_map(holding) {
            touched.insert(assignment.member.clone());
            for claim in &assignment.claims {
                let request =
                    assignment.requests.get(usize::from(claim.pod_set)).copied().unwrap_or_default();
                let node = (assignment.member.clone(), claim.node);
                let held = self.claims.entry(node.clone()).or_default().entry(key.clone()).or_default();
                *held = held.plus(&request.times(u64::from(claim.pods)));
                nodes.insert(node);
            }
        }
        if !nodes.is_empty() {
            self.nodes_of.insert(key.clone(), nodes);
        }
    }

    fn check_member(&self, member: &MemberName, state: &State, found: &mut Vec<Violation>) {
        let object = state.get(&Key::cluster(member.as_str()));
        let Some(cluster) = object.and_then(|object| object.cluster()) else { return };
        if cluster.status.overcommitted {
            return;
        }
        let nodes = &cluster.status.nodes;
        for (position, node) in nodes.free.iter().enumerate() {
            let claims = self.claims.get(&(member.clone(), position as u32));
            let claimed = claims.into_iter().flat_map(|claims| claims.values());
            let claimed = claimed.fold(Resources::default(), |sum, one| sum.plus(one));
            let reported = nodes.shapes[usize::from(node.shape)].allocatable;
            if node.free.plus(&claimed) != reported {
                let seen = format!(
                    "{member} Node {position}: free {} and claimed {} milli-GPU of {} reported",
                    node.free.gpu_milli, claimed.gpu_milli, reported.gpu_milli
                );
                note(found, "S7", seen);
            }
        }
    }
}

/// A pod begins to run beside these: no GPU is given to two.
pub fn check_own_gpus(started: &LivePod, live: &[LivePod], found: &mut Vec<Violation>) {
    let shares = |other: &&LivePod| {
        other.member == started.member
            && other.node == started.node
            && other.id != started.id
            && other.gpus.iter().any(|gpu| started.gpus.contains(gpu))
    };
    if let Some(other) = live.iter().find(shares) {
        let seen = format!(
            "member {} Node {}: pods {:x}/{} and {:x}/{} share a GPU of {:?} and {:?}",
            started.member,
            started.node,
            started.id.epoch.0,
            started.id.serial,
            other.id.epoch.0,
            other.id.serial,
            started.gpus,
            other.gpus
        );
        note(found, "S7", seen);
    }
}

fn holding(job: &Job) -> impl Iterator<Item = &Assignment> {
    let reserved = match &job.phase {
        JobPhase::Reserved(reservation) if reservation.held => Some(&reservation.assignment),
        _ => None,
    };
    job.attempt.iter().map(|attempt| &attempt.assignment).chain(reserved)
}
