//! Small resources for the tests of this crate, independent of the kinds the product serves.

use serde_json::Value;

use crate::resource::{
    ALL_VERBS, Column, FieldLabel, NameRule, Origin, READ_VERBS, Registry, Resource, Subresource, Verb,
};

const NAME: Column =
    Column { name: "Name", kind: "string", format: "name", priority: 0, description: "Name of the object." };
const AGE: Column =
    Column { name: "Age", kind: "string", format: "", priority: 0, description: "Time since it was made." };
const STATUS: &[Subresource] =
    &[Subresource { name: "status", kind: "Job", verbs: &[Verb::Get, Verb::Patch, Verb::Update] }];

pub(crate) static CONFIG_MAP: Resource = Resource {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    columns: &[NAME, AGE],
    schema: "io.k8s.api.core.v1.ConfigMap",
    origin: Origin::BuiltIn,
    name_rule: NameRule::Subdomain,
    field_labels: &[],
    default: |_| {},
    validate: |_, _| Vec::new(),
};

pub(crate) static NAMESPACE: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    schema: "io.k8s.api.core.v1.Namespace",
    name_rule: NameRule::Label,
    ..CONFIG_MAP
};

pub(crate) static NODE: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    verbs: READ_VERBS,
    schema: "io.k8s.api.core.v1.Node",
    ..CONFIG_MAP
};

pub(crate) static EVENT: Resource = Resource {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    schema: "io.k8s.api.core.v1.Event",
    field_labels: &[
        FieldLabel { label: "involvedObject.name", pointer: "/involvedObject/name", fallback: "" },
        FieldLabel { label: "source", pointer: "/source/component", fallback: "/reportingComponent" },
    ],
    ..CONFIG_MAP
};

pub(crate) static JOB: Resource = Resource {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    short_names: &[],
    categories: &["all"],
    subresources: STATUS,
    schema: "io.k8s.api.batch.v1.Job",
    ..CONFIG_MAP
};

pub(crate) static CLUSTER: Resource = Resource {
    group: "muster.sh",
    version: "v1alpha1",
    kind: "Cluster",
    plural: "clusters",
    singular: "cluster",
    short_names: &[],
    namespaced: false,
    schema: "sh.muster.v1alpha1.Cluster",
    origin: Origin::Custom,
    ..CONFIG_MAP
};

pub(crate) static REGISTRY: Registry =
    Registry::new(&[&NAMESPACE, &CONFIG_MAP, &EVENT, &NODE, &JOB, &CLUSTER]);

/// A golden file below `tests/golden`.
pub(crate) fn golden(path: &std::path::Path) -> Value {
    let text = std::fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Every golden file of one folder, by name.
pub(crate) fn golden_folder(folder: &str) -> Vec<(String, Value)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), golden(path))).collect()
}
