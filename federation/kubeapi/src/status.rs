//! `meta/v1 Status`: the answer to everything that did not work, in the words clients match on.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::field::FieldError;
use crate::quote::go_quote;
use crate::resource::Resource;

/// Machine-readable reason of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 400: the request cannot be understood.
    BadRequest,
    /// 401: who are you.
    Unauthorized,
    /// 403: you may not.
    Forbidden,
    /// 404: no such object or path.
    NotFound,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 406: none of the accepted formats is served.
    NotAcceptable,
    /// 409: the name is taken.
    AlreadyExists,
    /// 409: the object changed meanwhile.
    Conflict,
    /// 410: the resource version or token is too old.
    Expired,
    /// 410: the watch cannot resume.
    Gone,
    /// 413: the body is too large.
    RequestEntityTooLarge,
    /// 415: the body's format is not served.
    UnsupportedMediaType,
    /// 422: understood and wrong.
    Invalid,
    /// 429: come back later.
    TooManyRequests,
    /// 500: our fault.
    InternalError,
    /// 503: no leader, or not ready.
    ServiceUnavailable,
    /// 504: took too long; the outcome is unknown.
    Timeout,
    /// No reason word, as the real server answers a patch that does not apply.
    Unknown,
}

impl Reason {
    /// The word on the wire; empty for [`Reason::Unknown`].
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::BadRequest => "BadRequest",
            Reason::Unauthorized => "Unauthorized",
            Reason::Forbidden => "Forbidden",
            Reason::NotFound => "NotFound",
            Reason::MethodNotAllowed => "MethodNotAllowed",
            Reason::NotAcceptable => "NotAcceptable",
            Reason::AlreadyExists => "AlreadyExists",
            Reason::Conflict => "Conflict",
            Reason::Expired => "Expired",
            Reason::Gone => "Gone",
            Reason::RequestEntityTooLarge => "RequestEntityTooLarge",
            Reason::UnsupportedMediaType => "UnsupportedMediaType",
            Reason::Invalid => "Invalid",
            Reason::TooManyRequests => "TooManyRequests",
            Reason::InternalError => "InternalError",
            Reason::ServiceUnavailable => "ServiceUnavailable",
            Reason::Timeout => "Timeout",
            Reason::Unknown => "",
        }
    }

    /// The HTTP code that belongs to the reason.
    pub fn code(self) -> u16 {
        match self {
            Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Expired | Reason::Gone => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError | Reason::Unknown => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }
}

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Class, such as `FieldValueRequired`; may be empty.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Path of the field; may be empty.
    pub field: String,
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        Self { reason: error.kind.reason().to_owned(), message: error.body(), field: error.field.clone() }
    }
}

/// What the failure is about. Empty parts are left out on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Object's name.
    pub name: String,
    /// API group.
    pub group: String,
    /// Resource (`jobs`), or kind for validation errors.
    pub kind: String,
    /// Uid of the object.
    pub uid: String,
    /// What is wrong, one by one.
    pub causes: Vec<Cause>,
    /// When to try again; 0 for no advice.
    pub retry_after_seconds: u32,
}

impl Details {
    fn of(resource: &Resource, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: resource.group.to_owned(),
            kind: resource.plural.to_owned(),
            ..Self::default()
        }
    }

    fn to_value(&self) -> Value {
        let mut out = serde_json::Map::new();
        let texts = [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            out.insert(key.to_owned(), json!(text));
        }
        if !self.causes.is_empty() {
            out.insert("causes".to_owned(), self.causes.iter().map(cause_value).collect());
        }
        if self.retry_after_seconds > 0 {
            out.insert("retryAfterSeconds".to_owned(), json!(self.retry_after_seconds));
        }
        Value::Object(out)
    }
}

fn cause_value(cause: &Cause) -> Value {
    let parts = [("reason", &cause.reason), ("message", &cause.message), ("field", &cause.field)];
    parts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(k, v)| (k.to_owned(), json!(v))).collect()
}

/// A failure, ready to be sent: code for the HTTP head, the rest as the JSON body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP code.
    pub code: u16,
    /// Class of the failure.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
}

impl Status {
    /// A failure of this class without details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { code: reason.code(), reason, message: message.into(), details: None }
    }

    fn with(reason: Reason, message: impl Into<String>, details: Details) -> Self {
        Self { details: Some(Box::new(details)), ..Self::new(reason, message) }
    }

    /// 400 with this text.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 401, the same for every cause so that nothing can be learnt from it.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// 403 for a resource. `who` is the user's name, `verb` what was tried, `why` optional advice.
    pub fn forbidden(resource: &Resource, attempt: &Attempt<'_>) -> Self {
        let target = go_quote(&resource.plural_with(attempt.subresource));
        let scope = match attempt.namespace {
            Some(namespace) => format!("in the namespace {}", go_quote(namespace)),
            None => "at the cluster scope".to_owned(),
        };
        let mut why = format!(
            "User {} cannot {} resource {target} in API group {} {scope}",
            go_quote(attempt.user),
            attempt.verb,
            go_quote(resource.group)
        );
        if !attempt.advice.is_empty() {
            why.push_str(": ");
            why.push_str(attempt.advice);
        }
        let subject = match attempt.name {
            "" => resource.qualified(),
            name => format!("{} {}", resource.qualified(), go_quote(name)),
        };
        let details = Details::of(resource, attempt.name);
        Self::with(Reason::Forbidden, format!("{subject} is forbidden: {why}"), details)
    }

    /// 403 for a path that is no resource.
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let message = format!("forbidden: User {} cannot {verb} path {}", go_quote(user), go_quote(path));
        Self::with(Reason::Forbidden, message, Details::default())
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {} not found", resource.qualified(), go_quote(name));
        Self::with(Reason::NotFound, message, Details::of(resource, name))
    }

    /// 404 for a path that names nothing served.
    pub fn path_not_found() -> Self {
        Self::with(Reason::NotFound, "the server could not find the requested resource", Details::default())
    }

    /// 409: create of a name that is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {} already exists", resource.qualified(), go_quote(name));
        Self::with(Reason::AlreadyExists, message, Details::of(resource, name))
    }

    /// 409: the write was based on an older revision.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        Self::conflict_because(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 for another reason, such as a uid precondition.
    pub fn conflict_because(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {}: {why}", resource.qualified(), go_quote(name));
        Self::with(Reason::Conflict, message, Details::of(resource, name))
    }

    /// 422 of an object, one cause per field.
    pub fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        let subject = format!("{} {} is invalid", resource.qualified_kind(), go_quote(name));
        let details = Details {
            kind: resource.kind.to_owned(),
            causes: errors.iter().map(Cause::from).collect(),
            ..Details::of(resource, name)
        };
        Self::with(Reason::Invalid, join_errors(subject, errors), details)
    }

    /// 422 of a patch whose result cannot be decoded: it names no kind, as the real server's answer.
    pub fn invalid_patch(errors: &[FieldError]) -> Self {
        let details = Details { causes: errors.iter().map(Cause::from).collect(), ..Details::default() };
        Self::with(Reason::Invalid, join_errors(" \"\" is invalid".to_owned(), errors), details)
    }

    /// 422 of the request's options (`CreateOptions`, `PatchOptions`, ...).
    pub fn invalid_options(kind: &str, errors: &[FieldError]) -> Self {
        let details = Details {
            group: "meta.k8s.io".to_owned(),
            kind: kind.to_owned(),
            causes: errors.iter().map(Cause::from).collect(),
            ..Details::default()
        };
        Self::with(
            Reason::Invalid,
            join_errors(format!("{kind}.meta.k8s.io \"\" is invalid"), errors),
            details,
        )
    }

    /// 405 for a path that exists.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::with(Reason::MethodNotAllowed, message, Details::default())
    }

    /// 405: the kind does not have this verb.
    pub fn verb_not_supported(resource: &Resource, verb: &str) -> Self {
        let message =
            format!("{verb} is not supported on resources of kind {}", go_quote(&resource.qualified()));
        Self::with(Reason::MethodNotAllowed, message, Details::of(resource, ""))
    }

    /// 406 with what could be had.
    pub fn not_acceptable(served: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", served.join(", "));
        Self::new(Reason::NotAcceptable, message)
    }

    /// 415 with what is understood.
    pub fn unsupported_media_type(served: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            served.join(", ")
        );
        Self::new(Reason::UnsupportedMediaType, message)
    }

    /// 413 with the limit.
    pub fn too_large(detail: &str) -> Self {
        Self::new(Reason::RequestEntityTooLarge, format!("Request entity too large: {detail}"))
    }

    /// 429; the caller also sends `Retry-After`.
    pub fn too_many_requests(detail: &str, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self::with(Reason::TooManyRequests, detail, details)
    }

    /// 410: list or watch from a revision that is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// 410 for a watch from `requested` when `oldest` is the first still known.
    pub fn too_old_resource_version(requested: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// 504 for a read at a revision this replica has not reached.
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        let cause = Cause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
        let message = format!("Timeout: Too large resource version: {requested}, current: {current}");
        Self::with(Reason::Timeout, message, details)
    }

    /// 503.
    pub fn service_unavailable(why: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, why)
    }

    /// 504: the outcome is unknown to the server too.
    pub fn timeout(why: &str, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self::with(Reason::Timeout, format!("Timeout: {why}"), details)
    }

    /// 500.
    pub fn internal(why: &str) -> Self {
        let cause = Cause { reason: String::new(), message: why.to_owned(), field: String::new() };
        let details = Details { causes: vec![cause], ..Details::default() };
        Self::with(Reason::InternalError, format!("Internal error occurred: {why}"), details)
    }

    /// Seconds for the `Retry-After` header, when there is advice.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0)
    }

    /// The body as JSON bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a Status holds only strings and numbers")
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "Status")?;
        map.serialize_entry("apiVersion", "v1")?;
        map.serialize_entry("metadata", &json!({}))?;
        map.serialize_entry("status", "Failure")?;
        map.serialize_entry("message", &self.message)?;
        if self.reason != Reason::Unknown {
            map.serialize_entry("reason", self.reason.as_str())?;
        }
        if let Some(details) = &self.details {
            map.serialize_entry("details", &details.to_value())?;
        }
        map.serialize_entry("code", &self.code)?;
        map.end()
    }
}

/// Who tried what, for a 403.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// User's name.
    pub user: &'a str,
    /// Verb as RBAC names it.
    pub verb: &'a str,
    /// Object's name; empty for collections.
    pub name: &'a str,
    /// Namespace; `None` at the cluster scope.
    pub namespace: Option<&'a str>,
    /// Subresource; empty for the object itself.
    pub subresource: &'a str,
    /// What would help; may be empty.
    pub advice: &'a str,
}

impl Resource {
    fn plural_with(&self, subresource: &str) -> String {
        if subresource.is_empty() { self.plural.to_owned() } else { format!("{}/{subresource}", self.plural) }
    }
}

/// The body of a successful delete that returns no object.
pub fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let details = Details { uid: uid.to_owned(), ..Details::of(resource, name) };
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details.to_value()})
}

/// `subject: error`, or `subject: [error, error]` without repeats.
fn join_errors(subject: String, errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [] => subject,
        [one] => format!("{subject}: {one}"),
        many => format!("{subject}: [{}]", many.join(", ")),
    }
}
