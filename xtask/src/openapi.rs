//! Condenses the published OpenAPI of Kubernetes into the table `muster-kubeapi` embeds.
//!
//! ```text
//! swagger.json --keep what the roots reach--> definitions --facts only--> builtin.json, one definition a line
//! types.go     --tags of the same types-----> field numbers ------------> wire.json beside it
//! ```
//!
//! Only structure is kept (names, types, required, patch and list semantics): no sentence of the descriptions.

mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// What the hub serves or exchanges; everything they reference comes along.
const ROOTS: &[&str] = &[
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.batch.v1.JobList",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.ConfigMapList",
    "io.k8s.api.core.v1.Secret",
    "io.k8s.api.core.v1.SecretList",
    "io.k8s.api.core.v1.Event",
    "io.k8s.api.core.v1.EventList",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.NamespaceList",
    "io.k8s.api.core.v1.Node",
    "io.k8s.api.core.v1.NodeList",
    "io.k8s.api.core.v1.Pod",
    "io.k8s.api.core.v1.PodList",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
];

/// Types whose swagger entry says less than the server accepts.
const SCALARS: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "object"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", "object"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "object"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "int-or-string"),
];

/// Reads `swagger` (the published `swagger.json`, in a Go module cache) and writes the table to `out`, and the protobuf
/// field numbers to `wire.json` beside it.
///
/// # Errors
/// When a file cannot be read or written, or the document lacks a type the hub serves.
pub fn run(swagger: &Path, out: &Path) -> Result<()> {
    let text = fs::read(swagger).with_context(|| format!("read {}", swagger.display()))?;
    let document: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", swagger.display()))?;
    let definitions = document["definitions"].as_object().context("the document has no `definitions`")?;
    let mut table = BTreeMap::new();
    for root in ROOTS {
        collect(definitions, root, &mut table)?;
    }
    let version = document["info"]["version"].as_str().unwrap_or_default();
    fs::write(out, render(version, &table)).with_context(|| format!("write {}", out.display()))?;
    let slots = wire::slots(swagger, &table.keys().map(String::as_str).collect())?;
    let wire_out = out.with_file_name("wire.json");
    let slots = slots.into_iter().map(|(name, slots)| (name, json!(slots))).collect();
    fs::write(&wire_out, render(version, &slots)).with_context(|| format!("write {}", wire_out.display()))?;
    println!("{} definitions of {version} in {}", table.len(), out.display());
    Ok(())
}

fn collect(all: &Map<String, Value>, name: &str, table: &mut BTreeMap<String, Value>) -> Result<()> {
    if table.contains_key(name) {
        return Ok(());
    }
    let source = all.get(name).with_context(|| format!("definition {name} is missing"))?;
    let mut references = Vec::new();
    table.insert(name.to_owned(), condense_definition(name, source, &mut references)?);
    for reference in references {
        collect(all, &reference, table)?;
    }
    Ok(())
}

fn condense_definition(name: &str, source: &Value, references: &mut Vec<String>) -> Result<Value> {
    if let Some((_, scalar)) = SCALARS.iter().find(|(known, _)| *known == name) {
        return Ok(json!({ "type": scalar }));
    }
    let Some(properties) = source["properties"].as_object() else {
        return Ok(json!({ "type": type_of(source, references)? }));
    };
    let mut out = Map::new();
    if let Some(kinds) = source["x-kubernetes-group-version-kind"].as_array() {
        // DeleteOptions and WatchEvent are listed for every group; the first is the one they are defined in.
        out.insert("gvk".to_owned(), json!(kinds.iter().take(1).map(gvk).collect::<Vec<_>>()));
    }
    copy(source, "required", &mut out, "required");
    copy(source, "x-kubernetes-map-type", &mut out, "map");
    let mut fields = Map::new();
    for (field, schema) in properties {
        let condensed =
            condense_field(schema, references).with_context(|| format!("field {field} of {name}"))?;
        fields.insert(field.clone(), condensed);
    }
    out.insert("fields".to_owned(), Value::Object(fields));
    Ok(Value::Object(out))
}

fn gvk(kind: &Value) -> Value {
    json!([kind["group"], kind["version"], kind["kind"]])
}

/// A field is its type's text, or an object when there is more to say.
fn condense_field(schema: &Value, references: &mut Vec<String>) -> Result<Value> {
    let mut out = Map::new();
    copy(schema, "enum", &mut out, "enum");
    copy(schema, "x-kubernetes-list-type", &mut out, "list");
    copy(schema, "x-kubernetes-list-map-keys", &mut out, "keys");
    copy(schema, "x-kubernetes-map-type", &mut out, "map");
    copy(schema, "x-kubernetes-patch-merge-key", &mut out, "mergeKey");
    copy(schema, "x-kubernetes-patch-strategy", &mut out, "strategy");
    let text = json!(type_of(schema, references)?);
    if out.is_empty() {
        return Ok(text);
    }
    out.insert("type".to_owned(), text);
    Ok(Value::Object(out))
}

fn copy(from: &Value, key: &str, out: &mut Map<String, Value>, as_key: &str) {
    if let Some(value) = from.get(key) {
        out.insert(as_key.to_owned(), value.clone());
    }
}

/// `string/date-time`, `#DEFINITION`, `[ITEM` for a list, `{VALUE` for a map.
fn type_of(schema: &Value, references: &mut Vec<String>) -> Result<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        references.push(name.to_owned());
        return Ok(format!("#{name}"));
    }
    let base = schema["type"].as_str().unwrap_or("any");
    if base == "array" {
        return Ok(format!("[{}", type_of(&schema["items"], references)?));
    }
    if base == "object" && schema.get("additionalProperties").is_some() {
        return Ok(format!("{{{}", type_of(&schema["additionalProperties"], references)?));
    }
    ensure!(
        ["string", "integer", "number", "boolean", "object", "any"].contains(&base),
        "unknown type {base}: teach type_of what it means"
    );
    Ok(match schema["format"].as_str() {
        Some("int-or-string") => "int-or-string".to_owned(),
        Some(format) => format!("{base}/{format}"),
        None => base.to_owned(),
    })
}

/// One definition a line, so that a new Kubernetes version shows up as a readable diff.
fn render(version: &str, table: &BTreeMap<String, Value>) -> String {
    let lines: Vec<_> = table.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{\"source\":{},\"definitions\":{{\n{}\n}}}}\n", json!(version), lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_structure_and_drops_descriptions() {
        let schema = json!({"type": "array", "description": "words", "items": {"$ref": "#/definitions/a.B"},
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"});
        let mut references = Vec::new();
        let condensed = condense_field(&schema, &mut references).unwrap();
        assert_eq!(condensed, json!({"type": "[#a.B", "strategy": "merge", "mergeKey": "name"}));
        assert_eq!(references, ["a.B"]);
    }

    #[test]
    fn a_type_it_does_not_know_is_refused() {
        let error = type_of(&json!({"type": "tuple"}), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "unknown type tuple: teach type_of what it means");
    }
}
