//! The commands that clients' ops become at a replica.

use std::sync::Arc;

use muster_model::{
    Command, Delete, Document, DocumentHash, JobSpec, Key, Object, Precondition, Principal, Propagation, Put,
    PutMode, Spec, Uid,
};

/// A command that stores an object.
pub(super) fn put(key: &Key, mode: PutMode, spec: Spec, submit: Option<DocumentHash>) -> Command {
    Command::Put(Box::new(Put {
        key: key.clone(),
        mode,
        spec,
        typed_version: 1,
        document: Document { metadata: "".into(), body: "\"spec\":{}".into() },
        finalizers: Vec::new(),
        owners: Vec::new(),
        principal: Principal::new("dana"),
        idempotency: submit,
    }))
}

/// A command that removes this very object.
pub(super) fn delete(key: &Key, uid: Uid) -> Command {
    Command::Delete(Delete {
        key: key.clone(),
        precondition: Precondition { revision: None, uid: Some(uid) },
        propagation: Propagation::Background,
        grace_s: None,
        principal: Principal::new("dana"),
    })
}

/// The job held or let go, if it is there to be changed at all.
pub(super) fn suspension(object: &Object, suspend: bool) -> Option<Command> {
    let job = object.job()?;
    if object.meta.deletion.is_some() || job.is_finished() {
        return None;
    }
    let spec = JobSpec { suspend, ..JobSpec::clone(&job.spec) };
    let precondition = Precondition { revision: Some(object.meta.revision), uid: Some(object.meta.uid) };
    Some(put(&object.key, PutMode::Replace(precondition), Spec::Job(Arc::new(spec)), object.meta.idempotency))
}
