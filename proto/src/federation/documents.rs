//! What pod templates name: the data of ConfigMaps and Secrets, on its way to the member that runs the pods.
//!
//! Values never show in `Debug`: these messages hold secrets.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use muster_model::Epoch;

use super::field::{FieldError, UNKNOWN_VALUE, convert_all, nonempty};
use super::pb;

/// All documents of one attempt; what is missing here is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptDocuments {
    /// The attempt.
    pub epoch: Epoch,
    /// What its template names.
    pub documents: Vec<PodDocument>,
}

/// One ConfigMap or Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PodDocument {
    /// Which of the two.
    pub kind: DocumentKind,
    /// Its name, in the job's namespace.
    pub name: String,
    /// Its values by key; of a Secret in the clear.
    pub data: BTreeMap<String, Bytes>,
}

/// What a template may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// `v1 ConfigMap`.
    ConfigMap,
    /// `v1 Secret`.
    Secret,
}

impl fmt::Debug for PodDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        formatter
            .debug_struct("PodDocument")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("keys", &keys)
            .finish()
    }
}

impl From<&AttemptDocuments> for pb::AttemptDocuments {
    fn from(attempt: &AttemptDocuments) -> Self {
        Self { epoch: attempt.epoch.0, documents: attempt.documents.iter().map(Into::into).collect() }
    }
}

impl TryFrom<pb::AttemptDocuments> for AttemptDocuments {
    type Error = FieldError;

    fn try_from(attempt: pb::AttemptDocuments) -> Result<Self, FieldError> {
        let documents = convert_all(attempt.documents, "documents")?;
        Ok(Self { epoch: Epoch(attempt.epoch), documents })
    }
}

impl From<&PodDocument> for pb::PodDocument {
    fn from(document: &PodDocument) -> Self {
        let kind = match document.kind {
            DocumentKind::ConfigMap => pb::DocumentKind::ConfigMap,
            DocumentKind::Secret => pb::DocumentKind::Secret,
        };
        let data = document.data.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { kind: kind.into(), name: document.name.clone(), data }
    }
}

impl TryFrom<pb::PodDocument> for PodDocument {
    type Error = FieldError;

    fn try_from(document: pb::PodDocument) -> Result<Self, FieldError> {
        let kind = match document.kind() {
            pb::DocumentKind::ConfigMap => DocumentKind::ConfigMap,
            pb::DocumentKind::Secret => DocumentKind::Secret,
            pb::DocumentKind::Unspecified => return Err(FieldError::new("kind", UNKNOWN_VALUE)),
        };
        let data = document.data.into_iter().collect();
        Ok(Self { kind, name: nonempty(document.name, "name")?, data })
    }
}
