//! References of a template to ConfigMaps and Secrets: found, absent and optional, or what the pod waits for.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::fields::Fields;
use crate::backend::documents::{DocumentKind, Documents, word};
use crate::backend::error::BackendError;

/// The values of the document that `reference` names; `None` when it is not there and need not be.
pub(crate) fn document<'d>(
    documents: &'d Documents,
    kind: DocumentKind,
    reference: &Fields<'_>,
    name: &str,
) -> Result<Option<&'d BTreeMap<String, Bytes>>, BackendError> {
    match documents.get(kind, name) {
        Some(data) => Ok(Some(data)),
        None if reference.is_true("optional") => Ok(None),
        None => Err(waits(format!("{} \"{name}\" not found", word(kind)))),
    }
}

/// The value that a `configMapKeyRef` or `secretKeyRef` names.
pub(crate) fn key<'d>(
    documents: &'d Documents,
    kind: DocumentKind,
    reference: &Fields<'_>,
) -> Result<Option<&'d Bytes>, BackendError> {
    let (name, key) = (reference.required_text("name")?, reference.required_text("key")?);
    let Some(data) = document(documents, kind, reference, name)? else { return Ok(None) };
    match data.get(key) {
        Some(value) => Ok(Some(value)),
        None if reference.is_true("optional") => Ok(None),
        None => Err(waits(format!("couldn't find key {key} in {} \"{name}\"", word(kind)))),
    }
}

/// The pod waits until this is there.
pub(crate) fn waits(message: String) -> BackendError {
    BackendError::Missing { message }
}
