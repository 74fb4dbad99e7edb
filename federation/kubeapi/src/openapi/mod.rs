//! `/openapi/v3`: an index, and one document per group and version, each rendered once.

mod paths;
mod schemas;
pub mod v2;

use std::collections::BTreeMap;
use std::hash::Hasher;

use bytes::Bytes;
use serde_json::{Value, json};
use siphasher::sip::SipHasher24;

use crate::resource::{Registry, Resource};
use crate::schema::Schemas;

/// All documents, ready to be sent.
#[derive(Debug, Clone)]
pub struct OpenApi {
    index: Document,
    documents: BTreeMap<String, Document>,
}

/// One JSON document and the hash that its `ETag` and its URL carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The JSON text.
    pub body: Bytes,
    /// Hash of the text, upper-case hexadecimal.
    pub hash: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let body = value.to_string();
        // Two passes with different keys make 128 bits, so that a change always shows.
        let half = |key: u64| {
            let mut hasher = SipHasher24::new_with_keys(key, 0);
            hasher.write(body.as_bytes());
            hasher.finish()
        };
        let hash = format!("{:016X}{:016X}", half(1), half(2));
        Self { body: Bytes::from(body), hash }
    }

    /// The `ETag` header.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// Whether an `If-None-Match` header names this text, so that 304 is the answer.
    pub fn matches(&self, if_none_match: &str) -> bool {
        let etag = self.etag();
        if_none_match.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    }
}

impl OpenApi {
    /// Renders the documents of every served group and version.
    pub fn new(registry: &Registry) -> Self {
        let schemas = Schemas::embedded();
        let mut documents = BTreeMap::new();
        for (group, version) in registry.group_versions() {
            let resources: Vec<_> =
                registry.resources().filter(|r| r.group == group && r.version == version).collect();
            let value = document(schemas, &resources);
            documents.insert(path_of(group, version), Document::new(&value));
        }
        let paths: BTreeMap<_, _> =
            documents.iter().map(|(path, document)| (path, entry(path, document))).collect();
        let index = Document::new(&json!({ "paths": paths }));
        Self { index, documents }
    }

    /// `/openapi/v3`.
    pub fn index(&self) -> &Document {
        &self.index
    }

    /// `/openapi/v3/PATH`, such as `api/v1` or `apis/batch/v1`.
    pub fn document(&self, path: &str) -> Option<&Document> {
        self.documents.get(path)
    }
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn entry(path: &str, document: &Document) -> Value {
    json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={}", document.hash) })
}

fn document(schemas: &Schemas, resources: &[&'static Resource]) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in resources {
        paths.extend(paths::of(resource));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Muster", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas::of(schemas, resources)},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::samples::REGISTRY;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.trim_start_matches("#/components/schemas/").to_owned());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_document_is_complete_in_itself() {
        let openapi = OpenApi::new(&REGISTRY);
        for path in ["api/v1", "apis/batch/v1", "apis/muster.sh/v1alpha1"] {
            let value: Value = serde_json::from_slice(&openapi.document(path).unwrap().body).unwrap();
            let mut found = BTreeSet::new();
            references(&value, &mut found);
            let schemas = value["components"]["schemas"].as_object().unwrap();
            let missing: Vec<_> = found.iter().filter(|name| !schemas.contains_key(*name)).collect();
            assert!(missing.is_empty() && !found.is_empty(), "{path}: {missing:?}");
        }
    }

    #[test]
    fn the_index_names_each_document_with_its_hash() {
        let openapi = OpenApi::new(&REGISTRY);
        let index: Value = serde_json::from_slice(&openapi.index().body).unwrap();
        let document = openapi.document("apis/batch/v1").unwrap();
        assert_eq!(
            index["paths"]["apis/batch/v1"]["serverRelativeURL"],
            format!("/openapi/v3/apis/batch/v1?hash={}", document.hash)
        );
        assert!(document.matches(&format!("W/{}", document.etag())) && !document.matches("\"x\""));
        assert_eq!(document.hash, OpenApi::new(&REGISTRY).document("apis/batch/v1").unwrap().hash);
    }

    #[test]
    fn kubectl_finds_the_parameters_it_looks_for() {
        let openapi = OpenApi::new(&REGISTRY);
        let value: Value = serde_json::from_slice(&openapi.document("apis/batch/v1").unwrap().body).unwrap();
        let patch = &value["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"];
        let names: Vec<_> =
            patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert!(
            ["dryRun", "fieldManager", "fieldValidation"].iter().all(|name| names.contains(name)),
            "{names:?}"
        );
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "batch", "version": "v1", "kind": "Job"})
        );
        let containers =
            &value["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    }
}
