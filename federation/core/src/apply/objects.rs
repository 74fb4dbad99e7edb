//! Objects come, change and go, by Kubernetes' rules for uids, revisions, finalizers and owners.

use std::sync::Arc;

use muster_model::{
    Answer, AuditVerb, BurstPool, Cluster, ClusterStatus, Dataset, Delete, Deletion, GameDay, GameDayStatus,
    Key, Meta, Object, Precondition, Propagation, Put, PutMode, Rejection, Revision, Spec, Status, Uid,
};

use super::Step;
use crate::index::FOREGROUND;
use crate::state::Garbage;

impl Step<'_> {
    /// Creates or replaces, and audits it.
    pub(super) fn put(&mut self, put: &Put) -> Result<Answer, Rejection> {
        let (verb, result) = match put.mode {
            PutMode::Create { uid } => (AuditVerb::Create, self.create(put, uid)),
            PutMode::Replace(precondition) => (AuditVerb::Update, self.replace(put, precondition)),
        };
        self.audit(&put.principal, verb, &put.key, result)
    }

    fn create(&mut self, put: &Put, uid: Uid) -> Result<Answer, Rejection> {
        if let Some(there) = self.state.get(&put.key) {
            let retried = put.idempotency.is_some() && there.meta.idempotency == put.idempotency;
            return if retried && !muster_model::mutant!(retry_not_idempotent) {
                Ok(Answer::Stored(Arc::clone(there)))
            } else {
                Err(Rejection::AlreadyExists(put.key.clone()))
            };
        }
        self.namespace_takes(&put.key)?;
        let meta = Meta {
            uid,
            created: self.time,
            generation: 1,
            revision: Revision::default(),
            deletion: None,
            finalizers: put.finalizers.clone(),
            owners: put.owners.clone(),
            idempotency: put.idempotency,
        };
        let status = self.first_status(&put.spec);
        let object =
            self.store(Object { key: put.key.clone(), meta, document: put.document.clone(), status });
        self.tell_created_job(&object);
        Ok(Answer::Stored(object))
    }

    fn replace(&mut self, put: &Put, precondition: Precondition) -> Result<Answer, Rejection> {
        let there = self.find(&put.key)?;
        check_precondition(&there, precondition)?;
        let mut object = Object::clone(&there);
        let status = self.next_status(&there, &put.spec);
        if object.document.body != put.document.body || spec_changed(&there.status, &status) {
            object.meta.generation += 1;
        }
        object.document = put.document.clone();
        object.meta.owners = put.owners.clone();
        object.meta.finalizers = put.finalizers.clone();
        object.status = status;
        // A change that changes nothing stores nothing, as the real API server does.
        if object == *there {
            return Ok(Answer::Stored(there));
        }
        let object = self.store(object);
        let object = self.follow_job_spec(&there, object);
        self.follow_dataset(&object.key);
        if object.meta.deletion.is_some() {
            return Ok(self.remove_if_free(&object.key));
        }
        Ok(Answer::Stored(object))
    }

    /// Deletes as a principal asked, and audits it.
    pub(super) fn delete_asked(&mut self, delete: &Delete) -> Result<Answer, Rejection> {
        let result = self.delete(delete);
        self.audit(&delete.principal, AuditVerb::Delete, &delete.key, result)
    }

    fn delete(&mut self, delete: &Delete) -> Result<Answer, Rejection> {
        let there = self.find(&delete.key)?;
        check_precondition(&there, delete.precondition)?;
        self.may_delete(&there)?;
        Ok(self.start_deletion(&there, delete.propagation, delete.grace_s))
    }

    fn may_delete(&self, object: &Object) -> Result<(), Rejection> {
        let forbid = |why| Err(Rejection::Forbidden(object.key.clone(), why));
        match &object.status {
            Status::Namespace(_) if &*object.key.name == "default" => {
                forbid("this namespace may not be deleted")
            }
            Status::Cluster(_)
                if self.state.jobs_on(&super::members::name_of(&object.key)).next().is_some() =>
            {
                forbid(
                    "jobs are on this cluster: cordon it and wait for them, or declare it lost, then delete it",
                )
            }
            Status::GameDay(day) if day.status.run.is_some() => {
                forbid("a run is under way: `muster gameday abort` ends it")
            }
            _ => Ok(()),
        }
    }

    /// Marks the object as being deleted, ends what runs for it, and removes it if nothing holds it.
    pub(super) fn start_deletion(
        &mut self,
        there: &Object,
        propagation: Propagation,
        grace_s: Option<u64>,
    ) -> Answer {
        self.release_reservation(there);
        let Some(there) = self.state.get(&there.key).cloned() else { return Answer::Done };
        let uid = there.meta.uid;
        let mut object = Object::clone(&there);
        let first_time = object.meta.deletion.is_none();
        if first_time {
            let grace_s = grace_s.unwrap_or_else(|| there.job().map_or(0, |job| job.spec.grace.0 / 1000));
            object.meta.deletion = Some(Deletion { at: self.time, grace_s });
        }
        let foreground = propagation == Propagation::Foreground && self.has_blocking_dependents(uid);
        if foreground && !object.meta.finalizers.iter().any(|f| &**f == FOREGROUND) {
            object.meta.finalizers.push(FOREGROUND.into());
        }
        self.queue_dependents(uid, propagation, foreground);
        let namespace_goes = matches!(there.status, Status::Namespace(_));
        if namespace_goes {
            self.state.garbage.insert(Garbage::Namespace(Arc::clone(&there.key.name)));
        }
        let held = namespace_goes
            || !object.meta.finalizers.is_empty()
            || object.job().is_some_and(|job| job.is_live())
            || has_members(&object);
        if !held {
            return self.remove(&there.key).map_or(Answer::Done, Answer::Removed);
        }
        super::jobs::stop_for_deletion(&mut object, self.time);
        if object == *there {
            return Answer::Deleting(there);
        }
        Answer::Deleting(self.store(object))
    }

    fn queue_dependents(&mut self, uid: Uid, propagation: Propagation, foreground: bool) {
        if !self.has_dependents(uid) {
            return;
        }
        let garbage = match propagation {
            Propagation::Orphan => Garbage::Orphans(uid),
            Propagation::Foreground if foreground => Garbage::Dependents(uid),
            // After the owner: queued when the owner is removed.
            Propagation::Background | Propagation::Foreground => return,
        };
        self.state.garbage.insert(garbage);
    }

    /// Removes an object that is being deleted if nothing holds it any more.
    pub(super) fn remove_if_free(&mut self, key: &Key) -> Answer {
        let Some(object) = self.state.get(key).cloned() else { return Answer::Done };
        let held = !object.meta.finalizers.is_empty()
            || object.job().is_some_and(|job| job.is_live())
            || has_members(&object)
            || matches!(object.status, Status::Namespace(_)) && self.namespace_holds(&object.key.name);
        if object.meta.deletion.is_none() || held {
            return Answer::Stored(object);
        }
        self.remove(key).map_or(Answer::Done, Answer::Removed)
    }

    fn namespace_takes(&self, key: &Key) -> Result<(), Rejection> {
        if key.namespace.is_empty() {
            return Ok(());
        }
        match self.state.get(&Key::namespace(&key.namespace)) {
            None => Err(Rejection::NamespaceMissing(Arc::clone(&key.namespace))),
            Some(namespace) if namespace.meta.deletion.is_some() => {
                Err(Rejection::NamespaceTerminating(Arc::clone(&key.namespace)))
            }
            Some(_) => Ok(()),
        }
    }

    /// What the hub holds of an object that is new.
    fn first_status(&self, spec: &Spec) -> Status {
        match spec {
            Spec::Opaque => Status::Opaque,
            Spec::Namespace(spec) => Status::Namespace(spec.clone()),
            Spec::Job(spec) => Status::Job(Box::new(muster_model::Job::new(spec, self.time))),
            Spec::Cluster(spec) => {
                Status::Cluster(Box::new(Cluster { spec: spec.clone(), status: ClusterStatus::default() }))
            }
            Spec::Placement(spec) => Status::Placement(Arc::clone(spec)),
            Spec::Dataset(spec) => Status::Dataset(Arc::new(Dataset::new(spec))),
            Spec::PriceBook(spec) => Status::PriceBook(Arc::clone(spec)),
            Spec::JoinToken(spec) => Status::JoinToken(spec.clone()),
            Spec::Credential(spec) => Status::Credential(spec.clone()),
            Spec::BurstPool(spec) => Status::BurstPool(Box::new(BurstPool::new(spec))),
            Spec::GameDay(spec) => Status::GameDay(Box::new(GameDay {
                spec: Arc::clone(spec),
                status: GameDayStatus::default(),
            })),
        }
    }

    /// What the hub holds of an object whose document changed: what became of it stays.
    fn next_status(&self, there: &Object, spec: &Spec) -> Status {
        match (&there.status, spec) {
            (Status::Job(job), Spec::Job(spec)) => {
                let mut job = job.clone();
                job.spec = Arc::clone(spec);
                Status::Job(job)
            }
            (Status::Cluster(cluster), Spec::Cluster(spec)) => {
                Status::Cluster(Box::new(Cluster { spec: spec.clone(), status: cluster.status.clone() }))
            }
            (Status::BurstPool(pool), Spec::BurstPool(spec)) => {
                Status::BurstPool(Box::new(BurstPool { spec: Arc::clone(spec), status: pool.status.clone() }))
            }
            (Status::Dataset(dataset), Spec::Dataset(spec)) => {
                Status::Dataset(Arc::new(dataset.with_spec(spec)))
            }
            (Status::GameDay(day), Spec::GameDay(spec)) => {
                let status = day.status.clone();
                Status::GameDay(Box::new(GameDay { spec: Arc::clone(spec), status }))
            }
            (Status::Event(event), Spec::Opaque) => Status::Event(event.clone()),
            (Status::Run(run), Spec::Opaque) => Status::Run(run.clone()),
            (Status::Transfer(transfer), Spec::Opaque) => Status::Transfer(Arc::clone(transfer)),
            _ => self.first_status(spec),
        }
    }
}

fn check_precondition(object: &Object, precondition: Precondition) -> Result<(), Rejection> {
    let key = || object.key.clone();
    match precondition {
        Precondition { uid: Some(uid), .. } if uid != object.meta.uid => {
            Err(Rejection::UidChanged { key: key(), expected: uid, found: object.meta.uid })
        }
        Precondition { revision: Some(revision), .. } if revision != object.meta.revision => {
            Err(Rejection::Conflict { key: key(), expected: revision, found: object.meta.revision })
        }
        _ => Ok(()),
    }
}

fn spec_changed(old: &Status, new: &Status) -> bool {
    match (old, new) {
        (Status::Job(old), Status::Job(new)) => old.spec != new.spec,
        (Status::Cluster(old), Status::Cluster(new)) => old.spec != new.spec,
        (Status::BurstPool(old), Status::BurstPool(new)) => old.spec != new.spec,
        (Status::GameDay(old), Status::GameDay(new)) => old.spec != new.spec,
        (Status::Dataset(old), Status::Dataset(new)) => old.spec != new.spec,
        (old, new) => old != new,
    }
}

/// A burst pool stays until its last member is gone: only the pool knows what there is to remove.
fn has_members(object: &Object) -> bool {
    object.burst_pool().is_some_and(|pool| pool.active().next().is_some())
}
