//! Reads the embedded tables. They are part of the program, so that a wrong one is our own corrupt state: the tests load
//! them, and loading panics with the definition's name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::table::{Definition, Field, Gvk, Schemas, Shape, Type};

const BUILTIN: &str = include_str!("builtin.json");
const MUSTER: &str = include_str!("muster.json");
const WORDS: &str = include_str!("words.json");
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

#[derive(Deserialize)]
struct RawTable {
    definitions: BTreeMap<String, RawDefinition>,
}

#[derive(Deserialize)]
struct RawDefinition {
    #[serde(default)]
    fields: BTreeMap<String, RawField>,
    #[serde(rename = "type", default)]
    scalar: Option<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    gvk: Vec<(String, String, String)>,
    #[serde(rename = "map", default)]
    map_type: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawField {
    Plain(String),
    Full(Box<RawFull>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFull {
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    list: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    map: String,
    #[serde(default)]
    merge_key: String,
    #[serde(default)]
    strategy: String,
    #[serde(rename = "enum", default)]
    words: Vec<String>,
    #[serde(default)]
    description: String,
}

/// All three tables as one.
pub(super) fn embedded() -> Schemas {
    let mut schemas = Schemas::default();
    for text in [BUILTIN, MUSTER] {
        let table: RawTable = serde_json::from_str(text).expect("the embedded schema table parses");
        schemas.definitions.extend(table.definitions.into_iter().map(definition));
    }
    complete_kinds(&mut schemas);
    describe(&mut schemas, serde_json::from_str(WORDS).expect("the embedded words parse"));
    schemas
}

fn definition((name, raw): (String, RawDefinition)) -> (String, Definition) {
    let shape = match raw.scalar {
        Some(text) => Shape::Scalar(parse_type(&text)),
        None => Shape::Object(raw.fields.into_iter().map(|(name, raw)| (name, field(raw))).collect()),
    };
    let gvk = raw.gvk.into_iter().map(|(group, version, kind)| Gvk { group, version, kind }).collect();
    let definition = Definition {
        shape,
        required: raw.required,
        gvk,
        map_type: raw.map_type,
        description: raw.description,
    };
    (name, definition)
}

fn field(raw: RawField) -> Field {
    match raw {
        RawField::Plain(text) => Field { ty: parse_type(&text), ..Field::default() },
        RawField::Full(full) => Field {
            ty: parse_type(&full.ty),
            list_type: full.list,
            list_keys: full.keys,
            map_type: full.map,
            merge_key: full.merge_key,
            strategy: full.strategy,
            words: full.words,
            description: full.description,
        },
    }
}

/// The reverse of what `xtask openapi` writes: `[ITEM`, `{VALUE`, `#NAME`, `string/FORMAT`.
fn parse_type(text: &str) -> Type {
    if let Some(inner) = text.strip_prefix('[') {
        return Type::List(Box::new(parse_type(inner)));
    }
    if let Some(inner) = text.strip_prefix('{') {
        return Type::Map(Box::new(parse_type(inner)));
    }
    if let Some(name) = text.strip_prefix('#') {
        return Type::Reference(name.to_owned());
    }
    let (base, format) = text.split_once('/').unwrap_or((text, ""));
    match base {
        "any" => Type::Any,
        "object" => Type::Object,
        "string" => Type::String(format.to_owned()),
        "integer" => Type::Integer(format.to_owned()),
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        "int-or-string" => Type::IntOrString,
        "quantity" => Type::Quantity,
        other => panic!("unknown type {other} in the embedded schema table"),
    }
}

/// Our own kinds are written without what every kind has: `apiVersion`, `kind`, `metadata`, and a list kind.
fn complete_kinds(schemas: &mut Schemas) {
    let mut lists = Vec::new();
    for (name, definition) in &mut schemas.definitions {
        let Some(gvk) = definition.gvk.first().cloned() else { continue };
        let Shape::Object(fields) = &mut definition.shape else { continue };
        if !gvk.group.ends_with("muster.sh") {
            continue;
        }
        add_type_meta(fields, OBJECT_META);
        lists.push((format!("{name}List"), list_of(name, &gvk)));
    }
    schemas.definitions.extend(lists);
}

fn add_type_meta(fields: &mut BTreeMap<String, Field>, meta: &str) {
    let text = || Field { ty: Type::String(String::new()), ..Field::default() };
    fields.insert("apiVersion".to_owned(), text());
    fields.insert("kind".to_owned(), text());
    let ty = Type::Reference(meta.to_owned());
    fields.insert("metadata".to_owned(), Field { ty, ..Field::default() });
}

fn list_of(name: &str, gvk: &Gvk) -> Definition {
    let mut fields = BTreeMap::new();
    add_type_meta(&mut fields, LIST_META);
    let ty = Type::List(Box::new(Type::Reference(name.to_owned())));
    fields.insert("items".to_owned(), Field { ty, ..Field::default() });
    Definition {
        shape: Shape::Object(fields),
        required: vec!["items".to_owned()],
        gvk: vec![Gvk { kind: format!("{}List", gvk.kind), ..gvk.clone() }],
        map_type: String::new(),
        description: format!("{}List is a list of {}.", gvk.kind, gvk.kind),
    }
}

/// Adds our own descriptions: `{"DEFINITION": {"": "about itself", "field": "about the field"}}`.
fn describe(schemas: &mut Schemas, words: BTreeMap<String, BTreeMap<String, Value>>) {
    for (name, texts) in words {
        let definition =
            schemas.definitions.get_mut(&name).unwrap_or_else(|| panic!("words.json: no {name}"));
        for (field, text) in texts {
            let text = text.as_str().unwrap_or_default().to_owned();
            match &mut definition.shape {
                _ if field.is_empty() => definition.description = text,
                Shape::Object(fields) => {
                    fields
                        .get_mut(&field)
                        .unwrap_or_else(|| panic!("words.json: no {name}.{field}"))
                        .description = text;
                }
                Shape::Scalar(_) => panic!("words.json: {name} has no fields"),
            }
        }
    }
}
