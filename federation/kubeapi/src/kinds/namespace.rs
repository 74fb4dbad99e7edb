//! `v1 Namespace`: a tenant.

use muster_model::{Command, Key, NamespaceSpec, Object, Principal, PutMode, Spec, Uid};
use serde_json::{Map, Value, json};

use super::admit::admit;
use super::at::{At, object_in, set_default};
use super::column::{AGE, NAME, text};
use super::kind::{Live, Reading, StoredKind};
use super::render::show_field;
use super::rows::Rows;
use super::scalar;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, NameRule, Origin, Resource, Subresource, Verb};

/// What an hour of waiting is worth to the tenant.
const WAIT_COST: &str = "muster.sh/wait-cost-per-hour";

/// The namespace `default` is never deleted, so that its uid may be the same in every hub.
const DEFAULT_UID: Uid = Uid(0x6d75_7374_6572_4000_8000_6465_6661_756c);

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        categories: &[],
        namespaced: false,
        verbs: ALL_VERBS,
        subresources: &[Subresource {
            name: "status",
            kind: "Namespace",
            verbs: &[Verb::Get, Verb::Patch, Verb::Update],
        }],
        columns: &[NAME, text("Status", "Active, or Terminating while its objects are being deleted."), AGE],
        schema: "io.k8s.api.core.v1.Namespace",
        origin: Origin::BuiltIn,
        name_rule: NameRule::Label,
        field_labels: &[],
        default,
        validate: |_, _| Vec::new(),
    },
    read,
    show,
    cells,
};

/// The command that makes the namespace `default`.
pub fn default_namespace() -> Command {
    let object = json!({"metadata": {"name": "default", "uid": DEFAULT_UID.to_string()}});
    let admitted = admit(&KIND, object, None).expect("the namespace default follows its rules");
    let mode = PutMode::Create { uid: DEFAULT_UID };
    Command::Put(Box::new(admitted.put(Key::namespace("default"), mode, Principal::new("system:hub"), None)))
}

fn default(object: &mut Value) {
    let Some(top) = object.as_object_mut() else { return };
    if let Some(spec) = object_in(top, "spec") {
        set_default(spec, "finalizers", json!(["kubernetes"]));
    }
    let Some(metadata) = object_in(top, "metadata") else { return };
    let name = metadata.get("name").cloned().unwrap_or_default();
    if let Some(labels) = object_in(metadata, "labels") {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

fn read(object: &Value) -> Result<Reading, Vec<FieldError>> {
    let annotations = At::root(object, "").down(&["metadata", "annotations"]);
    let empty = Map::new();
    let worth = annotations.map().unwrap_or(&empty).get(WAIT_COST);
    let mut errors = Vec::new();
    let at = At::root(worth.unwrap_or(&Value::Null), format!("metadata.annotations[{WAIT_COST}]"));
    let wait_cost_per_hour = scalar::money(&at, &mut errors).unwrap_or_default();
    if errors.is_empty() {
        Ok(Reading::of(Spec::Namespace(NamespaceSpec { wait_cost_per_hour })))
    } else {
        Err(errors)
    }
}

fn phase(object: &Object) -> &'static str {
    if object.meta.deletion.is_some() { "Terminating" } else { "Active" }
}

fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let out = show_field(out, "status");
    out.push_str("{\"phase\":\"");
    out.push_str(phase(object));
    out.push_str("\"}");
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    vec![json!(&*object.key.name), json!(phase(object)), rows.age(object)]
}
