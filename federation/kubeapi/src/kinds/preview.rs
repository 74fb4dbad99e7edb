//! What would be stored: the answer to `dryRun=All`.

use std::sync::Arc;

use muster_model::{
    BurstPool, Cluster, ClusterStatus, Dataset, GameDay, GameDayStatus, Job, Key, Meta, Object, Revision,
    Spec, Status, TimeMs, Uid,
};

use super::admit::Admitted;

/// The object that storing `admitted` would make, at this time. `old` is the stored object, on update.
pub fn preview(admitted: &Admitted, key: Key, old: Option<&Object>, (uid, now): (Uid, TimeMs)) -> Object {
    let meta = match old {
        Some(old) => old.meta.clone(),
        None => Meta {
            uid,
            created: now,
            generation: 1,
            revision: Revision::default(),
            deletion: None,
            finalizers: Vec::new(),
            owners: Vec::new(),
            idempotency: None,
        },
    };
    let meta = Meta { finalizers: admitted.finalizers.clone(), owners: admitted.owners.clone(), ..meta };
    let status = status(&admitted.spec, old.map(|old| &old.status), now);
    Object { key, meta, document: admitted.document.clone(), status }
}

fn status(spec: &Spec, old: Option<&Status>, now: TimeMs) -> Status {
    match (spec, old) {
        (Spec::Job(spec), Some(Status::Job(job))) => {
            Status::Job(Box::new(Job { spec: Arc::clone(spec), ..Job::clone(job) }))
        }
        (Spec::Cluster(spec), Some(Status::Cluster(cluster))) => {
            Status::Cluster(Box::new(Cluster { spec: spec.clone(), status: cluster.status.clone() }))
        }
        (Spec::BurstPool(spec), Some(Status::BurstPool(pool))) => {
            Status::BurstPool(Box::new(BurstPool { spec: Arc::clone(spec), status: pool.status.clone() }))
        }
        (Spec::BurstPool(spec), _) => Status::BurstPool(Box::new(BurstPool::new(spec))),
        (Spec::Opaque, Some(old)) => old.clone(),
        (Spec::Opaque, None) => Status::Opaque,
        (Spec::Namespace(spec), _) => Status::Namespace(spec.clone()),
        (Spec::Job(spec), _) => Status::Job(Box::new(Job::new(spec, now))),
        (Spec::Cluster(spec), _) => {
            Status::Cluster(Box::new(Cluster { spec: spec.clone(), status: ClusterStatus::default() }))
        }
        (Spec::Placement(spec), _) => Status::Placement(Arc::clone(spec)),
        (Spec::Dataset(spec), Some(Status::Dataset(dataset))) => {
            Status::Dataset(Arc::new(dataset.with_spec(spec)))
        }
        (Spec::Dataset(spec), _) => Status::Dataset(Arc::new(Dataset::new(spec))),
        (Spec::PriceBook(spec), _) => Status::PriceBook(Arc::clone(spec)),
        (Spec::JoinToken(spec), _) => Status::JoinToken(spec.clone()),
        (Spec::Credential(spec), _) => Status::Credential(spec.clone()),
        (Spec::GameDay(spec), old) => {
            let status = match old {
                Some(Status::GameDay(day)) => day.status.clone(),
                _ => GameDayStatus::default(),
            };
            Status::GameDay(Box::new(GameDay { spec: Arc::clone(spec), status }))
        }
    }
}
