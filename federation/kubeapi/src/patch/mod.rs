//! PATCH: JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge patch.
//!
//! ```text
//! current object + patch body --json | merge | strategic--> object --check against the schema--> Patched
//! ```
//!
//! The caller defaults and validates the result, and compares `resourceVersion`.

mod json;
mod order;
mod strategic;

use serde_json::Value;

use crate::document::{self, Encoding};
use crate::field::FieldError;
use crate::options::Options;
use crate::quote::go_value;
use crate::resource::{Origin, Resource};
use crate::schema::Schemas;
use crate::status::{Reason, Status};
use crate::validate::{FieldValidation, check_patched};

pub use json::MAX_OPERATIONS;
pub use strategic::{PatchError, merge as strategic_merge};

/// Which patch a body is, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`, built-in kinds only.
    Strategic,
}

impl PatchKind {
    /// The kind that a `Content-Type` names for this resource.
    ///
    /// # Errors
    /// 415 with the types that this resource takes; 422 for `force` on a patch that is no apply.
    pub fn of(content_type: &str, resource: &Resource, options: &Options) -> Result<Self, Status> {
        let kind = Self::by_type(content_type, resource)?;
        if options.force.is_some() {
            let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(Status::invalid_options("PatchOptions", &[error]));
        }
        Ok(kind)
    }

    fn by_type(content_type: &str, resource: &Resource) -> Result<Self, Status> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json-patch+json" => Ok(PatchKind::Json),
            "application/merge-patch+json" => Ok(PatchKind::Merge),
            "application/strategic-merge-patch+json" if resource.origin == Origin::BuiltIn => {
                Ok(PatchKind::Strategic)
            }
            _ => Err(Status::unsupported_media_type(accepted(resource))),
        }
    }
}

/// The patch types a resource takes, for `Accept-Patch` and the OpenAPI document.
pub fn accepted(resource: &Resource) -> &'static [&'static str] {
    let all = &[
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    match resource.origin {
        Origin::BuiltIn => all,
        Origin::Custom => &all[..2],
    }
}

/// What a patch made of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The new object, not defaulted and not validated yet.
    pub object: Value,
    /// One text per `Warning` header.
    pub warnings: Vec<String>,
}

/// Applies the body of a PATCH to the stored object.
///
/// # Errors
/// 400 for a body that is no such patch, 413 for too many operations, 422 when it does not apply or its result is no
/// object of this kind, 500 for a directive nobody knows (as the real server answers).
pub fn apply(
    resource: &Resource,
    kind: PatchKind,
    current: &Value,
    body: &[u8],
    mode: FieldValidation,
) -> Result<Patched, Status> {
    let document =
        document::parse(body, Encoding::Json, None).map_err(|error| bad_body(kind, &error.to_string()))?;
    let duplicates = match kind {
        PatchKind::Json => document.findings.iter().map(|finding| format!("json patch {finding}")).collect(),
        PatchKind::Merge | PatchKind::Strategic => document.findings,
    };
    let as_sent = document.value.clone();
    let object = match kind {
        PatchKind::Json => json::apply(current, document.value)?,
        PatchKind::Merge => {
            let mut object = current.clone();
            json_patch::merge(&mut object, &document.value);
            object
        }
        PatchKind::Strategic => strategic(resource, current, document.value)?,
    };
    let shown = || match kind {
        PatchKind::Strategic => go_value(&as_sent),
        PatchKind::Json | PatchKind::Merge => object.to_string(),
    };
    let warnings = check_patched(resource, (current, &object), shown, (mode, duplicates))?;
    keep_identity(current, &object)?;
    Ok(Patched { object, warnings })
}

fn strategic(resource: &Resource, current: &Value, patch: Value) -> Result<Value, Status> {
    let Value::Object(patch) = patch else {
        let kind = if patch.is_array() { "array" } else { "value" };
        return Err(Status::bad_request(format!(
            "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )));
    };
    strategic_merge(Schemas::embedded(), resource.schema, current.clone(), patch).map_err(Status::from)
}

fn bad_body(kind: PatchKind, why: &str) -> Status {
    Status::bad_request(match kind {
        PatchKind::Merge => format!("Invalid JSON Patch: {why}"),
        PatchKind::Json | PatchKind::Strategic => format!("error decoding patch: {why}"),
    })
}

/// A patch cannot rename an object, or move it.
fn keep_identity(before: &Value, after: &Value) -> Result<(), Status> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if name(before) == name(after) {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({}) does not match the name on the URL ({})",
        name(after),
        name(before)
    )))
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::RetainKeys | PatchError::SetElementOrder | PatchError::DeleteFromList => {
                Status::bad_request(error.to_string())
            }
            other => Status::new(Reason::Unknown, other.to_string()),
        }
    }
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod properties;
