//! What the state derives from its objects, so that no step has to look at all of them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use muster_model::{
    Deletion, DurationMs, FaultPhase, JobPhase, Key, Kind, MemberName, Object, Status, TimeMs, Uid, kinds,
};

use crate::by_key::ByKey;

/// How long an event is kept after it last happened, as kube-apiserver's `--event-ttl`.
pub const EVENT_TTL: DurationMs = DurationMs::HOUR;
/// How long a finished job is kept unless it says otherwise.
pub const FINISHED_TTL: DurationMs = DurationMs::from_secs(7 * 24 * 3600);
/// How long a fault is kept after its end.
pub const FAULT_TTL: DurationMs = DurationMs::from_secs(24 * 3600);
/// The finalizer of a foreground deletion, by Kubernetes' name.
pub const FOREGROUND: &str = "foregroundDeletion";

/// Derived from the objects: rebuilt on restore, never in a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    /// Objects of each kind.
    pub counts: OrdMap<Kind, u64>,
    /// Jobs that are not finished.
    pub live_jobs: OrdSet<ByKey>,
    /// Jobs that wait for the end of other attempts.
    pub reserved: OrdSet<Key>,
    /// Live attempts and held reservations by member.
    pub by_member: OrdSet<(MemberName, Key)>,
    /// What goes at which time.
    pub expiry: OrdSet<(TimeMs, ByKey)>,
    /// Faults that are not over, by when they will be at the latest.
    pub open_faults: OrdSet<(TimeMs, Key)>,
    /// Transfers that are open, by their target.
    pub open_transfers: OrdSet<(MemberName, Key)>,
    /// Datasets by the members that hold something of them.
    pub copies: OrdSet<(MemberName, Key)>,
    /// Objects by the uid of each owner.
    pub dependents: OrdSet<(Uid, Key)>,
    /// Objects in foreground deletion.
    pub foreground: OrdMap<Uid, Key>,
}

impl Indexes {
    /// Takes an object in.
    pub fn add(&mut self, object: &Arc<Object>) {
        let key = &object.key;
        *self.counts.entry(key.kind.clone()).or_default() += 1;
        if let Some(job) = object.job() {
            if !job.is_finished() {
                self.live_jobs.insert(ByKey(Arc::clone(object)));
            }
            if matches!(job.phase, JobPhase::Reserved(_)) {
                self.reserved.insert(key.clone());
            }
        }
        for member in members_of(object) {
            self.by_member.insert((member.clone(), key.clone()));
        }
        if let Some(at) = expires_at(object) {
            self.expiry.insert((at, ByKey(Arc::clone(object))));
        }
        if let Some(fault) = object.fault().filter(|fault| fault.is_open()) {
            self.open_faults.insert((fault.expires, key.clone()));
        }
        if let Some(transfer) = object.transfer().filter(|transfer| transfer.is_open()) {
            self.open_transfers.insert((transfer.target.clone(), key.clone()));
        }
        for member in holders(object) {
            self.copies.insert((member.clone(), key.clone()));
        }
        for owner in &object.meta.owners {
            self.dependents.insert((owner.uid, key.clone()));
        }
        if is_in_foreground_deletion(object) {
            self.foreground.insert(object.meta.uid, key.clone());
        }
    }

    /// Takes an object out.
    pub fn remove(&mut self, object: &Arc<Object>) {
        let key = &object.key;
        if let Some(count) = self.counts.get_mut(&key.kind) {
            *count -= 1;
        }
        if object.job().is_some() {
            self.live_jobs.remove(key);
            self.reserved.remove(key);
        }
        for member in members_of(object) {
            self.by_member.remove(&(member.clone(), key.clone()));
        }
        if let Some(at) = expires_at(object) {
            self.expiry.remove(&(at, ByKey(Arc::clone(object))));
        }
        if let Some(fault) = object.fault() {
            self.open_faults.remove(&(fault.expires, key.clone()));
        }
        if let Some(transfer) = object.transfer() {
            self.open_transfers.remove(&(transfer.target.clone(), key.clone()));
        }
        for member in holders(object) {
            self.copies.remove(&(member.clone(), key.clone()));
        }
        for owner in &object.meta.owners {
            self.dependents.remove(&(owner.uid, key.clone()));
        }
        self.foreground.remove(&object.meta.uid);
    }
}

/// Whether it waits for its dependents to go.
pub fn is_in_foreground_deletion(object: &Object) -> bool {
    object.meta.deletion.is_some() && object.meta.finalizers.iter().any(|f| &**f == FOREGROUND)
}

/// The members on which a job holds something: by its attempt, by its reservation.
fn members_of(object: &Object) -> impl Iterator<Item = &MemberName> {
    let job = object.job();
    let attempt = job.and_then(|job| job.attempt.as_ref()).map(|attempt| &attempt.assignment.member);
    let reserved = job.and_then(|job| match &job.phase {
        JobPhase::Reserved(reservation) => Some(&reservation.assignment.member),
        _ => None,
    });
    attempt.into_iter().chain(reserved)
}

/// The members that hold something of a dataset.
fn holders(object: &Object) -> impl Iterator<Item = &MemberName> {
    object.dataset().into_iter().flat_map(|dataset| dataset.copies.keys())
}

/// When an object goes, or changes, by time alone.
pub fn expires_at(object: &Object) -> Option<TimeMs> {
    match &object.status {
        Status::Event(event) => Some(event.last.plus(EVENT_TTL)),
        Status::Opaque if object.key.is(kinds::EVENT) => Some(object.meta.created.plus(EVENT_TTL)),
        Status::JoinToken(token) => Some(token.expires),
        Status::Transfer(transfer) => transfer.expires(),
        Status::Fault(fault) => Some(match &fault.phase {
            FaultPhase::Pending | FaultPhase::Active { .. } => fault.expires,
            FaultPhase::Reverted(end) => end.at.plus(FAULT_TTL),
        }),
        Status::Job(job) if !is_deleting(object.meta.deletion) => match &job.phase {
            JobPhase::Finished(finish) => {
                Some(finish.at.plus(job.spec.ttl_after_finished.unwrap_or(FINISHED_TTL)))
            }
            JobPhase::Reserved(reservation) => Some(reservation.expires),
            _ => None,
        },
        _ => None,
    }
}

fn is_deleting(deletion: Option<Deletion>) -> bool {
    deletion.is_some()
}
