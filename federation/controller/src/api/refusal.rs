//! The hub's "no" as a `Status`, with the reason and code that the real server would give.

use muster_kubeapi::resource::Resource;
use muster_kubeapi::status::{Cause, Details, Reason, Status};
use muster_model::{Key, Rejection};

use super::objects::resource_of;
use crate::hub::HubError;
use crate::secrets::SealError;

/// Seconds after which a client may try again.
const RETRY_AFTER_S: u32 = 1;

/// Why the hub did not answer.
pub fn of_hub(error: &HubError) -> Status {
    let text = error.to_string();
    match error {
        HubError::Busy => Status::too_many_requests(&text, RETRY_AFTER_S),
        HubError::NoLeader => unavailable(&text),
        HubError::Refused(_) => Status::internal(&text),
        HubError::Unknown => Status::timeout(&text, RETRY_AFTER_S),
    }
}

/// Why a document cannot be sealed or opened here.
pub fn of_seal(error: &SealError) -> Status {
    Status::internal(&error.to_string())
}

/// 503 with the advice to come back.
pub fn unavailable(why: &str) -> Status {
    let details = Details { retry_after_seconds: RETRY_AFTER_S, ..Details::default() };
    Status { details: Some(Box::new(details)), ..Status::service_unavailable(why) }
}

/// Why apply did not do it.
pub fn of_apply(rejection: &Rejection) -> Status {
    match rejection {
        Rejection::NotFound(key) => with_resource(key, Status::not_found),
        Rejection::AlreadyExists(key) => with_resource(key, Status::already_exists),
        Rejection::Conflict { key, .. } => with_resource(key, Status::conflict),
        Rejection::UidChanged { key, expected, found } => {
            uid_changed(key, &expected.to_string(), &found.to_string())
        }
        Rejection::NamespaceMissing(name) => with_resource(&Key::namespace(name), Status::not_found),
        Rejection::NamespaceTerminating(name) => terminating(name),
        Rejection::Forbidden(key, why) => with_resource(key, |resource, name| forbidden(resource, name, why)),
        Rejection::Invalid { field, reason } => {
            let cause = cause("FieldValueInvalid", reason, field);
            detailed(Status::new(Reason::Invalid, format!("{field}: {reason}")), vec![cause])
        }
        Rejection::TokenRefused(_) | Rejection::OtherIncarnation | Rejection::TooMany { .. } => {
            Status::new(Reason::Forbidden, rejection.to_string())
        }
    }
}

/// 409: the client meant another object of this name.
pub fn uid_changed(key: &Key, expected: &str, found: &str) -> Status {
    let why = format!("Precondition failed: UID in precondition: {expected}, UID in object meta: {found}");
    with_resource(key, |resource, name| Status::conflict_because(resource, name, &why))
}

fn terminating(namespace: &str) -> Status {
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = cause(
        "NamespaceTerminating",
        &format!("namespace {namespace} is being terminated"),
        "metadata.namespace",
    );
    detailed(Status::new(Reason::Forbidden, why), vec![cause])
}

/// 403 for this object, whoever asks.
pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Status {
    let details = Details {
        name: name.to_owned(),
        group: resource.group.to_owned(),
        kind: resource.plural.to_owned(),
        ..Details::default()
    };
    let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
    Status { details: Some(Box::new(details)), ..Status::new(Reason::Forbidden, message) }
}

fn cause(reason: &str, message: &str, field: &str) -> Cause {
    Cause { reason: reason.to_owned(), message: message.to_owned(), field: field.to_owned() }
}

fn detailed(mut status: Status, causes: Vec<Cause>) -> Status {
    status.details.get_or_insert_default().causes.extend(causes);
    status
}

fn with_resource(key: &Key, status: impl FnOnce(&Resource, &str) -> Status) -> Status {
    match resource_of(&key.kind) {
        Some(resource) => status(resource, &key.name),
        None => Status::new(Reason::NotFound, format!("{key} is not served")),
    }
}
