//! What must hold of a state at each index. Run by property tests and by the simulator after every step.

use std::collections::{BTreeMap, BTreeSet};

use muster_model::{
    AttemptState, Fault, FaultKind, FaultOwner, FaultTarget, Job, JobPhase, Key, MemberName, Resources,
    StopReason,
};

use crate::apply::claimed;
use crate::digest::hash128;
use crate::index::Indexes;
use crate::state::State;

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the list of guarantees.
    pub promise: &'static str,
    /// What was seen.
    pub seen: String,
}

/// Checks everything that can be seen in one state. Costs the whole state: for tests and the simulator.
pub fn check(state: &State) -> Vec<Violation> {
    let mut violations = check_jobs(state);
    check_derived(state, &mut |promise, seen| violations.push(Violation { promise, seen }));
    violations
}

/// The same without what is derived: jobs, members and revisions. A tenth of the cost.
pub fn check_jobs(state: &State) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut fail = |promise, seen: String| violations.push(Violation { promise, seen });
    for object in state.objects() {
        if let Some(job) = object.job() {
            check_job(&object.key, job, &mut fail);
        }
        if object.meta.revision > state.revision() {
            fail("S3", format!("{} is of a revision to come", object.key));
        }
    }
    check_gpus(state, &mut fail);
    check_faults(state, &mut fail);
    check_epochs(state, &mut fail);
    check_transfers(state, &mut fail);
    violations
}

/// S12: the phase and the attempt of a job fit each other. S8: its claims cover the gang.
fn check_job(key: &Key, job: &Job, fail: &mut impl FnMut(&'static str, String)) {
    let stopping = job.attempt.as_ref().and_then(|attempt| match attempt.state {
        AttemptState::Stopping { reason, .. } => Some(reason),
        AttemptState::Granted | AttemptState::Running { .. } => None,
    });
    let live = job.attempt.is_some();
    let fits = match &job.phase {
        JobPhase::Active => live && stopping.is_none_or(|reason| reason == StopReason::Deleted),
        JobPhase::Suspended | JobPhase::Queued | JobPhase::Reserved(_) => !live || stopping.is_some(),
        JobPhase::Finished(_) => !live,
    };
    if !fits {
        fail("S12", format!("{key} is {:?} with an attempt {:?}", job.phase, job.attempt));
    }
    for assignment in job.attempt.iter().map(|attempt| &attempt.assignment) {
        let claimed: u64 = assignment.claims.iter().map(|claim| u64::from(claim.pods)).sum();
        if claimed == 0 || assignment.requests.is_empty() {
            fail("S8", format!("{key} holds a grant that claims nothing"));
        }
    }
}

/// S7: on each Node of each member, free and claimed make what was reported.
fn check_gpus(state: &State, fail: &mut impl FnMut(&'static str, String)) {
    let mut held = BTreeMap::<(MemberName, u32), Resources>::new();
    for job in state.objects().filter_map(|object| object.job()) {
        for assignment in holding(job) {
            for (node, amount) in claimed(assignment) {
                let sum = held.entry((assignment.member.clone(), node)).or_default();
                *sum = sum.plus(&amount);
            }
        }
    }
    for (name, cluster) in state.objects().filter_map(|o| Some((&o.key.name, o.cluster()?))) {
        if cluster.status.overcommitted {
            continue;
        }
        let nodes = &cluster.status.nodes;
        for (i, node) in nodes.free.iter().enumerate() {
            let used = held.get(&(MemberName(name.clone()), i as u32)).copied().unwrap_or_default();
            let allocatable = nodes.shapes[usize::from(node.shape)].allocatable;
            if node.free.plus(&used) != allocatable {
                fail(
                    "S7",
                    format!(
                        "{name} Node {i}: free {:?} + claimed {used:?} is not {allocatable:?}",
                        node.free
                    ),
                );
            }
        }
    }
}

fn holding(job: &Job) -> impl Iterator<Item = &muster_model::Assignment> {
    let reserved = match &job.phase {
        JobPhase::Reserved(reservation) if reservation.held => Some(&reservation.assignment),
        _ => None,
    };
    job.attempt.iter().map(|attempt| &attempt.assignment).chain(reserved)
}

/// S23: no fault outlives its time, or is outside the plan of its game day. S24: a majority of replicas is under none. S11:
/// who drains a member by a fault is an open fault.
fn check_faults(state: &State, fail: &mut impl FnMut(&'static str, String)) {
    let mut silenced = BTreeSet::new();
    let mut spare = usize::MAX;
    for object in state.objects() {
        let Some(fault) = object.fault().filter(|fault| fault.is_open()) else { continue };
        let id = &object.key.name;
        if fault.expires <= state.time() {
            fail("S23", format!("{id} should have been over at {}", fault.expires));
        }
        if !is_planned(state, fault) {
            fail("S23", format!("{id} is in no approved plan"));
        }
        match &fault.spec.target {
            FaultTarget::Replica(name) => {
                silenced.insert(name);
                spare = spare.min((fault.voters.saturating_sub(1) / 2) as usize);
            }
            FaultTarget::Member(member) if fault.spec.kind == FaultKind::Drain => {
                let cluster = state.get(&Key::cluster(member.as_str())).and_then(|o| o.cluster());
                if cluster.is_some_and(|cluster| cluster.status.drains.binary_search(id).is_err()) {
                    fail("S11", format!("{id} is open and {member} is not drained for it"));
                }
            }
            FaultTarget::Member(_) => {}
        }
    }
    if silenced.len() > spare {
        fail("S24", format!("{silenced:?} are down on purpose, and {spare} may be"));
    }
}

fn is_planned(state: &State, fault: &Fault) -> bool {
    let FaultOwner::GameDay { day, run, step } = &fault.owner else { return true };
    let day = state.get(&Key::game_day(day)).and_then(|object| object.game_day());
    let run = day.and_then(|day| day.status.run.as_deref()).filter(|found| found.number == *run);
    let step = run.and_then(|run| run.plan.steps.get(*step as usize));
    step.is_some_and(|step| {
        step.kind == fault.spec.kind && step.target == fault.spec.target && step.ttl == fault.spec.ttl
    })
}

/// S21: bytes of a dataset move only to where its spec allows it. An attempt that has not begun has its data, or it comes.
fn check_transfers(state: &State, fail: &mut impl FnMut(&'static str, String)) {
    for object in state.objects() {
        let Some(transfer) = object.transfer().filter(|transfer| transfer.is_open()) else { continue };
        let dataset = state.get(&transfer.dataset(&object.key.namespace)).and_then(|found| found.dataset());
        let target = state.get(&Key::cluster(transfer.target.as_str())).and_then(|found| found.cluster());
        let allowed =
            dataset.zip(target).is_some_and(|(dataset, target)| dataset.spec.allows(&target.spec.location));
        if !allowed {
            fail("S21", format!("{} moves bytes to where they may not be", object.key));
        }
        if dataset.is_some_and(|dataset| !dataset.offers(&transfer.data)) {
            fail("S21", format!("{} moves another version than the dataset has", object.key));
        }
    }
}

/// Epochs are unique over all jobs.
fn check_epochs(state: &State, fail: &mut impl FnMut(&'static str, String)) {
    let mut seen = BTreeMap::new();
    for object in state.objects() {
        let Some(attempt) = object.job().and_then(|job| job.attempt.as_ref()) else { continue };
        if let Some(other) = seen.insert(attempt.epoch, &object.key) {
            fail("S6", format!("{} and {other} share epoch {}", object.key, attempt.epoch.0));
        }
    }
}

/// What is derived is what would be derived anew.
fn check_derived(state: &State, fail: &mut impl FnMut(&'static str, String)) {
    let mut fresh = Indexes::default();
    let mut digest = 0_u128;
    for object in state.objects() {
        fresh.add(object);
        digest = digest.wrapping_add(hash128(&**object));
    }
    let indexes = &state.indexes;
    let same = indexes.live_jobs == fresh.live_jobs
        && indexes.reserved == fresh.reserved
        && indexes.by_member == fresh.by_member
        && indexes.expiry == fresh.expiry
        && indexes.open_faults == fresh.open_faults
        && indexes.open_transfers == fresh.open_transfers
        && indexes.copies == fresh.copies
        && indexes.dependents == fresh.dependents
        && indexes.foreground == fresh.foreground;
    if !same {
        fail("S13", "an index differs from what the objects say".to_owned());
    }
    if !state.digest_is(digest) {
        fail("S13", "the digest differs from what the objects say".to_owned());
    }
}
