//! `v1 Event`: what happened to an object. The hub's own are typed; a client's are documents.

use std::cell::OnceCell;

use muster_model::{EventSeverity, EventSpec, Key, Object, Spec, Status};
use serde_json::{Value, json};

use super::at::At;
use super::column::{integer, text, wide};
use super::json::{Fields, push_text};
use super::kind::{Live, Reading, StoredKind};
use super::rows::Rows;
use super::scalar;
use crate::field::FieldError;
use crate::resource::{ALL_VERBS, Column, FieldLabel, NameRule, Origin, Resource};

const INVOLVED: &[FieldLabel] = &[
    label("involvedObject.kind", "/involvedObject/kind"),
    label("involvedObject.namespace", "/involvedObject/namespace"),
    label("involvedObject.name", "/involvedObject/name"),
    label("involvedObject.uid", "/involvedObject/uid"),
    label("involvedObject.apiVersion", "/involvedObject/apiVersion"),
    label("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
    label("involvedObject.fieldPath", "/involvedObject/fieldPath"),
    label("reason", "/reason"),
    label("reportingComponent", "/reportingComponent"),
    FieldLabel { label: "source", pointer: "/source/component", fallback: "/reportingComponent" },
    label("type", "/type"),
];

const COLUMNS: &[Column] = &[
    text("Last Seen", "Time since it happened last."),
    text("Type", "Normal or Warning."),
    text("Reason", "One word."),
    text("Object", "What it happened to."),
    wide("Subobject", "Part of the object."),
    wide("Source", "Who says so."),
    text("Message", "One sentence."),
    wide("First Seen", "Time since it happened first."),
    Column { priority: 1, ..integer("Count", "How often it happened.") },
    Column { format: "name", priority: 1, ..text("Name", "Name of the event.") },
];

pub(super) static KIND: StoredKind = StoredKind {
    resource: Resource {
        group: "",
        version: "v1",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        categories: &[],
        namespaced: true,
        verbs: ALL_VERBS,
        subresources: &[],
        columns: COLUMNS,
        schema: "io.k8s.api.core.v1.Event",
        origin: Origin::BuiltIn,
        name_rule: NameRule::Subdomain,
        field_labels: INVOLVED,
        default: |_| {},
        validate,
    },
    read: |_| Ok(Reading::of(Spec::Opaque)),
    show,
    cells,
};

const fn label(label: &'static str, pointer: &'static str) -> FieldLabel {
    FieldLabel { label, pointer, fallback: "" }
}

fn validate(object: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let at = At::root(object, "");
    let namespace = at.down(&["metadata", "namespace"]);
    let involved = at.down(&["involvedObject", "namespace"]);
    // What has no namespace tells its events in `default`.
    let fits = involved.text() == namespace.text() || !involved.is_set() && namespace.text() == "default";
    if fits { Vec::new() } else { vec![involved.invalid("does not match event.namespace")] }
}

fn severity(spec: &EventSpec) -> &'static str {
    match spec.severity {
        EventSeverity::Normal => "Normal",
        EventSeverity::Warning => "Warning",
    }
}

/// The kind of what it is about, as clients name it.
fn involved_kind(key: &Key) -> Option<&'static StoredKind> {
    StoredKind::of(&key.kind)
}

/// Texts of an event that are made when a selector asks for them.
#[derive(Default)]
pub(super) struct Made {
    uid: OnceCell<String>,
    api_version: OnceCell<String>,
}

/// A field of an event of the hub, for selectors.
pub(super) fn field<'a>(spec: &'a EventSpec, pointer: &str, made: &'a Made) -> Option<&'a str> {
    let resource = || involved_kind(&spec.involved).map(|kind| &kind.resource);
    match pointer {
        "/involvedObject/kind" => resource().map(|resource| resource.kind),
        "/involvedObject/namespace" => Some(&spec.involved.namespace),
        "/involvedObject/name" => Some(&spec.involved.name),
        "/involvedObject/uid" => Some(made.uid.get_or_init(|| spec.involved_uid.to_string())),
        "/involvedObject/apiVersion" => {
            Some(made.api_version.get_or_init(|| resource().map(Resource::api_version).unwrap_or_default()))
        }
        "/reason" => Some(&spec.reason),
        "/source/component" | "/reportingComponent" => Some(&spec.source),
        "/type" => Some(severity(spec)),
        _ => None,
    }
}

fn show(object: &Object, _: &Live<'_>, out: &mut String) {
    let Status::Event(spec) = &object.status else { return };
    out.push_str(",\"involvedObject\":");
    involved(out, spec);
    out.push_str(",\"reason\":");
    push_text(out, &spec.reason);
    out.push_str(",\"message\":");
    push_text(out, &spec.message);
    out.push_str(",\"source\":{\"component\":");
    push_text(out, &spec.source);
    // Seven fields that make a tail: written as one object and opened.
    let mut tail = String::with_capacity(256);
    let mut fields = Fields::open(&mut tail);
    fields.time("firstTimestamp", spec.first);
    fields.time("lastTimestamp", spec.last);
    fields.literal("count", &spec.count);
    fields.text("type", severity(spec));
    fields.literal("eventTime", &"null");
    fields.text("reportingComponent", &spec.source);
    fields.text("reportingInstance", "");
    out.push_str("},");
    out.push_str(&tail[1..]);
}

fn involved(out: &mut String, spec: &EventSpec) {
    let mut fields = Fields::open(out);
    if let Some(kind) = involved_kind(&spec.involved) {
        fields.text("kind", kind.resource.kind);
        super::json::push_api_version(fields.name("apiVersion"), &kind.resource);
    }
    fields.filled("namespace", &spec.involved.namespace);
    fields.text("name", &spec.involved.name);
    fields.plain("uid", &spec.involved_uid);
    fields.close();
}

fn cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let Status::Event(spec) = &object.status else { return document_cells(object, rows) };
    let kind = involved_kind(&spec.involved).map_or("object", |kind| kind.resource.singular);
    vec![
        rows.since(spec.last),
        json!(severity(spec)),
        json!(&*spec.reason),
        json!(format!("{kind}/{}", spec.involved.name)),
        json!(""),
        json!(&*spec.source),
        json!(&*spec.message),
        rows.since(spec.first),
        json!(spec.count),
        json!(&*object.key.name),
    ]
}

/// Cells of an event that a client made.
fn document_cells(object: &Object, rows: &mut Rows) -> Vec<Value> {
    let texts = rows.texts(object, document_texts);
    let [last, first, kind, reason, subject, path, source, message, count] = texts.as_slice() else {
        return vec![Value::Null; COLUMNS.len()];
    };
    let since = |text: &String| scalar::parse_time(text).map_or(json!("<unknown>"), |time| rows.since(time));
    vec![
        since(last),
        json!(kind),
        json!(reason),
        json!(subject),
        json!(path),
        json!(source),
        json!(message),
        since(first),
        json!(count.parse::<u32>().unwrap_or(1)),
        json!(&*object.key.name),
    ]
}

fn document_texts(body: &Value) -> Vec<String> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let filled = |first: &str, second: &str| {
        Some(text(first)).filter(|t| !t.is_empty()).unwrap_or_else(|| text(second))
    };
    let kind = text("/involvedObject/kind").to_lowercase();
    let count = body.get("count").and_then(Value::as_u64).unwrap_or(1);
    vec![
        filled("/lastTimestamp", "/eventTime"),
        filled("/firstTimestamp", "/eventTime"),
        text("/type"),
        text("/reason"),
        format!("{kind}/{}", text("/involvedObject/name")),
        text("/involvedObject/fieldPath"),
        filled("/source/component", "/reportingComponent"),
        text("/message"),
        count.to_string(),
    ]
}
