//! POST, PUT and PATCH of objects.
//!
//! A change is computed here from the object as this replica read it, and proposed with that revision as its precondition. If
//! another change came first and the client named no revision, it is computed again.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE, header::HeaderName};
use muster_kubeapi::kinds::render;
use muster_kubeapi::negotiate::{self, Endpoint};
use muster_kubeapi::patch::{self, PatchKind};
use muster_kubeapi::path::Request;
use muster_kubeapi::status::{Reason, Status};
use muster_kubeapi::validate::{Decoded, decode, identity, names};
use muster_model::{Answer, Command, DocumentHash, Key, Object, Precondition, Put, PutMode, Rejection, Uid};
use serde_json::{Value, json};

use super::admission::{self, Given};
use super::call::Call;
use super::respond::{self, Answered, Wanted};
use super::{burst, objects, refusal};
use crate::agents::random_id;
use crate::secrets::is_sealed;

/// The header by which a client makes a create safe to repeat.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key that is taken.
const IDEMPOTENCY_KEY_MAX_BYTES: usize = 256;
/// How often a name is drawn, and how often a change is computed again, before the client hears of the conflict.
const TRIES: u32 = 5;

/// POST to a collection.
///
/// # Errors
/// Whatever is wrong with the body, and the hub's "no".
pub async fn create(call: &Call, request: &Request, body: &Bytes) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let decoded = decoded(call, request, body)?;
    let mut object = decoded.object;
    identity(&mut object, request.namespace.as_deref(), None)?;
    let given = admission::take_system_fields(&mut object);
    if !given.resource_version.is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let key = idempotency_key(call)?;
    let written = create_named(call, request, object, key).await?;
    answer(call, request, &wanted, (StatusCode::CREATED, written, decoded.warnings))
}

/// Creates it, under a drawn name if it asks for one.
async fn create_named(
    call: &Call,
    request: &Request,
    mut object: Value,
    key: Option<DocumentHash>,
) -> Result<Written, Status> {
    let prefix = match (admission::name_of(&object), object.pointer("/metadata/generateName")) {
        ("", Some(Value::String(prefix))) if !prefix.is_empty() => prefix.clone(),
        _ => return create_once(call, request, object, key).await,
    };
    for attempt in 0..TRIES {
        // A retry under the same idempotency key must find what the first try made.
        let random = key.map_or_else(random_id, |key| key.0.rotate_left(attempt * 7));
        let name = names::generated(&prefix, u64::try_from(random >> 64).unwrap_or_default());
        if let Some(meta) = admission::meta_of(&mut object) {
            meta.insert("name".to_owned(), json!(name));
        }
        match create_once(call, request, object.clone(), key).await {
            Err(status) if status.reason == Reason::AlreadyExists && attempt + 1 < TRIES => {}
            result => return result,
        }
    }
    Err(Status::internal("no free name was found"))
}

async fn create_once(
    call: &Call,
    request: &Request,
    object: Value,
    key: Option<DocumentHash>,
) -> Result<Written, Status> {
    let kind = objects::kind_of(request.resource)?;
    let name = admission::name_of(&object).into();
    let (uid, mut admitted) = admission::admit_new(kind, object)?;
    admission::check_size(&admitted, call.api.limits.object_max_bytes)?;
    let warnings = std::mem::take(&mut admitted.warnings);
    let namespace = request.namespace.as_deref().unwrap_or_default().into();
    let named = Key { kind: kind.model_kind(), namespace, name };
    let mut put = admitted.put(named, PutMode::Create { uid }, call.user.principal(), key);
    seal(call, &mut put, uid)?;
    let object = propose(call, request, put).await?.map_err(|rejection| refusal::of_apply(&rejection))?;
    Ok(Written { object, warnings })
}

/// PUT of an object.
///
/// # Errors
/// Whatever is wrong with the body, and the hub's "no".
pub async fn update(call: &Call, request: &Request, body: &Bytes) -> Answered {
    refuse_subresource(request)?;
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let decoded = decoded(call, request, body)?;
    let mut object = decoded.object;
    identity(&mut object, request.namespace.as_deref(), request.name.as_deref())?;
    let given = admission::take_system_fields(&mut object);
    let written = retried(call, request, given.resource_version.is_empty(), |old, _| {
        check_given(request, &given, old)?;
        Ok(object.clone())
    })
    .await?;
    answer(call, request, &wanted, (StatusCode::OK, written, decoded.warnings))
}

/// PATCH of an object.
///
/// # Errors
/// Whatever is wrong with the patch or its result, and the hub's "no".
pub async fn patch(call: &Call, request: &Request, body: &Bytes) -> Answered {
    refuse_subresource(request)?;
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let kind = patch_kind(call, request)?;
    let mut warnings = Vec::new();
    // A patch that names a revision finds it changed when it is computed again, and ends there.
    let written = retried(call, request, true, |old, current| {
        let mode = request.options.field_validation;
        let patched = patch::apply(request.resource, kind, current, body, mode)?;
        warnings = patched.warnings;
        let mut object = patched.object;
        let given = admission::take_system_fields(&mut object);
        check_given(request, &given, old)?;
        Ok(object)
    })
    .await?;
    answer(call, request, &wanted, (StatusCode::OK, written, warnings))
}

/// Computes a change from the stored object and how it is shown, and again if another one came first.
async fn retried(
    call: &Call,
    request: &Request,
    again: bool,
    mut change: impl FnMut(&Object, &Value) -> Result<Value, Status>,
) -> Result<Written, Status> {
    let kind = objects::kind_of(request.resource)?;
    let tries = if again { TRIES } else { 1 };
    for _ in 0..tries {
        let state = call.newest().await?;
        let old = objects::find(&state, request)?;
        let opened = objects::open(&call.api.vault, &old)?;
        let shown = render::value(kind, &opened);
        let mut admitted = admission::admit_changed(kind, change(&old, &shown)?, &shown)?;
        admission::check_size(&admitted, call.api.limits.object_max_bytes)?;
        let warnings = std::mem::take(&mut admitted.warnings);
        let precondition = Precondition { revision: Some(old.meta.revision), uid: Some(old.meta.uid) };
        let mut put =
            admitted.put(old.key.clone(), PutMode::Replace(precondition), call.user.principal(), None);
        if put.document == opened.document {
            // Sealed anew it would be another text, and the change one that changes something.
            put.document = old.document.clone();
        } else {
            seal(call, &mut put, old.meta.uid)?;
        }
        match propose(call, request, put).await? {
            Ok(object) => return Ok(Written { object, warnings }),
            Err(Rejection::Conflict { .. }) => {}
            Err(rejection) => return Err(refusal::of_apply(&rejection)),
        }
    }
    Err(Status::conflict(request.resource, request.name.as_deref().unwrap_or_default()))
}

/// Seals the document of a kind that must not lie open in the log.
fn seal(call: &Call, put: &mut Put, uid: Uid) -> Result<(), Status> {
    if !is_sealed(&put.key.kind) {
        return Ok(());
    }
    let with = call.api.vault.current(&call.api.hub.stale());
    let sealed = call.api.vault.seal(with, &put.key, uid, &put.document);
    put.document = sealed.map_err(|error| refusal::of_seal(&error))?;
    Ok(())
}

/// Whether the stored object is the one that the client means.
fn check_given(request: &Request, given: &Given, old: &Object) -> Result<(), Status> {
    let found = old.meta.uid.to_string();
    if !given.uid.is_empty() && given.uid != found {
        return Err(refusal::uid_changed(&old.key, &given.uid, &found));
    }
    if !given.resource_version.is_empty() && given.resource_version != old.meta.revision.0.to_string() {
        return Err(Status::conflict(request.resource, &old.key.name));
    }
    Ok(())
}

/// Proposes, and gives what is stored then. A dry run shows it at the revision that is really there.
async fn propose(call: &Call, request: &Request, put: Put) -> Result<Result<Arc<Object>, Rejection>, Status> {
    let before = match put.mode {
        PutMode::Replace(precondition) => precondition.revision,
        PutMode::Create { .. } => None,
    };
    burst::check_price(call, &put.key.name, &put.spec).await?;
    let dry_run = request.options.dry_run;
    let object = match call.propose(Command::Put(Box::new(put)), dry_run).await? {
        Answer::Stored(object) | Answer::Removed(object) | Answer::Deleting(object) => object,
        Answer::Rejected(rejection) => return Ok(Err(rejection)),
        Answer::Done | Answer::Planned(_) => return Err(Status::internal("the hub stored something else")),
    };
    match before {
        Some(revision) if dry_run => {
            let mut object = Object::clone(&object);
            object.meta.revision = revision;
            Ok(Ok(Arc::new(object)))
        }
        _ => Ok(Ok(object)),
    }
}

/// What a write made of an object.
struct Written {
    object: Arc<Object>,
    /// One text per `Warning` header, from reading the object's meaning.
    warnings: Vec<String>,
}

fn answer(
    call: &Call,
    request: &Request,
    wanted: &Wanted,
    (code, written, mut warnings): (StatusCode, Written, Vec<String>),
) -> Answered {
    let item = objects::item(&call.api.vault, request.resource, &written.object)?;
    warnings.extend(written.warnings);
    Ok(respond::with_warnings(respond::object(request.resource, wanted, code, &item)?, &warnings))
}

fn decoded(call: &Call, request: &Request, body: &Bytes) -> Result<Decoded, Status> {
    let encoding = negotiate::content_type(call.header(&CONTENT_TYPE))?;
    decode(request.resource, body, encoding, request.options.field_validation)
}

fn patch_kind(call: &Call, request: &Request) -> Result<PatchKind, Status> {
    let content_type = call.header(&CONTENT_TYPE).unwrap_or_default();
    if content_type.to_ascii_lowercase().starts_with("application/apply-patch") {
        let message = "server-side apply is not served yet; `kubectl apply` without --server-side works, and so do \
            JSON patch, merge patch and strategic merge patch";
        return Err(Status::new(Reason::UnsupportedMediaType, message));
    }
    PatchKind::of(content_type, request.resource, &request.options)
}

/// `status` says what the hub knows: nobody writes it.
fn refuse_subresource(request: &Request) -> Result<(), Status> {
    let Some(subresource) = request.subresource else { return Ok(()) };
    let message = format!(
        "{} of {} is rendered from what the hub knows and cannot be written",
        subresource.name,
        request.resource.qualified()
    );
    Err(Status::new(Reason::MethodNotAllowed, message))
}

fn idempotency_key(call: &Call) -> Result<Option<DocumentHash>, Status> {
    let Some(value) = call.parts.headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_MAX_BYTES => {
            Ok(Some(admission::idempotency(&call.user.principal(), key)))
        }
        _ => Err(Status::bad_request(format!(
            "Idempotency-Key: must be 1 to {IDEMPOTENCY_KEY_MAX_BYTES} characters of ASCII text"
        ))),
    }
}
