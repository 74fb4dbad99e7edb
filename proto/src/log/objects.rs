//! Objects.

use std::sync::Arc;

use muster_model::{
    CredentialSpec, Dataset, Deletion, Document, EventSeverity, EventSpec, JoinTokenSpec, Meta,
    NamespaceSpec, Object, Owner, Run, RunPhase, Status,
};
use prost::Message;

use super::durable::{Durable, message, value};
use super::error::decode_known;
use super::pb::{self, object};
use super::sharing::{Inline, Share, Shared};
use super::transfers::{copies_form, read_copies};
use super::{DecodeError, FieldError, attempts};

durable_enums! {
    EventSeverity { Normal, Warning }
    RunPhase { Granted, Running, Succeeded, Failed, Stopped, Fenced, Lost }
}

durable_structs! {
    Meta => Meta {
        uid: uid,
        created: created_ms,
        generation: generation,
        revision: revision,
        deletion: deletion,
        finalizers: finalizers,
        owners: owners,
        idempotency: idempotency,
    }
    Deletion => Deletion { at: at_ms, grace_s: grace_s }
    Owner => Owner {
        api_version: api_version,
        kind: kind,
        name: name,
        uid: uid,
        controller: controller,
        block_deletion: block_deletion,
    }
    NamespaceSpec => NamespaceSpec { wait_cost_per_hour: wait_cost_per_hour_micro_usd }
    JoinTokenSpec => JoinTokenSpec { hash: hash, member: member, expires: expires_ms }
    CredentialSpec => CredentialSpec { hash: hash, user: user, groups: groups }
    EventSpec => EventSpec {
        involved: involved required,
        involved_uid: involved_uid,
        reason: reason,
        message: message,
        severity: severity,
        count: count,
        first: first_ms,
        last: last_ms,
        source: source,
    }
    Run => Run {
        job: job required,
        job_uid: job_uid,
        epoch: epoch,
        cluster: cluster,
        phase: phase,
        start: start_ms,
        end: end_ms,
        exit_code: exit_code,
        cost: cost,
        lost_gpu_ms: lost_gpu_ms,
    }
}

/// The bytes of an object that stands alone.
pub fn encode_object(object: &Object) -> Vec<u8> {
    object_form(object, &mut Inline).encode_to_vec()
}

/// The object of these bytes.
///
/// # Errors
/// The bytes are damaged, or hold what this version does not know, or a field is not what it must be.
pub fn decode_object(bytes: &[u8]) -> Result<Object, DecodeError> {
    Ok(read_object(decode_known(bytes)?, &Inline)?)
}

/// The form of an object whose texts and spec go where `share` says.
pub(super) fn object_form(object: &Object, share: &mut impl Share) -> pb::Object {
    pb::Object {
        key: Some(object.key.form()),
        meta: Some(object.meta.form()),
        metadata: Some(share.text(&object.document.metadata)),
        body: Some(share.text(&object.document.body)),
        status: Some(status_form(&object.status, share)),
    }
}

/// The object of a form that may name shared texts and a shared spec.
pub(super) fn read_object(form: pb::Object, shared: &impl Shared) -> Result<Object, FieldError> {
    Ok(Object {
        key: message("key", form.key)?,
        meta: message("meta", form.meta)?,
        document: Document {
            metadata: shared.read_text("metadata", form.metadata)?,
            body: shared.read_text("body", form.body)?,
        },
        status: read_status(form.status.ok_or_else(|| FieldError::missing("status"))?, shared)?,
    })
}

fn status_form(status: &Status, share: &mut impl Share) -> object::Status {
    match status {
        Status::Opaque => object::Status::Opaque(pb::Opaque {}),
        Status::Namespace(spec) => object::Status::Namespace(spec.form()),
        Status::Job(job) => object::Status::Job(attempts::job_form(job, share)),
        Status::Cluster(cluster) => object::Status::Cluster(cluster.form()),
        Status::Placement(spec) => object::Status::Placement(spec.form()),
        Status::Dataset(dataset) => dataset_form(dataset),
        Status::PriceBook(spec) => object::Status::PriceBook(spec.form()),
        Status::Event(spec) => object::Status::Event(spec.form()),
        Status::Run(run) => object::Status::Run(run.form()),
        Status::JoinToken(spec) => object::Status::JoinToken(spec.form()),
        Status::Credential(spec) => object::Status::Credential(spec.form()),
        Status::BurstPool(pool) => object::Status::BurstPool(pool.form()),
        Status::Fault(fault) => object::Status::Fault(fault.form()),
        Status::ChaosStop(stop) => object::Status::ChaosStop(stop.form()),
        Status::GameDay(day) => object::Status::GameDay(day.form()),
        Status::Transfer(transfer) => object::Status::Transfer(transfer.form()),
    }
}

/// As it always was while no member holds anything of it.
fn dataset_form(dataset: &Dataset) -> object::Status {
    let (spec, copies) = (dataset.spec.form(), copies_form(&dataset.copies));
    if copies.is_empty() {
        object::Status::Dataset(spec)
    } else {
        object::Status::HeldDataset(pb::HeldDataset { spec: Some(spec), copies })
    }
}

fn read_held(form: pb::HeldDataset) -> Result<Dataset, FieldError> {
    Ok(Dataset { spec: message("spec", form.spec)?, copies: read_copies(form.copies)? })
}

fn read_status(form: object::Status, shared: &impl Shared) -> Result<Status, FieldError> {
    Ok(match form {
        object::Status::Opaque(pb::Opaque {}) => Status::Opaque,
        object::Status::Namespace(spec) => Status::Namespace(value("namespace", spec)?),
        object::Status::Job(job) => {
            Status::Job(Box::new(attempts::read_job(job, shared).map_err(|e| e.inside("job"))?))
        }
        object::Status::Cluster(cluster) => Status::Cluster(value("cluster", cluster)?),
        object::Status::Placement(spec) => Status::Placement(value("placement", spec)?),
        object::Status::Dataset(spec) => Status::Dataset(Arc::new(Dataset::new(&value("dataset", spec)?))),
        object::Status::HeldDataset(held) => {
            Status::Dataset(Arc::new(read_held(held).map_err(|e| e.inside("held_dataset"))?))
        }
        object::Status::PriceBook(spec) => Status::PriceBook(value("price_book", spec)?),
        object::Status::Event(spec) => Status::Event(value("event", spec)?),
        object::Status::Run(run) => Status::Run(value("run", run)?),
        object::Status::JoinToken(spec) => Status::JoinToken(value("join_token", spec)?),
        object::Status::Credential(spec) => Status::Credential(value("credential", spec)?),
        object::Status::BurstPool(pool) => Status::BurstPool(value("burst_pool", pool)?),
        object::Status::Fault(fault) => Status::Fault(value("fault", fault)?),
        object::Status::ChaosStop(stop) => Status::ChaosStop(value("chaos_stop", stop)?),
        object::Status::GameDay(day) => Status::GameDay(value("game_day", day)?),
        object::Status::Transfer(transfer) => Status::Transfer(value("transfer", transfer)?),
    })
}
