//! What a pod template names, as it travelled with the job. In memory only: Secrets are among it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
pub use muster_proto::federation::{DocumentKind, PodDocument};

/// ConfigMaps and Secrets of one attempt. Clones share them; `Debug` shows no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents(Arc<Vec<PodDocument>>);

impl Documents {
    /// These documents and no others.
    pub fn new(documents: Vec<PodDocument>) -> Documents {
        Documents(Arc::new(documents))
    }

    /// The values of a document, if it is there.
    pub fn get(&self, kind: DocumentKind, name: &str) -> Option<&BTreeMap<String, Bytes>> {
        let found = self.0.iter().find(|document| document.kind == kind && document.name == name);
        found.map(|document| &document.data)
    }

    /// The same as far as anybody may write it down: every Secret is there and holds nothing.
    pub(crate) fn without_secrets(&self) -> Documents {
        let blank = |document: &PodDocument| match document.kind {
            DocumentKind::ConfigMap => document.clone(),
            DocumentKind::Secret => PodDocument {
                data: document.data.keys().map(|key| (key.clone(), Bytes::new())).collect(),
                ..document.clone()
            },
        };
        Documents(Arc::new(self.0.iter().map(blank).collect()))
    }
}

/// The kind as messages of Kubernetes say it.
pub(crate) fn word(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::ConfigMap => "configmap",
        DocumentKind::Secret => "secret",
    }
}
