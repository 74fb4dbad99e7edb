//! From the body of a create, update or patch to an object of a kind.

use serde_json::{Value, json};

use crate::document::{self, Encoding, ParseError};
use crate::field::FieldError;
use crate::quote::go_quote;
use crate::resource::{Origin, Resource};
use crate::schema::Schemas;
use crate::status::Status;
use crate::validate::structure::{StructureError, structure};

/// Stands for what a Secret holds in messages, as the real server writes it.
pub const REDACTED: &str = "<secret contents redacted>";

/// What happens to unknown and duplicate fields (`fieldValidation`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Refused with 400.
    Strict,
    /// Accepted with one `Warning` header each. The default of the API.
    #[default]
    Warn,
    /// Accepted.
    Ignore,
}

/// An accepted body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object with `apiVersion` and `kind` set.
    pub object: Value,
    /// One text per `Warning` header; [`warning_header`] renders it.
    pub warnings: Vec<String>,
}

/// The value of a `Warning` header: code 299, no agent, the text quoted.
pub fn warning_header(text: &str) -> String {
    format!("299 - {}", go_quote(text))
}

/// Parses the body of a create or update of `resource`.
///
/// # Errors
/// 400 when it is no object of this kind, has a field of a wrong type (built-in kinds), or breaks a strict validation;
/// 422 with all causes when a kind as from a CRD does not fit its schema.
pub fn decode(
    resource: &Resource,
    body: &[u8],
    encoding: Encoding,
    mode: FieldValidation,
) -> Result<Decoded, Status> {
    let schemas = Schemas::embedded();
    let parsed = document::parse(body, encoding, Some((schemas, resource.schema)));
    let mut document = parsed.map_err(|error| unrecognized(resource, &error.to_string()))?;
    name_kind(resource, &mut document.value)?;
    let errors = structure(schemas, resource.schema, &document.value);
    refuse_structure(resource, &document.value, &errors)?;
    let warnings = match mode {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => document.findings,
        FieldValidation::Strict => {
            refuse_findings(resource, &document.findings)?;
            Vec::new()
        }
    };
    Ok(Decoded { object: document.value, warnings })
}

/// Checks what a patch made of `before`. `shown` gives the patch, or its result, as a message prints it; `duplicates` are
/// the findings of the patch document itself. Unknown fields that were stored before are not held against the patch.
///
/// # Errors
/// 422 naming the field `patch`, as the real server; or the field errors of a kind as from a CRD.
pub fn check_patched(
    resource: &Resource,
    (before, after): (&Value, &Value),
    shown: impl Fn() -> String,
    (mode, duplicates): (FieldValidation, Vec<String>),
) -> Result<Vec<String>, Status> {
    let schemas = Schemas::embedded();
    let errors = structure(schemas, resource.schema, after);
    if resource.origin == Origin::Custom {
        refuse_structure(resource, after, &errors)?;
    }
    let shown = || if resource.kind == "Secret" { REDACTED.to_owned() } else { shown() };
    let refuse = |text: String| Status::invalid_patch(&[FieldError::invalid_text("patch", &shown(), text)]);
    if let Some(StructureError::WrongType { decoding, .. }) = first_wrong_type(&errors) {
        return Err(refuse(decoding.clone()));
    }
    if mode == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let known = document::unknown_fields(before, schemas, resource.schema);
    let mut findings = duplicates;
    let unknown = document::unknown_fields(after, schemas, resource.schema);
    findings.extend(unknown.into_iter().filter(|finding| !known.contains(finding)));
    if mode == FieldValidation::Strict && !findings.is_empty() {
        return Err(refuse(format!("strict decoding error: {}", findings.join(", "))));
    }
    Ok(findings)
}

fn unrecognized(resource: &Resource, why: &str) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; {why}",
        resource.kind
    ))
}

/// Checks `apiVersion` and `kind`; what is missing is taken from the path, as the real server does.
fn name_kind(resource: &Resource, value: &mut Value) -> Result<(), Status> {
    let Value::Object(map) = value else {
        let error = ParseError::Json("the body must be an object".to_owned());
        return Err(unrecognized(resource, &error.to_string()));
    };
    let api_version = resource.api_version();
    let given = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (given_version, given_kind) = (given("apiVersion"), given("kind"));
    if !given_kind.is_empty() && given_kind != resource.kind {
        let version = given_version.rsplit('/').next().unwrap_or_default();
        return Err(Status::bad_request(format!(
            "{given_kind} in version {} cannot be handled as a {}: send it to its own path",
            go_quote(version),
            resource.kind
        )));
    }
    if !given_version.is_empty() && given_version != api_version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )));
    }
    map.insert("apiVersion".to_owned(), json!(api_version));
    map.insert("kind".to_owned(), json!(resource.kind));
    Ok(())
}

fn first_wrong_type(errors: &[StructureError]) -> Option<&StructureError> {
    errors.iter().find(|error| matches!(error, StructureError::WrongType { .. }))
}

fn refuse_structure(resource: &Resource, object: &Value, errors: &[StructureError]) -> Result<(), Status> {
    match resource.origin {
        Origin::BuiltIn => match first_wrong_type(errors) {
            Some(StructureError::WrongType { decoding, .. }) => Err(cannot_be_handled(resource, decoding)),
            _ => Ok(()),
        },
        Origin::Custom if errors.is_empty() => Ok(()),
        Origin::Custom => {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let fields: Vec<_> = errors.iter().map(|error| error.field_error().clone()).collect();
            Err(Status::invalid(resource, name, &fields))
        }
    }
}

fn refuse_findings(resource: &Resource, findings: &[String]) -> Result<(), Status> {
    if findings.is_empty() {
        return Ok(());
    }
    Err(cannot_be_handled(resource, &format!("strict decoding error: {}", findings.join(", "))))
}

fn cannot_be_handled(resource: &Resource, why: &str) -> Status {
    let (kind, version) = (resource.kind, go_quote(resource.version));
    Status::bad_request(format!("{kind} in version {version} cannot be handled as a {kind}: {why}"))
}
