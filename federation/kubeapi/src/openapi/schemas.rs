//! `components.schemas` of a document.

use serde_json::{Map, Value, json};

use crate::resource::Resource;
use crate::schema::{Definition, Field, Schemas, Shape, Type};

/// Exchanged on every path: answers to deletes and failures, options of deletes, bodies of patches.
pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// Every definition that these kinds reach.
pub(super) fn of(schemas: &Schemas, resources: &[&'static Resource]) -> Value {
    let lists: Vec<String> = resources.iter().map(|resource| format!("{}List", resource.schema)).collect();
    let roots = resources.iter().map(|resource| resource.schema).chain([STATUS, DELETE_OPTIONS, PATCH]);
    let closure = schemas.closure(roots.chain(lists.iter().map(String::as_str)));
    let entries = closure.into_iter().map(|(name, definition)| (name.to_owned(), schema_of(definition)));
    Value::Object(entries.collect())
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schema_of(definition: &Definition) -> Value {
    let mut out = match &definition.shape {
        Shape::Scalar(ty) => type_of(ty),
        Shape::Object(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|(name, field)| (name.clone(), property(field))).collect();
            json!({"type": "object", "properties": properties})
        }
    };
    put_text(&mut out, "description", &definition.description);
    put_text(&mut out, "x-kubernetes-map-type", &definition.map_type);
    if !definition.required.is_empty() {
        out["required"] = json!(definition.required);
    }
    if !definition.gvk.is_empty() {
        let kinds = definition.gvk.iter();
        out["x-kubernetes-group-version-kind"] =
            kinds.map(|gvk| json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})).collect();
    }
    out
}

fn property(field: &Field) -> Value {
    let mut out = match &field.ty {
        // Nothing may stand beside a `$ref`, so a described reference is wrapped.
        Type::Reference(name) => json!({ "allOf": [reference(name)] }),
        ty => type_of(ty),
    };
    put_text(&mut out, "description", &field.description);
    put_text(&mut out, "x-kubernetes-list-type", &field.list_type);
    put_text(&mut out, "x-kubernetes-map-type", &field.map_type);
    put_text(&mut out, "x-kubernetes-patch-merge-key", &field.merge_key);
    put_text(&mut out, "x-kubernetes-patch-strategy", &field.strategy);
    if !field.list_keys.is_empty() {
        out["x-kubernetes-list-map-keys"] = json!(field.list_keys);
    }
    if !field.words.is_empty() {
        out["enum"] = json!(field.words);
    }
    out
}

fn put_text(out: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        out[key] = json!(text);
    }
}

fn type_of(ty: &Type) -> Value {
    match ty {
        Type::Any => json!({ "x-kubernetes-preserve-unknown-fields": true }),
        Type::Object => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Type::String(format) => formatted("string", format),
        Type::Integer(format) => formatted("integer", format),
        Type::Number => json!({ "type": "number" }),
        Type::Boolean => json!({ "type": "boolean" }),
        Type::IntOrString => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        Type::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Type::Reference(name) => reference(name),
        Type::List(inner) => json!({"type": "array", "items": type_of(inner)}),
        Type::Map(inner) => json!({"type": "object", "additionalProperties": type_of(inner)}),
    }
}

fn formatted(base: &str, format: &str) -> Value {
    let mut out = json!({ "type": base });
    put_text(&mut out, "format", format);
    out
}
